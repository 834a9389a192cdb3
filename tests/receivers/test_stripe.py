"""Stripe: which requests are Stripe's, and what their events are called."""

import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.event import JSON, Unreadable, read_payload
from receivers.provider import NAME, Headers, Incoming, Rejected, Reply, Request, is_name
from receivers.providers.stripe import PROVIDERS, read, verify

NOW = 1_767_225_600
SECRET = "whsec_test_0123456789abcdef"
OLD_SECRET = "whsec_test_fedcba9876543210"
BODY = b'{"id":"evt_1","object":"event","type":"charge.failed","livemode":true}'


def v1(body: bytes = BODY, at: int = NOW, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), b"%d.%s" % (at, body), hashlib.sha256).hexdigest()


def header(*values: str) -> Headers:
    return Headers([(b"stripe-signature", value.encode("latin-1")) for value in values])


def signed(at: int) -> Headers:
    return header(f"t={at},v1={v1(at=at)}")


def refusal(headers: Headers, body: bytes = BODY, secrets: tuple[str, ...] = (SECRET,), now: float = NOW) -> str:
    with pytest.raises(Rejected) as caught:
        verify(headers, body, secrets, now)
    assert caught.value.status == 401
    return caught.value.reason


def request(body: bytes | dict[str, Any]) -> Request:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Request(headers=Headers([]), content_type=JSON, body=raw, body_sha256=hashlib.sha256(raw).hexdigest())


def event(**fields: object) -> dict[str, Any]:
    return {"id": "evt_1", "object": "event", "type": "charge.failed", **fields}


# signatures


@pytest.mark.parametrize("at", [NOW - 300, NOW - 1, NOW, NOW + 300])
def test_a_timestamp_within_300_seconds_either_way_is_accepted(at: int) -> None:
    assert verify(signed(at), BODY, [SECRET], NOW) == 0


def test_a_timestamp_301_seconds_old_is_refused() -> None:
    assert refusal(signed(NOW - 301)) == "timestamp_too_old"


def test_a_timestamp_301_seconds_ahead_is_refused_although_the_sdk_would_take_it() -> None:
    assert refusal(signed(NOW + 301)) == "timestamp_in_future"


def test_a_fraction_of_a_second_over_the_tolerance_is_over_the_tolerance() -> None:
    assert refusal(signed(NOW), now=NOW + 300.5) == "timestamp_too_old"


def test_an_old_timestamp_under_a_wrong_signature_is_called_a_wrong_signature() -> None:
    assert refusal(signed(NOW - 301), secrets=(OLD_SECRET,)) == "signature_mismatch"


def test_the_position_says_which_secret_signed() -> None:
    headers = header(f"t={NOW},v1={v1(secret=OLD_SECRET)}")
    assert verify(headers, BODY, [SECRET, OLD_SECRET], NOW) == 1


def test_while_a_secret_is_rolled_the_newest_of_two_matching_ones_counts() -> None:
    headers = header(f"t={NOW},v1={v1(secret=OLD_SECRET)},v1={v1()}")
    assert verify(headers, BODY, [SECRET, OLD_SECRET], NOW) == 0


def test_a_blank_secret_signs_nothing() -> None:
    headers = header(f"t={NOW},v1={v1(secret='')}")
    assert refusal(headers, secrets=("", " ")) == "signature_mismatch"


def test_without_secrets_nothing_is_accepted() -> None:
    assert refusal(signed(NOW), secrets=()) == "signature_mismatch"


def test_a_changed_body_is_refused() -> None:
    assert refusal(signed(NOW), body=BODY + b" ") == "signature_mismatch"


def test_a_body_that_is_not_utf8_is_refused_even_if_its_bytes_were_signed() -> None:
    body = b'{"id":"\xff"}'
    assert refusal(header(f"t={NOW},v1={v1(body)}"), body=body) == "body_not_utf8"


def test_the_header_twice_is_refused_even_if_both_are_right() -> None:
    good = f"t={NOW},v1={v1()}"
    assert refusal(header(good, good)) == "header_repeated"


def test_unknown_schemes_are_ignored_as_stripe_asks() -> None:
    assert verify(header(f"t={NOW},v0={'0' * 64},v2=a=b,v1={v1()}"), BODY, [SECRET], NOW) == 0


def test_a_v0_signature_is_no_signature() -> None:
    assert refusal(header(f"t={NOW},v0={v1()}")) == "signature_malformed"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "signature_missing"),
        (f"v1={v1()}", "timestamp_malformed"),
        (f"t={NOW}", "signature_malformed"),
        (f"t={NOW}, v1={v1()}", "signature_malformed"),
        (f" t={NOW},v1={v1()}", "signature_malformed"),
        (f"t={NOW},v1={v1()},", "signature_malformed"),
        (f"t={NOW},v1={v1()}\n", "signature_malformed"),
        (f"t={NOW},v1={v1()},v0=\x00", "signature_malformed"),
        (f"t={NOW},v1={v1()},v0=\xe9", "signature_malformed"),
        (f"t={NOW},v1={v1()},V0=1", "signature_malformed"),
        (f"t={NOW},v1={v1()},v1=", "signature_malformed"),
        (f"t={NOW},v1={v1()},v1=x", "signature_malformed"),
        (f"t={NOW},v1={v1().upper()}", "signature_malformed"),
        (f"t={NOW},v1={v1()[:-1]}", "signature_malformed"),
        (f"t={NOW},v1={v1()}0", "signature_malformed"),
        (f"t={NOW},t={NOW},v1={v1()}", "timestamp_malformed"),
        (f"t=0{NOW},v1={v1()}", "timestamp_malformed"),
        (f"t=+{NOW},v1={v1()}", "timestamp_malformed"),
        (f"t=-{NOW},v1={v1()}", "timestamp_malformed"),
        (f"t={NOW}.0,v1={v1()}", "timestamp_malformed"),
        (f"t=1_767_225_600,v1={v1()}", "timestamp_malformed"),
        (f"t=nan,v1={v1()}", "timestamp_malformed"),
        (f"t={'9' * 13},v1={v1()}", "timestamp_malformed"),
        (f"t={'9' * 5000},v1={v1()}", "signature_malformed"),
        (f"t={NOW},v1={v1()}" + ",a=b" * 15, "signature_malformed"),
        (f"t={NOW},v1={v1()}" + f",a={'b' * 250}" * 9, "signature_malformed"),
    ],
)
def test_a_header_that_stripe_would_not_write_is_refused(value: str, reason: str) -> None:
    assert refusal(header(value)) == reason


def test_sixteen_entries_are_enough_for_any_roll_of_secrets() -> None:
    assert verify(header(f"t={NOW},v1={v1()}" + f",v1={'0' * 64}" * 14), BODY, [SECRET], NOW) == 0


# names


def test_a_snapshot_event_is_named_by_its_bare_id() -> None:
    assert read(request(event(livemode=False, account="acct_1"))) == Incoming(
        external_id="evt_1", dedupe_key="evt_1", type="charge.failed", account="acct_1", livemode=False
    )


def test_a_thin_event_belongs_to_its_context() -> None:
    thin = event(object="v2.core.event", type="v1.charge.dispute.created", context="acct_2", livemode=True)
    assert read(request(thin)) == Incoming(
        external_id="evt_1", dedupe_key="evt_1", type="v1.charge.dispute.created", account="acct_2", livemode=True
    )


def test_an_event_of_our_own_account_has_no_account() -> None:
    incoming = read(request(event(account=None)))
    assert incoming.account is None
    assert incoming.livemode is None
    assert incoming.flaw is None


@pytest.mark.parametrize(
    ("body", "flaw"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b'{"id":NaN}', "not JSON"),
        (b'{"id":"\\ud800"}', "not JSON"),
        (b'{"n":' + b"9" * 5000 + b"}", "not JSON"),
        (b"[]", "not a JSON object but a list"),
        (event(object="charge"), "object: "),
        (event(object=None), "object: "),
        (event(id=5), "id: "),
        (event(id=""), "id: "),
        (event(id="evt_\u0000"), "id: "),
        (event(id="evt_1\n"), "id: "),
        (event(id="x" * 256), "id: "),
        (event(type="a b"), "type: "),
        (event(type=["charge.failed"]), "type: "),
        (event(livemode="true"), "livemode: "),
        (event(account={"id": "acct_1"}), "account: "),
        ({"object": "event", "type": "charge.failed"}, "id: Field required"),
    ],
)
def test_a_signed_body_that_cannot_be_read_is_kept_under_its_hash_with_the_reason(
    body: bytes | dict[str, Any], flaw: str
) -> None:
    asked = request(body)
    incoming = read(asked)
    assert incoming.flaw is not None
    assert incoming.flaw.startswith(flaw)
    assert incoming.external_id == incoming.dedupe_key == f"sha256:{asked.body_sha256}"
    assert NAME.fullmatch(incoming.type)


def test_a_flawed_event_keeps_the_type_that_could_be_read() -> None:
    assert read(request(event(id=5))).type == "charge.failed"
    assert read(request(event(type=5))).type == "unknown"


def test_a_flaw_never_quotes_the_body() -> None:
    incoming = read(request(event(id="4242 4242 4242 4242")))
    assert incoming.flaw == "id: must be 1 to 255 visible ASCII characters"


def test_stripe_is_one_path_with_json_up_to_1_mib() -> None:
    (provider,) = PROVIDERS
    assert (provider.path, provider.secret_variable) == ("/webhooks/stripe", "STRIPE_WEBHOOK_SECRET")
    assert provider.max_body_bytes == 1_048_576
    assert provider.content_types == {"application/json"}
    assert provider.reply is Reply.RECEIPT


def plainly(body: bytes) -> tuple[str, str, str | None, bool | None] | None:
    """Read an envelope the plain way: parse all of it, then look. None: it is not an event's."""
    try:
        payload = read_payload(JSON, body)
    except Unreadable:
        return None
    kind, names = payload.get("object"), [payload.get("id"), payload.get("type")]
    owner, livemode = (payload.get(each) for each in ("account", "livemode"))
    owner, other = (payload.get("context"), owner) if kind == "v2.core.event" else (owner, payload.get("context"))
    fits = (
        kind in ("event", "v2.core.event")
        and all(is_name(name) for name in names)
        and all(each is None or is_name(each) for each in (owner, other))
        and (livemode is None or isinstance(livemode, bool))
    )
    return (str(names[0]), str(names[1]), owner, livemode) if fits else None


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["event", "v2.core.event", "evt_1"])
)
FIELDS = st.sampled_from(["object", "id", "type", "account", "context", "livemode", "data"])


@given(
    st.lists(st.tuples(FIELDS, SCALARS | st.lists(SCALARS, max_size=2)), max_size=9),
    st.sampled_from([b"", b" ", b"x", b"\xef\xbb\xbf", b"\xff"]),
    st.sampled_from([[], [("object", "event"), ("id", "evt_1"), ("type", "a.b")]]),
)
def test_an_envelope_is_read_the_same_without_reading_the_rest(
    fields: list[tuple[str, object]], rest: bytes, known: list[tuple[str, object]]
) -> None:
    # Written by hand: a field may be there twice.
    pairs = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in (*known, *fields)]
    body = f"{{{', '.join(pairs)}}}".encode() + rest
    found = read(request(body))
    assert isinstance(found, Incoming)
    named = None if found.flaw else (found.external_id, found.type, found.account, found.livemode)
    assert named == plainly(body)


ENTRIES = st.sampled_from(
    [f"t={NOW}", "t=0", f"t=0{NOW}", f"v1={v1()}", "v1=" + "a" * 64, "v1=" + "A" * 64, "v0=" + "b" * 64, "v1="]
)


@given(st.lists(ENTRIES, max_size=6))
def test_the_short_way_through_a_header_says_what_the_long_way_says(entries: list[str]) -> None:
    def outcome(value: str) -> int | str:
        try:
            return verify(header(value), BODY, (SECRET,), NOW)
        except Rejected as rejected:
            return rejected.reason

    # A scheme that nobody knows counts for nothing, and is not usual.
    assert outcome(",".join(entries)) == outcome(",".join([*entries, "x9=1"])) or not entries
