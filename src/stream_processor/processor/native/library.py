"""The door to the compiled library, of the C files here: finds it, and knows how it is called.

It is plain C without Python's own interface, so that building it needs a compiler and nothing else.
A call lets other threads run. Where the library was not built there is none, and Python decodes.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

_NAME = "stream_processor.processor.native._scan"
_INTERFACE_VERSION = 2
"""As in `scan.h`. A library of another version is not used."""

_ADDRESS, _NUMBER = ctypes.c_void_p, ctypes.c_int64


class Scan(ctypes.Structure):
    """`struct scan` in `scan.c`, which says what each means."""

    _fields_ = (
        ("data", _ADDRESS),
        ("data_bytes", _NUMBER),
        ("begins", _ADDRESS),
        ("ends", _ADDRESS),
        ("events", _NUMBER),
        ("event_bytes_max", _NUMBER),
        ("depth_max", _NUMBER),
        ("keys", _ADDRESS),
        ("key_bounds", _ADDRESS),
        ("key_count", _NUMBER),
        ("key_whole", _ADDRESS),
        ("key_next", _ADDRESS),
        ("brackets", _ADDRESS),
        ("unwanted", _NUMBER),
        ("starts", _ADDRESS),
        ("sizes", _ADDRESS),
        ("kinds", _ADDRESS),
        ("taken", _ADDRESS),
        ("kept", _ADDRESS),
        ("kept_bytes_max", _NUMBER),
        ("kept_bounds", _ADDRESS),
    )


class TokenColumn(ctypes.Structure):
    """`struct column` in `column.h`, which says what each means."""

    _fields_ = (
        ("data", _ADDRESS),
        ("data_bytes", _NUMBER),
        ("starts", _ADDRESS),
        ("sizes", _ADDRESS),
        ("kinds", _ADDRESS),
        ("rows", _NUMBER),
        ("is_nullable", _NUMBER),
        ("states", _ADDRESS),
    )


class NumberForm(ctypes.Structure):
    """`struct number_form` in `forms.c`: most digits before and behind the point; quotes."""

    _fields_ = (("before", _NUMBER), ("behind", _NUMBER), ("is_quotable", _NUMBER))


class StringForm(ctypes.Structure):
    """`struct string_form` in `texts.c`: the rules of `normalise`, and whether bare words count."""

    _fields_ = (("rules", _ADDRESS), ("rule_count", _NUMBER), ("takes_bare", _NUMBER))


class InstantForm(ctypes.Structure):
    """`struct instant_form` in `forms.c`, which says what each means."""

    _fields_ = (
        ("takes_rfc3339", _NUMBER),
        ("zone_minutes", _NUMBER),
        ("has_zone", _NUMBER),
        ("takes_epoch", _NUMBER),
        ("epoch_microseconds", _NUMBER),
        ("epoch", NumberForm),
    )


_FUNCTIONS: dict[str, tuple[type[ctypes.c_int64] | None, tuple[Any, ...]]] = {
    "scan_events": (_NUMBER, (ctypes.POINTER(Scan),)),
    "convert_strings": (
        _NUMBER,
        (
            ctypes.POINTER(TokenColumn),
            ctypes.POINTER(StringForm),
            _ADDRESS,
            _NUMBER,
            _ADDRESS,
        ),
    ),
    "gather_tokens": (_NUMBER, (ctypes.POINTER(TokenColumn), _ADDRESS, _NUMBER, _ADDRESS)),
    "convert_numbers": (
        None,
        (ctypes.POINTER(TokenColumn), ctypes.POINTER(NumberForm), _NUMBER, _ADDRESS),
    ),
    "convert_instants": (
        None,
        (ctypes.POINTER(TokenColumn), ctypes.POINTER(InstantForm), _ADDRESS),
    ),
}


@lru_cache(maxsize=1)
def library() -> Any:
    """The loaded library; None where it was not built, or was built for another version."""
    found = find_spec(_NAME)
    if found is None or found.origin is None:
        return None
    try:
        loaded = ctypes.CDLL(found.origin)
        loaded.interface_version.restype = _NUMBER
        if loaded.interface_version() != _INTERFACE_VERSION:
            return None
        for name, (result, parameters) in _FUNCTIONS.items():
            function = getattr(loaded, name)
            function.restype, function.argtypes = result, parameters
    except (OSError, AttributeError):  # of another machine, or no library of ours
        return None
    return loaded


def decoder_name() -> str:
    """`native` where the library was built, else `python`; for whoever asks what is in use."""
    return "python" if library() is None else "native"


def address(array: np.ndarray[Any, Any]) -> int:
    """Where the bytes of an array begin; it must be kept until the call is over."""
    return int(array.ctypes.data)
