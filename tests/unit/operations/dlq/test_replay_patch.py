"""A merge patch changes what it names, and nothing else: not even how a number is written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_processor.errors import ConfigurationError
from stream_processor.operations.dlq.replay_patch import parse_patch


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [  # the cases of RFC 7386, appendix A, whose target and patch are objects
        ('{"a":"b"}', '{"a":"c"}', '{"a":"c"}'),
        ('{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'),
        ('{"a":"b"}', '{"a":null}', "{}"),
        ('{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'),
        ('{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'),
        ('{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'),
        ('{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'),
        ('{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'),
        ('{"e":null}', '{"a":1}', '{"e":null,"a":1}'),
        ("{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'),
        # ours
        ('{"n":1.50e+01}', '{"m":-0.0}', '{"n":1.50e+01,"m":-0.0}'),
        ('{"a":1,"a":2}', '{"b":3}', '{"a":2,"b":3}'),
        (' {"a": [1, 2.0]} ', '{"b":{"c":1.0}}', '{"a":[1, 2.0],"b":{"c":1.0}}'),
    ],
)
def test_a_patch_is_a_merge_patch(target: str, patch: str, result: str) -> None:
    """People know RFC 7386 from other tools."""
    assert parse_patch(patch.encode(), "p.json").apply(target.encode()) == result.encode()


@pytest.mark.parametrize(
    "value",
    [None, b"", b"{", b"[]", b"1", b"null", b'{"a":\xff}', b"\xef\xbb\xbf{}", b'{"a":1}x'],
)
def test_what_is_no_object_cannot_be_patched(value: bytes | None) -> None:
    """A patch must never make an event of what was none."""
    assert parse_patch(b'{"a": 1}', "p.json").apply(value) is None


def test_depth_is_bounded() -> None:
    """A stranger's value must not overflow the stack."""
    deep = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    assert parse_patch(b'{"b": 1}', "p.json").apply(deep) is None
    with pytest.raises(ConfigurationError):
        parse_patch(deep, "p.json")


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"nil", b'{"a":01}', b'{"a":"\xff"}', b"{1}"])
def test_a_file_that_is_no_patch_is_refused(text: bytes) -> None:
    """Before any record is touched."""
    with pytest.raises(ConfigurationError, match=r"p\.json"):
        parse_patch(text, "p.json")


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
_OBJECTS = st.dictionaries(st.text(max_size=3), _VALUES, max_size=4)


def merge(target: Any, patch: Any) -> Any:
    """The pseudo code of RFC 7386, section 2, as it stands there."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge(result.get(name), value)
    return result


@given(_OBJECTS, _OBJECTS.filter(bool))
def test_it_agrees_with_the_pseudo_code_of_the_rfc(target: Any, patch: Any) -> None:
    """Whatever the names and values are."""
    text = parse_patch(json.dumps(patch).encode(), "p.json").apply(json.dumps(target).encode())
    assert text is not None
    assert json.loads(text) == merge(target, patch)
