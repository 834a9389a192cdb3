"""What `verify` says: every way in which a signature fails gets its name, and nothing is named that is not proven."""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, unquote_plus, urlencode

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cli.signing import sign_github, sign_slack, sign_stripe
from cli.verify.diagnosis import VERIFY, Captured, Diagnosis, diagnose
from cli.verify.found_headers import NoHeaders, parse_headers
from cli.verify.keys import Key
from receivers.provider import Headers, Rejected
from tests.examples import examples
from tests.receivers.test_signature_vectors import Vector, load

SECRET = "whsec_dGVzdCBzZWNyZXQgb2Ygbm9ib2R5"
NOW = 1_793_361_600.0

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
LEAVES = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXT
JSONS = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))
OBJECTS = st.dictionaries(TEXT, JSONS, min_size=2, max_size=4)


def pretty(payload: object) -> bytes:
    return json.dumps(payload, indent=2, ensure_ascii=False).encode()


def compact(payload: object) -> bytes:
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()


def signed(source: str, body: bytes, secret: str = SECRET, at: float = NOW) -> dict[str, str]:
    if source == "github":
        return sign_github(body, secret)
    return sign_stripe(body, secret, at) if source == "stripe" else sign_slack(body, secret, at)


def ask(source: str, headers: Mapping[str, str], body: bytes | None, *secrets: str, others: Any = ()) -> Diagnosis:
    keys = [Key(name=f"secret {n}", secret=each) for n, each in enumerate(secrets or (SECRET,))]
    keys += [Key(name=f"other {n}", secret=each, given=False) for n, each in enumerate(others)]
    return diagnose(Captured(source=source, headers=list(headers.items()), body=body, received_at=NOW), keys)


def cause(diagnosis: Diagnosis) -> str:
    assert not diagnosis.verified
    assert diagnosis.cause is not None
    return diagnosis.cause.name


def re_encoded(payload: Any) -> bytes:
    return pretty(payload).decode().encode("utf-16")


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "body_newline_stripped": lambda body: body.removesuffix(b"\n"),
    "body_newline_added": lambda body: body + b"\n",
    "body_whitespace_added": lambda body: b"  " + body + b" ",
    "body_bom_added": lambda body: b"\xef\xbb\xbf" + body,
    "body_crlf": lambda body: body.replace(b"\n", b"\r\n"),
    "body_re_encoded": lambda body: body.decode().encode("utf-16"),
    "body_base64": base64.b64encode,
    "body_json_string": lambda body: json.dumps(body.decode()).encode(),
    "body_python_repr": lambda body: str(body).encode(),
}


@pytest.mark.parametrize("name", CHANGES)
@examples(8)  # each tries a hundred changes under several secrets
@given(payload=OBJECTS)
def test_what_happened_to_a_body_is_found_out(name: str, payload: dict[str, Any]) -> None:
    body = pretty(payload) + (b"\n" if name == "body_newline_stripped" else b"")
    diagnosis = ask("stripe", signed("stripe", body), CHANGES[name](body))
    assert cause(diagnosis) == name


@pytest.mark.parametrize(
    ("was", "became"),
    [
        (pretty, compact),
        (pretty, lambda payload: json.dumps(payload).encode()),
        (pretty, lambda payload: json.dumps(payload, indent=4, ensure_ascii=True).encode()),
        (compact, pretty),
        (compact, lambda payload: json.dumps(payload).replace("/", "\\/").encode()),
        (lambda payload: json.dumps(payload).encode(), lambda payload: pretty(payload) + b"\n"),
    ],
)
@examples(8)  # each tries a hundred changes under several secrets
@given(payload=OBJECTS)
def test_a_body_that_was_parsed_and_written_again_is_found_out(
    was: Callable[[object], bytes], became: Callable[[object], bytes], payload: dict[str, Any]
) -> None:
    for source in ("stripe", "github", "slack"):
        diagnosis = ask(source, signed(source, was(payload)), became(payload))
        assert cause(diagnosis) == "body_re_serialised"


@examples(8)  # each tries a hundred changes under several secrets
@given(payload=OBJECTS, letter=st.sampled_from("äéñß"))
def test_text_that_was_read_in_another_encoding_is_found_out(payload: dict[str, Any], letter: str) -> None:
    body = pretty(payload | {"name": letter})
    misread = body.decode("latin-1").encode()
    assert cause(ask("stripe", signed("stripe", body), misread)) == "body_re_encoded"


@examples(8)  # each tries a hundred changes under several secrets
@given(fields=st.dictionaries(st.text("abc_", min_size=1, max_size=5), st.text("xyz ä/+%", max_size=9), min_size=2))
def test_a_form_that_was_decoded_or_encoded_anew_is_found_out(fields: dict[str, str]) -> None:
    form = urlencode(fields).encode()
    other = urlencode(fields, quote_via=quote).encode()
    for seen in (unquote_plus(form.decode()).encode(), compact(fields), other):
        assume(seen != form)
        assert cause(ask("slack", signed("slack", form), seen)) in ("body_form_decoded", "body_form_re_encoded")


@examples(8)  # each tries a hundred changes under several secrets
@given(payload=OBJECTS)
def test_a_payload_taken_out_of_its_form_is_found_out(payload: dict[str, Any]) -> None:
    form = urlencode({"payload": compact(payload)}).encode()
    ((_, inner),) = parse_qsl(form.decode())
    for source in ("github", "slack"):
        assert cause(ask(source, signed(source, form), inner.encode())) == "body_form_decoded"


@examples(8)  # each tries a hundred changes under several secrets
@given(body=st.binary(max_size=200), other=st.binary(max_size=200))
def test_nothing_is_named_that_does_not_hold(body: bytes, other: bytes) -> None:
    """Of a body that has nothing to do with what was signed, no story is told."""
    diagnosis = ask("github", sign_github(b"\x00signed" + body, SECRET), other + b"\x01")
    assert cause(diagnosis) == "wrong_secret"


@pytest.mark.parametrize(
    ("given_as", "name"),
    [
        (f" {SECRET}\n", "secret_whitespace"),
        (f'"{SECRET}"', "secret_quoted"),
        (SECRET.removeprefix("whsec_"), "secret_prefix_missing"),
    ],
)
def test_a_secret_that_was_copied_badly_is_found_out(given_as: str, name: str) -> None:
    diagnosis = ask("stripe", signed("stripe", b"{}"), b"{}", given_as)
    assert cause(diagnosis) == name
    assert SECRET.removeprefix("whsec_") not in repr(diagnosis)


def test_a_newline_in_the_senders_secret_is_found_out() -> None:
    assert cause(ask("github", sign_github(b"{}", SECRET + "\n"), b"{}")) == "secret_newline_at_sender"


def test_of_several_configured_secrets_the_one_that_matches_is_named_and_not_shown() -> None:
    body = pretty({"livemode": True})
    diagnosis = ask("stripe", signed("stripe", body), body, "whsec_of_the_test_mode", others=["whsec_x", SECRET])
    assert cause(diagnosis) == "another_secret_matches"
    assert diagnosis.cause is not None
    assert diagnosis.cause.sentence.startswith("wrong secret: other 1 signed it, not the one given; it is a live event")
    assert SECRET not in repr(diagnosis)


def test_where_no_secret_matches_the_mode_of_the_event_is_a_hint() -> None:
    body = compact({"livemode": True})
    diagnosis = ask("stripe", signed("stripe", body), body, "whsec_another")
    assert cause(diagnosis) == "wrong_secret"
    assert any("a test-mode secret cannot verify it" in hint for hint in diagnosis.hints)
    assert any("probably parsed and written again" in hint for hint in diagnosis.hints)


@pytest.mark.parametrize(
    ("source", "rename", "name"),
    [
        ("stripe", lambda name: f"x-{name}", "header_renamed"),
        ("stripe", lambda name: "HTTP_" + name.upper().replace("-", "_"), "header_renamed"),
        ("github", lambda name: name.replace("-", "_"), "header_renamed"),
        ("slack", lambda name: "HTTP_" + name.upper().replace("-", "_"), "header_renamed"),
        ("stripe", lambda name: f"{name}-gone", "header_missing"),
        ("slack", lambda name: name.replace("timestamp", "gone"), "timestamp_missing"),
    ],
)
def test_a_header_that_a_proxy_dropped_or_renamed_is_named(
    source: str, rename: Callable[[str], str], name: str
) -> None:
    headers = {rename(each): value for each, value in signed(source, b"{}").items()}
    assert cause(ask(source, headers, b"{}")) == name


@pytest.mark.parametrize(
    ("source", "headers", "name"),
    [
        ("stripe", {"Stripe-Signature": f"t=1,v0={'0' * 64}"}, "v0_only"),
        ("stripe", {"Stripe-Signature": "t=1,v1=abc"}, "signature_malformed"),
        ("stripe", {"Stripe-Signature": f"v1={'0' * 64}"}, "signature_malformed"),
        ("github", {"X-Hub-Signature": f"sha1={'0' * 40}"}, "sha1_only"),
        ("github", {"X-Hub-Signature-256": f"sha1={'0' * 40}"}, "sha1_only"),
        ("stripe", {"X-Slack-Signature": f"v0={'0' * 64}"}, "other_source"),
        ("slack", {"X-Hub-Signature-256": f"sha256={'0' * 64}"}, "other_source"),
    ],
)
def test_a_signature_of_another_kind_is_named(source: str, headers: dict[str, str], name: str) -> None:
    assert cause(ask(source, headers, b"{}")) == name


@pytest.mark.parametrize(
    ("dress", "name"),
    [
        (lambda value: f'"{value}"', "signature_rewritten"),
        (lambda value: value.replace(",", ", "), "signature_rewritten"),
        (str.upper, "signature_malformed"),
    ],
)
def test_a_signature_that_was_written_again_is_named(dress: Callable[[str], str], name: str) -> None:
    value = dress(signed("stripe", b"{}")["stripe-signature"])
    assert cause(ask("stripe", {"Stripe-Signature": value}, b"{}")) == name


@pytest.mark.parametrize(
    ("signed_at", "name", "says"),
    [
        (NOW - 301, "timestamp_too_old", "301 s before"),
        (NOW - 7_200, "timestamp_too_old", "about 2 h"),
        (NOW + 3_605, "timestamp_in_future", "3605 s after"),
        (NOW * 1000, "timestamp_in_milliseconds", "milliseconds"),
    ],
)
@pytest.mark.parametrize("source", ["stripe", "slack"])
def test_a_clock_that_is_off_is_told_with_its_seconds(source: str, signed_at: float, name: str, says: str) -> None:
    diagnosis = ask(source, signed(source, b"{}", at=signed_at), b"{}")
    assert cause(diagnosis) == name
    assert diagnosis.cause is not None
    assert says in diagnosis.cause.sentence


def test_without_the_body_the_headers_are_judged_and_nothing_more() -> None:
    diagnosis = ask("stripe", signed("stripe", b"{}"), None)
    assert (diagnosis.verified, diagnosis.cause) == (False, None)
    assert [step.result for step in diagnosis.steps] == ["ok", "ok", "unknown", "ok"]


@pytest.mark.parametrize("vector", load(), ids=lambda vector: vector["id"])
def test_it_agrees_with_the_receivers_on_every_published_vector(vector: Vector) -> None:
    body = base64.b64decode(vector["body_b64"])
    secrets = [vector["secret"], *vector.get("extra", {}).get("additional_secrets", [])]
    headers = list(vector["headers"].items())
    keys = [Key(name="it", secret=each) for each in secrets]
    request = Captured(source=vector["provider"], headers=headers, body=body, received_at=vector["now"])
    raw = Headers([(name.lower().encode(), value.encode()) for name, value in headers])
    try:
        VERIFY[vector["provider"]](raw, body, secrets, vector["now"])
        accepted = True
    except Rejected:
        accepted = False
    diagnosis = diagnose(request, keys)
    assert (diagnosis.verified, diagnosis.cause is None) == (accepted, accepted)


@pytest.mark.parametrize(
    "text",
    [
        "POST /webhooks/stripe HTTP/1.1\nHost: a.example\nStripe-Signature: t=1,v1=ab\n",
        "> Host: a.example\r\n> Stripe-Signature: t=1,v1=ab\r\n",
        "-H 'Host: a.example' \n-H 'Stripe-Signature: t=1,v1=ab'",
        '{"Host": "a.example", "Stripe-Signature": ["t=1,v1=ab"]}',
    ],
)
def test_headers_are_read_in_the_forms_that_people_have_them_in(text: str) -> None:
    assert ("Stripe-Signature", "t=1,v1=ab") in parse_headers(text)


@pytest.mark.parametrize("text", ["", "nothing here", "{", "{}"])
def test_a_file_without_headers_is_refused(text: str) -> None:
    with pytest.raises(NoHeaders):
        parse_headers(text)
