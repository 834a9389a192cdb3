"""Reading verified bodies."""

import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.event import FORM, JSON, Unreadable, read_payload

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(),
    lambda inner: st.lists(inner, max_size=3),
)


@given(st.dictionaries(st.text(), JSON_VALUES))
def test_a_json_object_is_read_as_it_was_written(value: dict[str, object]) -> None:
    assert read_payload(JSON, json.dumps(value).encode()) == value


@given(st.dictionaries(st.text(min_size=1), JSON_VALUES))
def test_an_object_in_a_form_is_read_like_one_in_json(value: dict[str, object]) -> None:
    assert read_payload(FORM, urlencode({"payload": json.dumps(value)}).encode()) == value


@given(st.sampled_from([JSON, FORM]), st.binary(max_size=200))
def test_any_bytes_are_either_read_or_called_unreadable(content_type: str, body: bytes) -> None:
    try:
        assert isinstance(read_payload(content_type, body), dict)
    except Unreadable as error:
        assert str(error)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'"text"',
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"n": NaN}',
        b'{"n": ' + b"9" * 5000 + b"}",
        b'{"s": "\\ud800"}',
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
    ],
    ids=["empty", "list", "text", "deep list", "deep object", "nan", "huge", "surrogate", "not utf-8", "bom"],
)
def test_what_is_not_a_plain_json_object_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read_payload(JSON, body)


def test_a_form_of_too_many_fields_is_unreadable() -> None:
    with pytest.raises(Unreadable):
        read_payload(FORM, b"&".join(b"a=1" for _ in range(200)))
