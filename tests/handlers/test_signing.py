"""What we sign passes the vendors' own verifiers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.signature import Clock, SignatureVerifier
from stripe import SignatureVerificationError, WebhookSignature

from cli.signing import sign_github, sign_slack, sign_stripe

NOW = 1_793_361_600.9
SECRET = "whsec_test_0123456789abcdef"


class StoppedClock(Clock):
    def now(self) -> float:
        return NOW


@given(body=st.text(), secret=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_stripes_verifier_takes_what_we_sign_for_stripe(body: str, secret: str) -> None:
    header = sign_stripe(body.encode(), secret, NOW)["stripe-signature"]
    assert WebhookSignature.verify_header(body, header, secret)


def test_stripes_verifier_refuses_it_for_another_body() -> None:
    header = sign_stripe(b"{}", SECRET, NOW)["stripe-signature"]
    with pytest.raises(SignatureVerificationError):
        WebhookSignature.verify_header("{ }", header, SECRET)


@given(body=st.text(), secret=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_slacks_verifier_takes_what_we_sign_for_slack(body: str, secret: str) -> None:
    verifier = SignatureVerifier(secret, StoppedClock())
    assert verifier.is_valid_request(body.encode(), sign_slack(body.encode(), secret, NOW))


def test_slacks_verifier_refuses_it_for_another_body() -> None:
    verifier = SignatureVerifier(SECRET, StoppedClock())
    assert not verifier.is_valid_request(b"{ }", sign_slack(b"{}", SECRET, NOW))


def test_githubs_documented_example_comes_out_as_documented() -> None:
    headers = sign_github(b"Hello, World!", "It's a Secret to Everybody")
    digest = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert headers == {"x-hub-signature-256": f"sha256={digest}"}
