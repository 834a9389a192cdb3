"""Every published vector gets the verdict that the scheme's documentation asks for; where it asks for none, ours."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from receivers.provider import Headers, Rejected, Verify
from receivers.providers import github, slack, stripe

VECTORS = Path(__file__).parent.parent / "vectors"

VERIFY: Mapping[str, Verify] = {"stripe": stripe.verify, "github": github.verify, "slack": slack.verify}

# Where `want_by_design` is null the receiver decides. Strict, except for a sender's clock that runs a little ahead.
OUR_POLICY = {
    "stripe/edge_uppercase_hex": "reject",
    "stripe/edge_two_timestamps_first_signed": "reject",
    "stripe/edge_timestamp_leading_zero": "reject",
    "stripe/edge_timestamp_plus_sign": "reject",
    "stripe/edge_invalid_utf8_body": "reject",
    "github/edge_uppercase_hex": "reject",
    "slack/edge_uppercase_hex": "reject",
    "slack/edge_future_within_tolerance": "accept",
}

REASONS = {
    "stripe/bad_missing_signature_header": "signature_missing",
    "stripe/bad_empty_signature_header": "signature_missing",
    "stripe/bad_truncated_signature": "signature_malformed",
    "stripe/bad_signature_appended": "signature_malformed",
    "stripe/bad_no_signature_field": "signature_malformed",
    "stripe/bad_timestamp_not_a_number": "timestamp_malformed",
    "stripe/bad_very_stale": "timestamp_too_old",
    "stripe/edge_uppercase_hex": "signature_malformed",
    "stripe/edge_two_timestamps_first_signed": "timestamp_malformed",
    "stripe/edge_timestamp_leading_zero": "timestamp_malformed",
    "stripe/edge_timestamp_plus_sign": "timestamp_malformed",
    "stripe/edge_invalid_utf8_body": "body_not_utf8",
    "github/bad_missing_signature_header": "signature_missing",
    "github/bad_truncated_signature": "signature_malformed",
    "github/bad_signature_appended": "signature_malformed",
    "github/bad_no_prefix": "signature_malformed",
    "github/edge_uppercase_hex": "signature_malformed",
    "slack/bad_missing_signature_header": "signature_missing",
    "slack/bad_empty_signature_header": "signature_missing",
    "slack/bad_signature_appended": "signature_malformed",
    "slack/bad_garbage_signature": "signature_malformed",
    "slack/bad_wrong_version_prefix": "signature_malformed",
    "slack/bad_two_signatures_comma": "signature_malformed",
    "slack/bad_missing_timestamp_header": "timestamp_missing",
    "slack/bad_stale_timestamp": "timestamp_too_old",
    "slack/bad_very_stale": "timestamp_too_old",
    "slack/edge_uppercase_hex": "signature_malformed",
}
# Every other refusal is for the signature itself.

Vector = Mapping[str, Any]


def load() -> list[Vector]:
    return [
        vector for file in sorted(VECTORS.glob("*.json")) for vector in json.loads(file.read_text("utf-8"))["vectors"]
    ]


def verdict(vector: Vector) -> str:
    headers = Headers([(name.lower().encode(), value.encode()) for name, value in vector["headers"].items()])
    secrets = [vector["secret"], *vector.get("extra", {}).get("additional_secrets", [])]
    body = base64.b64decode(vector["body_b64"], validate=True)
    try:
        VERIFY[vector["provider"]](headers, body, secrets, vector["now"])
    except Rejected as rejected:
        return rejected.reason
    return "accept"


def wanted(vector: Vector) -> str:
    want = vector["want_by_design"] or OUR_POLICY[vector["id"]]
    return "accept" if want == "accept" else REASONS.get(vector["id"], "signature_mismatch")


@pytest.mark.parametrize("vector", load(), ids=lambda vector: vector["id"])
def test_every_vector_gets_its_verdict_and_a_refused_one_its_reason(vector: Vector) -> None:
    assert verdict(vector) == wanted(vector)


def test_the_files_of_all_three_providers_are_there_and_every_open_question_is_answered() -> None:
    vectors = load()
    assert {vector["provider"] for vector in vectors} == set(VERIFY)
    assert {vector["id"] for vector in vectors if vector["want_by_design"] is None} == set(OUR_POLICY)
    assert set(REASONS) <= {vector["id"] for vector in vectors}
