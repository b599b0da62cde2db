"""Takes the events of a slice apart in C, as far as it is sure of them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyarrow as pa

from stream_processor.processor.columns import Rows, TokenList, column
from stream_processor.processor.native.library import library
from stream_processor.processor.native.ready import Found
from stream_processor.processor.native.scanner import (
    DROP,
    KEEP,
    LEAVE_OVER,
    OBJECT,
    Objects,
    Places,
    Scanner,
    Text,
    Tokens,
)
from stream_processor.processor.plan import Plan
from stream_processor.processor.reader import Token, Tree, descend, tree_of
from stream_processor.processor.taken import Taken
from stream_processor.schema.paths import Path

_UNWANTED = {"rescue": KEEP, "drop": DROP, "reject": LEAVE_OVER}


class NativeDecoder:
    """Decodes as one plan wants. Made by `native_decoder_of`; has no state."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._tree = tree_of(tuple(field.path for field in plan.schema.fields))
        paths = {field.path for field in plan.schema.fields}
        whole = {str(path[0]) for path in paths if len(path) == 1}
        limits = (plan.options.max_depth, plan.options.max_record_bytes)
        unwanted = _UNWANTED[plan.options.unknown_fields]
        self._top = Scanner(_keys(self._tree), whole, unwanted, limits)
        self._below = {
            path: Scanner(_keys(tree), (), DROP, limits) for path, tree in _objects((), self._tree)
        }

    def take(self, values: pa.BinaryArray, asked: Rows) -> Taken:
        """The events among `asked` that were understood; the others are left to the reader."""
        text, bounds = _text(values)
        if values.null_count:  # what stands behind a null is no event
            asked = asked & values.is_valid().to_numpy(zero_copy_only=False)
        scanned = self._top.scan(Objects(text, bounds[:-1], bounds[1:], asked))
        rows = np.flatnonzero(scanned.taken)
        found = _Paths(text, np.ones(len(rows), np.bool_))
        for key, tokens in scanned.tokens.items():
            self._descend((key,), tokens, self._tree[key], found)
        fields = self._plan.schema.fields
        sure = found.sure
        tokens_of = [found.only_sure(field.path) for field in fields]
        coerce = self._plan.options.coerce
        return Taken(
            rows=rows[sure],
            columns=[
                column(field, coerce, tokens)
                for field, tokens in zip(fields, tokens_of, strict=True)
            ],
            rescued=_only(scanned.kept, sure),
            unknown={},
            texts=lambda place, indexes: tokens_of[place].texts(indexes),
        )

    def _descend(self, path: Path, tokens: Tokens, tree: Tree, found: _Paths) -> None:
        """Look up everything below a path, of those events that were understood so far."""
        if not _is_object(tree):
            self._descend_by_reader(path, tokens, tree, found)
            return
        found.native[path] = tokens
        if not tree:
            return
        starts, sizes, kinds = tokens
        asked = (kinds == OBJECT) & found.sure
        scanned = self._below[path].scan(Objects(found.text, starts, starts + sizes, asked))
        found.sure &= scanned.taken | (kinds != OBJECT)
        for key, below in scanned.tokens.items():
            self._descend((*path, key), below.spread(scanned.taken), tree[key], found)

    def _descend_by_reader(self, path: Path, tokens: Tokens, tree: Tree, found: _Paths) -> None:
        """The same where elements of arrays are wanted, which the library does not look up."""
        texts = Found(found.text, tokens).gathered().cast(pa.binary()).to_pylist()
        found.read[path] = texts
        descend(path, texts, tree, found.read)


class _Paths:
    """What was found at each path, and of which events everything was understood."""

    def __init__(self, text: Text, sure: Rows) -> None:
        self.text = text
        self.sure = sure
        self.native: dict[Path, Tokens] = {}
        self.read: dict[Path, list[Token]] = {}

    def only_sure(self, path: Path) -> Found | TokenList:
        """The tokens of a path, of the events that were understood."""
        tokens = self.native.get(path)
        if tokens is None:
            read = self.read[path]
            return TokenList([read[row] for row in np.flatnonzero(self.sure).tolist()])
        if not self.sure.all():
            tokens = tokens.only(self.sure)
        return Found(self.text, tokens)


@lru_cache(maxsize=16)
def native_decoder_of(plan: Plan) -> NativeDecoder | None:
    """The decoder of a plan; None where the library was not built or the plan does not want it."""
    if plan.options.decoder == "python" or library() is None:
        return None
    return NativeDecoder(plan)


def _keys(tree: Tree) -> list[str]:
    return [str(step) for step in tree]


def _is_object(tree: Tree) -> bool:
    """Whether all steps below are keys, at every level that is looked up at once with it."""
    return not any(isinstance(step, int) for step in tree)


def _objects(path: Path, tree: Tree) -> list[tuple[Path, Tree]]:
    """Every path below which keys are wanted, and keys alone."""
    found = [(path, tree)] if path and tree and _is_object(tree) else []
    for step, below in tree.items():
        found += _objects((*path, step), below)
    return found


def _text(values: pa.BinaryArray) -> tuple[Text, Places]:
    """The bytes of all events, and where each begins (one more at the end)."""
    _, offsets, data = values.buffers()
    bounds = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1]
    return Text(data, data.address, data.size), bounds


def _only(kept: pa.StringArray | None, sure: Rows) -> pa.StringArray | None:
    return kept if kept is None or sure.all() else kept.filter(pa.array(sure))
