"""Slack: which requests are Slack's, and what its events, commands and interactions are called."""

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest

from ledger.event import FORM, JSON
from receivers.provider import Handshake, Headers, Incoming, Rejected, Reply, Request
from receivers.providers.slack import PROVIDERS, read_command, read_event, read_interaction, verify

NOW = 1_767_225_600
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
OLD_SECRET = "0123456789abcdef0123456789abcdef"
BODY = b'{"type":"event_callback"}'

CALLBACK = {
    "type": "event_callback",
    "team_id": "T1",
    "api_app_id": "A1",
    "event_id": "Ev1",
    "event": {"type": "app_mention", "text": "hello"},
}
COMMAND = {
    "token": "x",
    "team_id": "T1",
    "command": "/invoice",
    "text": "",
    "enterprise_id": "",
    "trigger_id": "398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
}
INTERACTION = {"type": "block_actions", "team": {"id": "T1", "domain": "t"}, "trigger_id": "12.34.ab", "actions": []}


def v0(body: bytes = BODY, at: int | str = NOW, secret: str = SECRET) -> str:
    return "v0=" + hmac.new(secret.encode(), f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()


def header(signature: str | None, timestamp: str | None = str(NOW)) -> Headers:
    values = [(b"x-slack-signature", signature), (b"x-slack-request-timestamp", timestamp)]
    return Headers([(name, value.encode("latin-1")) for name, value in values if value is not None])


def signed(at: int) -> Headers:
    return header(v0(at=at), str(at))


def refusal(headers: Headers, body: bytes = BODY, secrets: tuple[str, ...] = (SECRET,), now: float = NOW) -> str:
    with pytest.raises(Rejected) as caught:
        verify(headers, body, secrets, now)
    assert caught.value.status == 401
    return caught.value.reason


def request(body: bytes, content_type: str, headers: Headers | None = None) -> Request:
    return Request(
        headers=headers or Headers([]),
        content_type=content_type,
        body=body,
        body_sha256=hashlib.sha256(body).hexdigest(),
    )


def posted_event(body: dict[str, Any], headers: Headers | None = None) -> Request:
    return request(json.dumps(body).encode(), JSON, headers)


def posted_command(fields: dict[str, str]) -> Request:
    return request(urlencode(fields).encode(), FORM)


def posted_interaction(payload: dict[str, Any]) -> Request:
    return request(urlencode({"payload": json.dumps(payload)}).encode(), FORM)


def incoming(named: Incoming | Handshake) -> Incoming:
    assert isinstance(named, Incoming)
    return named


# signatures


@pytest.mark.parametrize("at", [NOW - 300, NOW - 1, NOW, NOW + 300])
def test_a_timestamp_within_300_seconds_either_way_is_accepted(at: int) -> None:
    assert verify(signed(at), BODY, [SECRET], NOW) == 0


def test_a_timestamp_301_seconds_old_is_refused() -> None:
    assert refusal(signed(NOW - 301)) == "timestamp_too_old"


def test_a_timestamp_301_seconds_ahead_is_refused() -> None:
    assert refusal(signed(NOW + 301)) == "timestamp_in_future"


def test_an_old_timestamp_under_a_wrong_signature_is_called_a_wrong_signature() -> None:
    assert refusal(signed(NOW - 301), secrets=(OLD_SECRET,)) == "signature_mismatch"


def test_the_timestamp_is_signed_too() -> None:
    assert refusal(header(v0(at=NOW), str(NOW + 1))) == "signature_mismatch"


def test_the_position_says_which_secret_signed() -> None:
    assert verify(header(v0(secret=OLD_SECRET)), BODY, [SECRET, OLD_SECRET], NOW) == 1


def test_a_blank_secret_signs_nothing() -> None:
    assert refusal(header(v0(secret="")), secrets=("", " ")) == "signature_mismatch"


def test_a_changed_body_is_refused() -> None:
    assert refusal(signed(NOW), body=BODY + b" ") == "signature_mismatch"


def test_a_body_that_is_not_utf8_is_refused_even_if_its_bytes_were_signed() -> None:
    assert refusal(header(v0(b"\xff")), body=b"\xff") == "body_not_utf8"


@pytest.mark.parametrize("name", [b"x-slack-signature", b"x-slack-request-timestamp"])
def test_a_header_twice_is_refused_even_if_both_are_right(name: bytes) -> None:
    headers = signed(NOW)
    again = [(key, value) for key, value in headers.raw if key == name]
    assert refusal(Headers([*headers.raw, *again])) == "header_repeated"


@pytest.mark.parametrize("body", [b"ssl_check=1&token=x", b'{"type":"url_verification","challenge":"x"}'])
def test_nothing_in_an_unsigned_body_makes_verification_optional(body: bytes) -> None:
    assert refusal(header(None), body=body) == "signature_missing"


@pytest.mark.parametrize(
    ("signature", "timestamp", "reason"),
    [
        (None, str(NOW), "signature_missing"),
        ("", str(NOW), "signature_missing"),
        (v0(), None, "timestamp_missing"),
        (v0(), "", "timestamp_missing"),
        (v0().removeprefix("v0="), str(NOW), "signature_malformed"),
        (v0().replace("v0=", "v1="), str(NOW), "signature_malformed"),
        (v0().upper(), str(NOW), "signature_malformed"),
        (v0()[:-1], str(NOW), "signature_malformed"),
        (v0() + "0", str(NOW), "signature_malformed"),
        (v0() + "\n", str(NOW), "signature_malformed"),
        (f"{v0()},{v0()}", str(NOW), "signature_malformed"),
        ("v0=" + "é" * 64, str(NOW), "signature_malformed"),
        (v0(at=f"0{NOW}"), f"0{NOW}", "timestamp_malformed"),
        (v0(at=f"+{NOW}"), f"+{NOW}", "timestamp_malformed"),
        (v0(at=f" {NOW}"), f" {NOW}", "timestamp_malformed"),
        (v0(at=f"{NOW}\n"), f"{NOW}\n", "timestamp_malformed"),
        (v0(at=f"{NOW}.0"), f"{NOW}.0", "timestamp_malformed"),
        (v0(at="nan"), "nan", "timestamp_malformed"),
        (v0(at="1_767_225_600"), "1_767_225_600", "timestamp_malformed"),
        (v0(at="9" * 5000), "9" * 5000, "timestamp_malformed"),
        (v0(at="-1"), "-1", "timestamp_malformed"),
        (v0(at=0), "0", "timestamp_too_old"),
        (v0(at="999999999999"), "999999999999", "timestamp_in_future"),
    ],
)
def test_headers_that_slack_would_not_write_are_refused(
    signature: str | None, timestamp: str | None, reason: str
) -> None:
    assert refusal(header(signature, timestamp)) == reason


# events


def test_an_event_is_named_by_team_and_event_id_and_has_the_inner_type() -> None:
    assert read_event(posted_event(CALLBACK)) == Incoming(
        external_id="Ev1", dedupe_key="T1:Ev1", type="app_mention", account="T1"
    )


def test_a_retry_has_the_identity_of_the_first_try() -> None:
    retry = Headers([(b"x-slack-retry-num", b"1"), (b"x-slack-retry-reason", b"http_timeout")])
    assert read_event(posted_event(CALLBACK, retry)) == read_event(posted_event(CALLBACK))


def test_where_an_enterprise_installed_the_app_it_stands_for_the_team() -> None:
    named = incoming(read_event(posted_event(CALLBACK | {"team_id": None, "enterprise_id": "E1"})))
    assert (named.account, named.dedupe_key) == ("E1", "E1:Ev1")


def test_the_challenge_is_given_back_as_plain_text() -> None:
    assert read_event(posted_event({"type": "url_verification", "challenge": "3eZbrw1a"})) == Handshake(
        content=b"3eZbrw1a", media_type="text/plain"
    )


@pytest.mark.parametrize("challenge", [None, 5, "", "x" * 256, "<a b>", "\u00e9", ["x"]])
def test_a_challenge_that_is_not_one_short_word_is_kept_and_not_given_back(challenge: object) -> None:
    named = incoming(read_event(posted_event({"type": "url_verification", "challenge": challenge})))
    assert named.flaw
    assert named.type == "url_verification"


def test_an_outer_event_without_id_has_its_outer_type_and_its_body_as_identity() -> None:
    limited = posted_event({"type": "app_rate_limited", "team_id": "T1", "minute_rate_limited": 1518467820})
    assert read_event(limited) == Incoming(
        external_id=f"sha256:{limited.body_sha256}",
        dedupe_key=f"sha256:{limited.body_sha256}",
        type="app_rate_limited",
        account="T1",
    )


@pytest.mark.parametrize(
    "body",
    [
        CALLBACK | {"event": None},
        CALLBACK | {"event": {}},
        CALLBACK | {"event": {"type": 5}},
        CALLBACK | {"event": "app_mention"},
        CALLBACK | {"event_id": None},
        CALLBACK | {"event_id": 5},
        CALLBACK | {"event_id": "Ev1\u0000"},
        CALLBACK | {"team_id": ["T1"]},
        CALLBACK | {"type": None},
        CALLBACK | {"type": {"$ne": 1}},
        {},
    ],
)
def test_a_signed_event_that_cannot_be_named_is_kept_under_its_hash_with_the_reason(body: dict[str, Any]) -> None:
    asked = posted_event(body)
    named = incoming(read_event(asked))
    assert named.flaw
    assert named.external_id == named.dedupe_key == f"sha256:{asked.body_sha256}"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"[" * 200_000, b'{"type":Infinity}', b"payload=%7B%7D"])
def test_a_signed_body_that_is_no_json_object_is_kept_with_the_reason(body: bytes) -> None:
    named = incoming(read_event(request(body, JSON)))
    assert named.flaw
    assert named.flaw.startswith("not ")
    assert named.type == "unknown"


# commands


def test_a_command_is_named_by_team_and_trigger_id() -> None:
    assert read_command(posted_command(COMMAND)) == Incoming(
        external_id=COMMAND["trigger_id"],
        dedupe_key=f"T1:{COMMAND['trigger_id']}",
        type="slash_command",
        account="T1",
    )


def test_slacks_certificate_check_is_answered_empty_and_is_no_event() -> None:
    assert read_command(posted_command({"ssl_check": "1", "token": "x"})) == Handshake(
        content=b"", media_type="text/plain"
    )


def test_a_command_without_trigger_id_has_its_body_as_identity() -> None:
    asked = posted_command({"command": "/invoice", "team_id": "T1"})
    assert incoming(read_command(asked)).dedupe_key == f"sha256:{asked.body_sha256}"


@pytest.mark.parametrize(
    "body", [b"", b"a", b"token=x&team_id=T1", b"command=%FF", b"command=/x&team_id=a%20b", b"&".join([b"a=1"] * 101)]
)
def test_a_form_that_is_no_command_is_kept_with_the_reason(body: bytes) -> None:
    named = incoming(read_command(request(body, FORM)))
    assert named.flaw
    assert (named.type, named.account) == ("slash_command", None)


def test_a_signed_event_sent_again_as_a_form_cannot_smuggle_a_command_in_a_messages_text() -> None:
    forged = f"a=&{urlencode(COMMAND)}&b="
    asked = request(json.dumps(CALLBACK | {"event": {"type": "message", "text": forged}}).encode(), FORM)
    assert incoming(read_command(asked)).flaw


# interactions


def test_an_interaction_is_named_by_team_and_trigger_id_and_has_its_own_type() -> None:
    assert read_interaction(posted_interaction(INTERACTION)) == Incoming(
        external_id="12.34.ab", dedupe_key="T1:12.34.ab", type="block_actions", account="T1"
    )


def test_an_interaction_without_trigger_id_has_its_body_as_identity() -> None:
    asked = posted_interaction({"type": "view_closed", "team": {"id": "T1"}, "view": {"id": "V1"}})
    named = read_interaction(asked)
    assert named.external_id == named.dedupe_key == f"sha256:{asked.body_sha256}"
    assert (named.type, named.flaw) == ("view_closed", None)


def test_in_an_enterprise_install_the_interaction_belongs_to_the_enterprise() -> None:
    assert (
        read_interaction(posted_interaction(INTERACTION | {"team": None, "enterprise": {"id": "E1"}})).account == "E1"
    )


@pytest.mark.parametrize(
    "body",
    [b"", b"payload=", b"payload=%7B", b"payload=[]", b"payload=%FF", b"token=x&payload=%7B%22type%22:%22x%22%7D"],
)
def test_a_form_that_is_no_interaction_is_kept_with_the_reason(body: bytes) -> None:
    assert read_interaction(request(body, FORM)).flaw


@pytest.mark.parametrize("change", [{"type": 5}, {"team": "T1"}, {"team": {"id": 5}}, {"trigger_id": "a b"}])
def test_an_interaction_whose_names_are_unfit_is_kept_with_the_reason(change: dict[str, Any]) -> None:
    assert read_interaction(posted_interaction(INTERACTION | change)).flaw


def test_a_signed_event_sent_again_as_a_form_cannot_smuggle_an_interaction_in_a_messages_text() -> None:
    forged = f"a=&payload={quote_plus(json.dumps(INTERACTION))}&b="
    asked = request(json.dumps(CALLBACK | {"event": {"type": "message", "text": forged}}).encode(), FORM)
    assert read_interaction(asked).flaw


def test_slack_has_three_paths_under_one_secret() -> None:
    assert [(provider.path, provider.reply) for provider in PROVIDERS] == [
        ("/webhooks/slack/events", Reply.RECEIPT),
        ("/webhooks/slack/commands", Reply.COMMAND),
        ("/webhooks/slack/interactivity", Reply.EMPTY),
    ]
    assert {provider.secret_variable for provider in PROVIDERS} == {"SLACK_SIGNING_SECRET"}
    assert {provider.source for provider in PROVIDERS} == {"slack"}
    assert {provider.max_body_bytes for provider in PROVIDERS} == {1_048_576}
