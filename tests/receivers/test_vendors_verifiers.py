"""We verify by our own few lines, which are faster than the vendors' own. These judge the result."""

import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.signature import Clock, SignatureVerifier
from stripe import SignatureVerificationError, WebhookSignature

from receivers.provider import Headers, Rejected, Verify, hmac_sha256
from receivers.providers import slack, stripe

NOW = 1_767_225_600
SECRETS = ("whsec_test_0123456789abcdef", "ключ" * 20)  # the other is longer than a block of the hash, and not ASCII

BODIES = st.text() | st.sampled_from(['{"id":"evt_1"}', ".", "v0:", "\0", "\n"])
SIGNED = st.tuples(st.sampled_from(SECRETS), st.sampled_from([NOW, NOW - 1]), st.sampled_from([0, 1]))
# By which secret, when, and which of two bodies.


class StoppedClock(Clock):
    def now(self) -> float:
        return NOW


def digest(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def verdict(verify: Verify, headers: dict[str, str], body: str) -> str:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    try:
        verify(Headers(raw), body.encode(), SECRETS[:1], NOW)
    except Rejected as rejected:
        return rejected.reason
    return "right"


@given(st.text(st.characters(exclude_categories=["Cs"])), st.lists(st.binary(max_size=200)))
def test_our_hmac_is_the_standard_librarys(secret: str, parts: list[bytes]) -> None:
    plain = hmac.new(secret.encode(), b"".join(parts), "sha256").hexdigest()
    assert hmac_sha256(secret, *parts) == plain.encode()


def test_a_secret_that_is_not_text_signs_as_the_bytes_that_it_was_in_the_environment() -> None:
    assert hmac_sha256("\udcff", b"x") == hmac.new(b"\xff", b"x", "sha256").hexdigest().encode()


@given(st.lists(BODIES, min_size=2, max_size=2), st.lists(SIGNED, min_size=1, max_size=3))
def test_what_we_take_as_stripes_the_stripe_sdk_takes_and_the_other_way_round(
    bodies: list[str], signed: list[tuple[str, int, int]]
) -> None:
    signatures = [f"v1={digest(secret, f'{at}.{bodies[which]}')}" for secret, at, which in signed]
    header = ",".join([f"t={NOW}", *signatures])
    try:
        theirs = WebhookSignature.verify_header(bodies[0], header, SECRETS[0])
    except SignatureVerificationError:
        theirs = False
    assert verdict(stripe.verify, {"stripe-signature": header}, bodies[0]) == (
        "right" if theirs else "signature_mismatch"
    )


@given(st.lists(BODIES, min_size=2, max_size=2), SIGNED)
def test_what_we_take_as_slacks_slack_sdk_takes_and_the_other_way_round(
    bodies: list[str], signed: tuple[str, int, int]
) -> None:
    secret, at, which = signed
    headers = {
        "x-slack-request-timestamp": str(NOW),
        "x-slack-signature": f"v0={digest(secret, f'v0:{at}:{bodies[which]}')}",
    }
    theirs = SignatureVerifier(SECRETS[0], StoppedClock()).is_valid_request(bodies[0], headers)
    assert verdict(slack.verify, headers, bodies[0]) == ("right" if theirs else "signature_mismatch")
