"""What is read of a body without reading the rest."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.event import JSON, Unreadable, read_payload
from receivers.outline import FEW, Outline, has_words_unknown_to_json

PATHS = ("a", "b.a", "b.b.a", "c.a")
KEYS = st.sampled_from(["a", "b", "c", "d"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(SCALARS, lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=4))

outline = Outline(PATHS)


def at(payload: object, path: str) -> object:
    """Follow a dotted path, as `receivers.providers.github` does."""
    for key in path.split("."):
        payload = payload.get(key) if isinstance(payload, dict) else None
    return payload


def emptied(value: object) -> object:
    """Take out of every object what is in it."""
    if isinstance(value, list):
        return [emptied(each) for each in value]
    return {} if isinstance(value, dict) else value


def shown(payload: dict[str, Any] | None) -> list[object] | None:
    # At the end of a path one outline ends; at the end of a longer one, another.
    return None if payload is None else [repr(emptied(at(payload, path))) for path in PATHS]


@given(
    st.lists(st.tuples(KEYS, VALUES), max_size=6),
    st.sampled_from([b"", b" ", b"x", b"\xef\xbb\xbf", b"\xff"]),
)
def test_what_stands_at_the_paths_is_what_stands_there_when_all_is_read(
    fields: list[tuple[str, object]], rest: bytes
) -> None:
    # Written by hand: a field may be there twice.
    pairs = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in fields]
    body = f"{{{', '.join(pairs)}}}".encode() + rest
    ours: dict[str, Any] | None = None
    theirs: dict[str, Any] | None = None
    with suppress(Unreadable):
        ours = outline.read(body)
    with suppress(Unreadable):
        theirs = read_payload(JSON, body)
    assert shown(ours) == shown(theirs)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"d":NaN}',
        b'{"d":-Infinity}',
        b'{"d":"\\ud800"}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":' + b"[" * 250 + b"]" * 250 + b"}",
    ],
)
def test_what_cannot_be_read_is_not_read_by_its_outline_either(body: bytes) -> None:
    with pytest.raises(Unreadable):
        outline.read(body)


def test_lists_in_lists_are_read_as_deep_as_json_may_be() -> None:
    body = b'{"a":' + b"[" * 190 + b"]" * 190 + b"}"
    assert outline.read(body) == read_payload(JSON, body)


@given(st.lists(st.sampled_from([b"N", b"a", b"I", b"nfinity", b"x"]), max_size=2 * FEW))
def test_words_that_json_does_not_have_are_found_among_their_letters(pieces: list[bytes]) -> None:
    body = b"".join(pieces)
    assert has_words_unknown_to_json(body) == (b"NaN" in body or b"Infinity" in body)
