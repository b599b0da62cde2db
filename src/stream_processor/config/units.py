"""Durations, sizes and rates with their units: `30s`, `128MiB`, `200/s`."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from pydantic_core import CoreSchema, core_schema


class _Quantity:
    """Shared by the units: text with a unit, or a value that is already of the class."""

    units: ClassVar[dict[str, float]]
    example: ClassVar[str]

    @classmethod
    def parse(cls, value: Any) -> Any:
        """Turn text like `30s` into the value. Raises ValueError with what is expected."""
        if isinstance(value, cls):
            return value
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z/]+)", str(value))
        if match is None or match[2] not in cls.units:
            raise ValueError(f"expected a number with a unit ({', '.join(cls.units)}), like {cls.example}")
        return cls(float(match[1]) * cls.units[match[2]])  # type: ignore[call-arg]

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(cls.parse)


class Duration(_Quantity, float):
    """Seconds. Written `500ms`, `30s`, `5m`, `168h`, `30d`; a bare number is refused."""

    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
    example = "30s"


class Size(_Quantity, int):
    """Bytes. Written `64KiB`, `128MiB`, `1GiB`; a bare number is refused."""

    units = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "kB": 1e3, "MB": 1e6, "GB": 1e9}
    example = "128MiB"
