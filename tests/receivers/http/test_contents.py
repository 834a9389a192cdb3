"""What a signed body may hold: anything. It is kept as it came, and what cannot be read is called unparseable."""

from collections.abc import Mapping
from importlib.util import find_spec

import pytest

from tests.receivers.http.server import Server
from tests.receivers.http.webhooks import FORM, JSON, PATHS, make_body, webhook

TYPES = [JSON, FORM, "multipart/form-data; boundary=x", "text/plain", "application/xml", "application/json-seq"]
SENT: Mapping[str, set[str]] = {path: {FORM} for path in PATHS} | {
    "/webhooks/stripe": {JSON},
    "/webhooks/github": {JSON, FORM},
    "/webhooks/slack/events": {JSON},
}

each_path = pytest.mark.parametrize("path", PATHS)
json_paths = pytest.mark.parametrize("path", ["/webhooks/stripe", "/webhooks/github", "/webhooks/slack/events"])

BOMBS = {
    "nested lists": b"[" * 200_000 + b"]" * 200_000,
    "nested lists without end": b"[" * 1_000_000,
    "nested objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a number of 5,000 digits": b'{"n":' + b"9" * 5_000 + b"}",
    "a number of a million digits": b'{"n":' + b"9" * 1_000_000 + b"}",
    "NaN": b'{"n":NaN}',
    "Infinity": b'{"n":-Infinity}',
    "a lone surrogate": b'{"id":"\\ud800"}',
    "a lone low surrogate": b'{"id":"\\udc00"}',
    "NUL for a name": b'{"\\u0000":"\\u0000","id":"\\u0000"}',
    "line breaks for a name": b'{"id":"evt_1\\r\\nX: y","type":"a\\nb","event_id":"\\u2028"}',
    "nothing": b"",
    "blanks": b" \r\n\t",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a list": b"[{}]",
    "a word": b'"object"',
    "null": b"null",
    "half an object": b'{"id":"evt_1","obj',
    "two objects": b"{}{}",
    "an empty object": b"{}",
    "objects for names": b'{"id":{},"type":[],"object":{"event":1},"event":"x","action":{}}',
    "one key many times": b'{"id":1' + b',"id":1' * 50_000 + b"}",
    "true for everything": b'{"id":true,"type":true,"object":true,"event":true,"team_id":true}',
}

FORM_BOMBS = {
    "nothing": b"",
    "ampersands": b"&" * 50_000,
    "50,000 fields": b"a=1&" * 50_000,
    "a lone percent sign": b"%",
    "no UTF-8": b"a=%FF",
    "a payload of nested lists": b"payload=" + b"[" * 200_000,
}


@each_path
@pytest.mark.parametrize("content_type", TYPES)
def test_the_content_type_changes_nothing_about_the_verdict_on_a_signature(
    server: Server, path: str, content_type: str
) -> None:
    before = server.count("events")
    unsigned = webhook(path).with_headers(content_type=content_type).with_signature("wrong")
    assert server.post(unsigned).status_code == 401
    assert server.count("events") == before


@each_path
@pytest.mark.parametrize("content_type", TYPES)
def test_a_content_type_that_the_source_never_sends_is_refused_after_verification(
    server: Server, path: str, content_type: str
) -> None:
    before = server.count("events")
    answer = server.post(webhook(path).with_headers(content_type=content_type))
    assert answer.status_code == (200 if content_type in SENT[path] else 415)
    assert server.count("events") == before + (content_type in SENT[path])


@json_paths
@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON", "application/json;x"])
def test_parameters_and_capitals_do_not_make_another_content_type(server: Server, path: str, content_type: str) -> None:
    assert server.post(webhook(path).with_headers(content_type=content_type)).status_code == 200


@each_path
def test_no_content_type_is_one_that_no_source_sends(server: Server, path: str) -> None:
    assert server.post(webhook(path).without_header("content-type")).status_code == 415


def test_nothing_that_reads_multipart_forms_is_installed() -> None:
    # Its parsers have had one denial of service after another.
    assert find_spec("multipart") is None
    assert find_spec("python_multipart") is None


@json_paths
@pytest.mark.parametrize("body", BOMBS.values(), ids=BOMBS)
def test_a_signed_body_that_cannot_be_read_is_kept_exactly_and_called_unparseable(
    server: Server, path: str, body: bytes
) -> None:
    assert server.post(webhook(path, body)).status_code == 200
    newest = server.find(body)
    stored = server.event(newest)
    assert stored["state"] == "unparseable"
    assert stored["deliveries"] == []
    assert server.body_of(newest) == body


@pytest.mark.parametrize("path", ["/webhooks/slack/commands", "/webhooks/slack/interactivity"])
@pytest.mark.parametrize("body", FORM_BOMBS.values(), ids=FORM_BOMBS)
def test_a_signed_form_that_cannot_be_read_is_kept_and_answered_200(server: Server, path: str, body: bytes) -> None:
    assert server.post(webhook(path, body)).status_code == 200
    assert server.event(server.find(body))["state"] == "unparseable"


def test_a_body_that_is_not_utf8_cannot_be_stripes_or_slacks_and_is_kept_if_it_is_githubs(server: Server) -> None:
    body = b'{"zen":"\xff\xfe"}'
    assert server.post(webhook("/webhooks/stripe", body)).status_code == 401
    assert server.post(webhook("/webhooks/slack/events", body)).status_code == 401
    stored = server.event(server.post(webhook("/webhooks/github", body)).json()["event"])
    assert stored["state"] == "unparseable"
    assert server.body_of(stored["id"]) == body


def test_one_bad_body_among_good_ones_in_the_same_commit_loses_none_of_them(server: Server) -> None:
    strange = ["\u0000", "\\ud800", "a\u0000b", "\\udfff\\ud800", "\u2028\u202e"]
    bad = [
        webhook("/webhooks/stripe", make_body("/webhooks/stripe", metadata=text).replace(b"\\\\u", b"\\u"))
        for text in strange * 5
    ]
    good = [webhook(path) for path in PATHS * 10]
    asked = [each for pair in zip(bad, good[:25], strict=True) for each in pair] + good[25:]
    before = server.newest()
    assert [answer.status_code for answer in server.post_at_once(asked)] == [200] * len(asked)
    stored = [row["body"] for row in server.rows("SELECT body FROM events WHERE id > ?", before)]
    assert sorted(stored) == sorted(each.body for each in asked)
