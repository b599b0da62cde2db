"""The scalar types of the models: how text from a file, a variable or a flag becomes a value.

A value that is written in a file must have its type there (`5`, not `"5"`). A value that came
through a reference or a flag is text by nature: it is marked as `ReferencedText` by the loader, and
the type of its place decides what it becomes.
"""

from __future__ import annotations

import difflib
import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, StringConstraints

MASK = "***"

IDENTIFIER = "[A-Za-z0-9._-]{1,128}"
"""What an identity in the tables looks like, also one that is taken from the name."""

_SECRET_WORDS = re.compile(
    r"pass(?:word|wd|phrase)|pwd|psw|secret|token|credential|(?<!public.)key|jaas|\bpem\b",
    re.IGNORECASE,
)
_MISSPELT = ("password", "passphrase", "secret", "token", "credential")
_NOT_SECRET = re.compile(
    r"key[._-]?file|key\.location|key\.(?:de)?serializer|token\.endpoint\.url", re.IGNORECASE
)
_WORD = re.compile(r"""[^\s"']+""")


class ReferencedText(str):
    """Text that came through `${...}` or a flag; only the loader makes it."""

    __slots__ = ()


def looks_secret(name: str) -> bool:
    """Say whether a setting of this name may hold a secret, judged by the words in it.

    Asked before anything is shown: by the models' repr, by `config show`, and by error messages.
    It errs towards yes: a path that is shown as `***` costs less than a password that is shown.
    """
    rest = _NOT_SECRET.sub("", name)
    if _SECRET_WORDS.search(rest) is not None:
        return True
    # `pasword: hunter2` is an unknown key, so its line is shown to a person.
    words = re.findall("[a-z]{5,}", rest.lower())
    return any(difflib.get_close_matches(word, _MISSPELT, n=1, cutoff=0.8) for word in words)


def shown_key(key: str) -> str:
    """A key as it may be shown: where a blank is missing, `{password:hunter2}` is all key."""
    match = re.match(r"[A-Za-z0-9_.-]*", key)
    name = match[0] if match is not None else ""
    return name + MASK if len(name) < len(key) and looks_secret(key) else key


def user_info_spans(text: str) -> list[tuple[int, int]]:
    """Where names and passwords of addresses stand: `https://me:secret@host`, `me:secret@host`.

    One pass over the words of the text, since a regular expression for it can be made slow.
    """
    spans = []
    for word in _WORD.finditer(text):
        before, at, _ = word[0].rpartition("@")
        start = before.find("://") + 3 if "://" in before else 0
        if at and ":" in before:
            spans.append((word.start() + start, word.start() + len(before)))
    return spans


def without_user_info(text: str) -> str:
    """Text as it is, but for a name and a password in an address."""
    for start, end in reversed(user_info_spans(text)):
        text = text[:start] + MASK + text[end:]
    return text


class Settings(dict[str, str]):
    """Raw client settings, name to text. Its repr masks what looks secret."""

    def __repr__(self) -> str:
        return repr(_masked(self))

    __str__ = __repr__


def _whole(value: Any) -> Any:
    if isinstance(value, ReferencedText) and re.fullmatch(r"-?[0-9]{1,18}", value):
        return int(value)
    return value


def _ratio(value: Any) -> Any:
    if isinstance(value, ReferencedText) and re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,18})?", value):
        return float(value)
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return float(value)
    return value


def _flag(value: Any) -> Any:
    if isinstance(value, ReferencedText):
        return {"true": True, "false": False}.get(value, value)
    return value


def _names(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(","))
    return value


def _texts(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _plain(item) for key, item in value.items()}


def _plain(value: Any) -> Any:
    """`65536` and `true` need no quotes: a client wants their text, and there is only one."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal) and "E" not in str(value):
        return str(value)
    return value


def _masked(value: Settings) -> dict[str, str]:
    """A dump of a model is for showing: the values themselves are read from the model."""
    return {key: MASK if looks_secret(key) else text for key, text in value.items()}


Identifier = Annotated[str, Field(pattern=f"^{IDENTIFIER}$")]
Text = Annotated[str, StringConstraints(min_length=1)]
Whole = Annotated[int, BeforeValidator(_whole)]
Ratio = Annotated[float, BeforeValidator(_ratio)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Names = Annotated[
    tuple[Text, ...], BeforeValidator(_names, json_schema_input_type=tuple[Text, ...] | Text)
]
"""A list, or one text with commas, so that a variable can hold it: `topics: "${KAFKA_TOPICS}"`."""
TextMap = Annotated[
    dict[str, str],
    BeforeValidator(_texts, json_schema_input_type=dict[str, str | int | float | bool]),
    AfterValidator(Settings),
    PlainSerializer(_masked),
]
Folder = Annotated[Text, AfterValidator(lambda text: text.rstrip("/") or "/")]
"""A local folder or `s3://bucket/prefix`, without a slash at the end."""
