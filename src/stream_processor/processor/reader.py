"""Takes events apart: for every path of the schema the exact text that stands there.

msgspec decodes only the skeleton; values stay text (`msgspec.Raw`), so nothing is converted twice,
numbers keep their digits, and a key that stands twice means its last value at its first place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from stream_processor.processor.plan import Plan
from stream_processor.processor.rejection import PROBLEMS_MAX
from stream_processor.schema.paths import Path

ABSENT = b""
"""Stands for a value that is not there; the text of a JSON value is never empty."""

Token = msgspec.Raw | bytes
Tree = dict[str | int, "Tree"]
"""The paths of a schema, merged: what is looked up below each step."""

_KEYS_FEW = 16
_BYTES_FEW = 16 * 1024
"""The library compares each key of an object with each of the wanted ones, one after the other: for
many wanted keys and a large object that is too dear, and a dictionary is made first."""

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Reading:
    """What stands at each path, one token per event that was read, in order.

    `rescued` is what the schema does not read, as `_rescued` has it; None when it is not kept.
    `refused` are the indexes of events that were not read, since they are not JSON. `unknown`
    has the members that no field names, of each event that was read and has such (its index among
    those), when the plan rejects them; no more of one event than a rejection may list.
    """

    tokens: dict[Path, list[Token]]
    rescued: list[bytes | None] | None
    refused: list[int]
    unknown: dict[int, list[tuple[str, Token]]]


class _Roots(NamedTuple):
    """The same for the keys at the top of the events."""

    tokens: dict[str, list[Token]]
    rescued: list[bytes | None] | None
    refused: list[int]
    unknown: dict[int, list[tuple[str, Token]]]


class Reader:
    """Reads events as one plan wants. Made by `reader_of`; has no state."""

    def __init__(self, plan: Plan) -> None:
        self._paths = tuple(dict.fromkeys(field.path for field in plan.schema.fields))
        self._whole = tuple(str(path[0]) for path in self._paths if len(path) == 1)
        roots = dict.fromkeys(str(path[0]) for path in self._paths)
        self._part = tuple(key for key in roots if key not in self._whole)
        self._tree = tree_of(self._paths)
        self._read = {
            "rescue": self._keep_unread,
            "reject": self._refuse_unread,
            "drop": self._drop_unread,
        }[plan.options.unknown_fields]

    def read(self, values: Sequence[bytes]) -> Reading:
        """Each value must be UTF-8 and of bounded depth; anything else may be wrong with it."""
        roots = self._read(values)
        found: dict[Path, list[Token]] = {}
        for key, tokens in roots.tokens.items():
            found[(key,)] = tokens
            descend((key,), tokens, self._tree[key], found)
        ordered = {path: found[path] for path in self._paths}
        return Reading(ordered, roots.rescued, roots.refused, roots.unknown)

    def _keep_unread(self, values: Sequence[bytes]) -> _Roots:
        whole, part = self._whole, self._part
        no_whole, no_part = (ABSENT,) * len(whole), (ABSENT,) * len(part)
        flat: list[Token] = []
        rescued: list[bytes | None] = []
        refused: list[int] = []
        for index, value in enumerate(values):
            try:
                members = _members(value)
            except (msgspec.DecodeError, RecursionError):
                refused.append(index)
                continue
            flat.extend(map(members.pop, whole, no_whole))
            if part:
                flat.extend(map(members.get, part, no_part))
            rescued.append(_encode(members) if members else None)
        return _Roots(_columns((*whole, *part), flat), rescued, refused, {})

    def _refuse_unread(self, values: Sequence[bytes]) -> _Roots:
        keys = (*self._whole, *self._part)
        none = (ABSENT,) * len(keys)
        flat: list[Token] = []
        refused: list[int] = []
        unknown: dict[int, list[tuple[str, Token]]] = {}
        for index, value in enumerate(values):
            try:
                members = _members(value)
            except (msgspec.DecodeError, RecursionError):
                refused.append(index)
                continue
            flat.extend(map(members.pop, keys, none))
            if members:
                unknown[index - len(refused)] = list(islice(members.items(), PROBLEMS_MAX))
        return _Roots(_columns(keys, flat), None, refused, unknown)

    def _drop_unread(self, values: Sequence[bytes]) -> _Roots:
        keys = (*self._whole, *self._part)
        decode = _object_decoder(keys)
        objects: list[Any] = []
        refused: list[int] = []
        for index, value in enumerate(values):
            try:
                objects.append(decode(value))
            except (msgspec.DecodeError, RecursionError):
                refused.append(index)
        tokens = {key: _attribute(objects, place) for place, key in enumerate(keys)}
        return _Roots(tokens, None, refused, {})


@lru_cache(maxsize=16)
def reader_of(plan: Plan) -> Reader:
    """The reader of a plan, made once."""
    return Reader(plan)


def _columns(keys: tuple[str, ...], flat: list[Token]) -> dict[str, list[Token]]:
    return {key: flat[place :: len(keys)] for place, key in enumerate(keys)}


def _attribute(objects: list[Any], place: int) -> list[Token]:
    return list(map(attrgetter(f"f{place}"), objects))


@lru_cache(maxsize=256)
def _object_decoder(keys: tuple[str, ...]) -> Callable[[Token], Any]:
    """Decodes only these members of an object, as attributes f0, f1, ...; skips all others."""
    names = [f"f{place}" for place in range(len(keys))]
    struct = msgspec.defstruct(
        "Members",
        [(name, msgspec.Raw, ABSENT) for name in names],
        rename=dict(zip(names, keys, strict=True)),
        gc=False,
    )
    decode = msgspec.json.Decoder(struct).decode
    if len(keys) <= _KEYS_FEW:
        return decode

    def decode_bounded(token: Token) -> Any:
        if len(token) > _BYTES_FEW:
            members = _members(token)
            token = _encode({key: members[key] for key in keys if key in members})
        return decode(token)

    return decode_bounded


def tree_of(paths: Sequence[Path]) -> Tree:
    """The paths merged by their steps."""
    tree: Tree = {}
    for path in paths:
        branch = tree
        for step in path:
            branch = branch.setdefault(step, {})
    return tree


def descend(path: Path, tokens: list[Token], tree: Tree, found: dict[Path, list[Token]]) -> None:
    """Look up everything below `path`, each object and array once however many paths cross it.

    `tokens` are what stands there; what is found goes into `found`.
    """
    keys = tuple(step for step in tree if isinstance(step, str))
    below: dict[str | int, list[Token]] = {}
    if keys:
        decode = _object_decoder(keys)
        nothing = decode(b"{}")
        objects = [_opened(decode, token, nothing) for token in tokens]
        below |= {key: _attribute(objects, place) for place, key in enumerate(keys)}
    indexes = [step for step in tree if isinstance(step, int)]
    if indexes:
        arrays = [_opened(_items, token, []) for token in tokens]
        for index in indexes:
            below[index] = [items[index] if index < len(items) else ABSENT for items in arrays]
    for step, column in below.items():
        found[(*path, step)] = column
        descend((*path, step), column, tree[step], found)


def _opened(decode: Callable[[Token], Any], token: Token, nothing: Any) -> Any:
    """The members or items of a valid token; nothing when it is absent or of another kind."""
    if not len(token):
        return nothing
    try:
        return decode(token)
    except msgspec.DecodeError:
        return nothing
