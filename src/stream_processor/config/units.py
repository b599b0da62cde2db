"""Durations and sizes with their units: `30s`, `128MiB`. A bare number is refused."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,9})?"


class _Quantity:
    """Shared by the units: text with a unit, or a value that is already of the class."""

    units: ClassVar[dict[str, float]]
    example: ClassVar[str]

    @classmethod
    def parse(cls, value: Any) -> Self:
        """Turn text like `30s` into the value. Raises ValueError with what is expected."""
        if isinstance(value, cls):
            return value
        match = re.fullmatch(rf"({_NUMBER})\s?([A-Za-z]+)", value if isinstance(value, str) else "")
        if match is None or match[2] not in cls.units:
            units = ", ".join(cls.units)
            raise ValueError(f"expected a number with a unit ({units}), like {cls.example}")
        # The subclass is a float or an int, whose constructor takes the number.
        return cls(float(match[1]) * cls.units[match[2]])  # type: ignore[call-arg]

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: Any, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse,
            serialization=core_schema.plain_serializer_function_ser_schema(
                cls.in_words, when_used="json-unless-none"
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        units = "|".join(cls.units)
        return {"type": "string", "pattern": rf"^{_NUMBER}\s?({units})$", "examples": [cls.example]}

    def in_words(self) -> str:
        """Write the value as a person would: with the largest unit that leaves a whole number.

        Asked by `config show` and by the reference; `str` stays the bare number, which is what
        the clients of Kafka and S3 take.
        """
        number = float(self)  # type: ignore[arg-type]  # every subclass is a float or an int
        fitting = [unit for unit in self.units if number and number % self.units[unit] == 0]
        unit = max(fitting, key=self.units.__getitem__, default=next(iter(self.units)))
        return f"{number / self.units[unit]:.15g}{unit}"


class Duration(_Quantity, float):
    """Seconds. Written `500ms`, `30s`, `5m`, `168h`, `30d`; a bare number is refused."""

    units: ClassVar[dict[str, float]] = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
    example: ClassVar[str] = "30s"


class Size(_Quantity, int):
    """Bytes. Written `64KiB`, `128MiB`, `1GiB`; a bare number is refused."""

    units: ClassVar[dict[str, float]] = {
        "B": 1,
        "KiB": 2**10,
        "MiB": 2**20,
        "GiB": 2**30,
        "kB": 1e3,
        "MB": 1e6,
        "GB": 1e9,
    }
    example: ClassVar[str] = "128MiB"
