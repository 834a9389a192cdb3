"""Whatever arrives, verify() gives a position or says why not, and read() finds a name. Nothing else gets out."""

import hashlib
import hmac
import json
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.event import FORM, JSON
from receivers.provider import NAME, Handshake, Headers, Incoming, Provider, Rejected, Request
from receivers.providers import github, slack, stripe
from tests.examples import examples

NOW = 1_767_225_600
SECRETS = ("whsec_test_0123456789abcdef", "sécrèt-東京-0123456789")

PROVIDERS = (*stripe.PROVIDERS, *github.PROVIDERS, *slack.PROVIDERS)

EVENTS = sorted(github.SHAPES)

MAX_KEY = 600
# What the ledger's column holds.

fuzz = examples(25)
each_provider = pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.path)

pieces = st.sampled_from(
    [
        *(b"t=", b"v1=", b"v0=", b"sha256=", b",", b"=", b" ", b"\x00", b"\xff", b"-", b"+", b"nan", b"1e9", b"\n"),
        *(b"0" * 64, b"a" * 64, b"A" * 64, b"9" * 5000, b"%d" % NOW, b"0%d" % NOW, "١٢٣".encode(), b"\xed\xa0\x80"),
    ]
)
header_values = st.one_of(st.binary(max_size=200), st.lists(pieces, max_size=20).map(b"".join))
header_names = st.sampled_from(
    [
        *(b"stripe-signature", b"x-hub-signature-256", b"x-slack-signature", b"x-slack-request-timestamp"),
        *(b"x-github-event", b"x-github-delivery", b"x-github-hook-id", b"x-slack-retry-num", b"content-type"),
    ]
)
some_headers = st.lists(st.tuples(header_names, header_values), max_size=6)
github_headers = st.lists(
    st.one_of(
        st.tuples(st.just(b"x-github-event"), st.sampled_from([event.encode() for event in EVENTS])),
        st.tuples(header_names, header_values),
    ),
    max_size=5,
)

scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=300))
keys = st.sampled_from(
    [
        *("id", "type", "object", "account", "context", "livemode", "action", "organization", "repository", "owner"),
        *("login", "team_id", "enterprise_id", "event_id", "event", "challenge", "team", "trigger_id", "payload"),
        *("command", "ssl_check", "issue", "comment", "ref", "commits", "workflow_run", "alert", "pull_request"),
    ]
)
telling = st.sampled_from(
    ["event", "v2.core.event", "event_callback", "url_verification", "evt_1", "1", "a.b", "x" * 255, "x" * 256]
)
values = st.recursive(
    st.one_of(scalars, telling),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(keys, st.text()), inner, max_size=5)
    ),
    max_leaves=12,
)
objects = st.dictionaries(st.one_of(keys, st.text(max_size=10)), st.one_of(values, telling), max_size=10)
json_bodies = objects.map(lambda value: json.dumps(value).encode())
form_bodies = st.one_of(
    json_bodies.map(lambda body: b"payload=" + quote_plus(body).encode()),
    st.dictionaries(keys, st.one_of(telling, st.text(max_size=20)), max_size=8).map(
        lambda fields: "&".join(f"{key}={quote_plus(value)}" for key, value in fields.items()).encode()
    ),
)
bodies = st.one_of(st.binary(max_size=300), json_bodies, form_bodies, st.sampled_from([b"[" * 100_000, b"&" * 5000]))


def verdict(provider: Provider, headers: list[tuple[bytes, bytes]], body: bytes) -> int | str:
    try:
        return provider.verify(Headers(headers), body, SECRETS, NOW)
    except Rejected as rejected:
        return f"{rejected.status}: {rejected.reason}"


def sign(provider: Provider, body: bytes) -> list[tuple[bytes, bytes]]:
    prefixes = {"stripe": b"%d." % NOW, "github": b"", "slack": b"v0:%d:" % NOW}
    digest = hmac.new(SECRETS[1].encode(), prefixes[provider.source] + body, hashlib.sha256).hexdigest()
    value = {"stripe": f"t={NOW},v1={digest}", "github": f"sha256={digest}", "slack": f"v0={digest}"}[provider.source]
    return [(provider.signature_header, value.encode()), (b"x-slack-request-timestamp", str(NOW).encode())]


def decodes(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


@each_provider
@given(headers=some_headers, body=bodies)
@fuzz
def test_no_made_up_headers_are_ever_accepted_and_none_break_the_verifier(
    provider: Provider, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    assert str(verdict(provider, headers, body)).startswith("401: ")


@each_provider
@given(signature=header_values, timestamp=header_values, body=bodies)
@fuzz
def test_no_made_up_signature_is_ever_accepted_and_none_breaks_the_verifier(
    provider: Provider, signature: bytes, timestamp: bytes, body: bytes
) -> None:
    headers = [(provider.signature_header, signature), (b"x-slack-request-timestamp", timestamp)]
    assert str(verdict(provider, headers, body)).startswith("401: ")


@each_provider
@given(body=bodies)
@fuzz
def test_whatever_is_signed_is_accepted_if_the_scheme_can_sign_it(provider: Provider, body: bytes) -> None:
    accepted = provider.source == "github" or decodes(body)
    assert verdict(provider, sign(provider, body), body) == (1 if accepted else "401: body_not_utf8")


@each_provider
@given(body=bodies, position=st.integers(min_value=0), bit=st.integers(0, 7))
@fuzz
def test_one_flipped_bit_of_a_signed_body_is_refused(provider: Provider, body: bytes, position: int, bit: int) -> None:
    changed = bytearray(body or b"x")
    changed[position % len(changed)] ^= 1 << bit
    assert str(verdict(provider, sign(provider, body), bytes(changed))).startswith("401: ")


@each_provider
@given(headers=github_headers, content_type=st.sampled_from([JSON, FORM]), body=bodies)
@fuzz
def test_every_verified_request_gets_a_name_that_fits_the_ledger(
    provider: Provider, headers: list[tuple[bytes, bytes]], content_type: str, body: bytes
) -> None:
    request = Request(
        headers=Headers(headers), content_type=content_type, body=body, body_sha256=hashlib.sha256(body).hexdigest()
    )
    named = provider.read(request)
    if isinstance(named, Handshake):
        assert len(named.content) < 256
        return
    assert_fits(named)


def assert_fits(incoming: Incoming) -> None:
    assert NAME.fullmatch(incoming.type)
    assert NAME.fullmatch(incoming.external_id)
    assert incoming.account is None or NAME.fullmatch(incoming.account)
    assert 0 < len(incoming.dedupe_key) <= MAX_KEY
    assert incoming.dedupe_key.isascii()
    assert incoming.dedupe_key.isprintable()
    assert incoming.flaw is None or (0 < len(incoming.flaw) <= 100 and incoming.flaw.isprintable())
