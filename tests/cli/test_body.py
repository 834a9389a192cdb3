"""A body as people read it: laid out, and still what was signed."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cli.body import MAX_LINES, body_lines
from ledger.event import FORM, JSON

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=15,
)


def shown(body: bytes, content_type: str = JSON, *, full: bool = True) -> str:
    return "\n".join("".join(part.text for part in line) for line in body_lines(content_type, body, full=full))


@given(value=st.lists(VALUES) | st.dictionaries(st.text(), VALUES))
def test_json_is_laid_out_as_python_would_indent_it(value: Any) -> None:
    assert shown(json.dumps(value).encode()) == json.dumps(value, indent=2)


@given(body=st.binary())
def test_any_bytes_can_be_shown_and_nothing_of_them_steers_the_terminal(body: bytes) -> None:
    for content_type in (JSON, FORM):
        for line in shown(body, content_type).split("\n"):
            assert not any(ord(sign) < 0x20 or 0x7F <= ord(sign) < 0xA0 for sign in line)


def test_numbers_and_doubled_keys_are_shown_as_they_were_written() -> None:
    assert shown(b'{"n":1.50e2,"n":"\\u00e9"}') == '{\n  "n": 1.50e2,\n  "n": "\\u00e9"\n}'


def test_a_form_is_one_field_a_line_with_the_json_in_it_laid_out() -> None:
    assert shown(b"text=a+b&payload=%7B%22a%22%3A1%7D", FORM) == 'text: a b\npayload:\n  {\n    "a": 1\n  }'


def test_what_is_no_whole_json_is_shown_as_it_is() -> None:
    assert shown(b'{"a": [1}') == '{"a": [1}'
    assert shown(b"plain\ntext") == "plain\ntext"


def test_a_long_body_is_cut_and_says_how_to_see_all() -> None:
    body = json.dumps(["x" * 1_000, *range(500)]).encode()
    lines = shown(body, full=False).split("\n")
    assert len(lines) == MAX_LINES + 1
    assert lines[-1] == "… it goes on: --full shows all, --raw the exact bytes"
    assert max(map(len, lines)) == 400
    assert "…" not in shown(body)
