"""How each source signs, taken apart: which headers, what is signed, which digests are there.

Sources: docs.stripe.com/webhooks/signature; docs.github.com, "Validating webhook deliveries"; docs.slack.dev,
"Verifying requests from Slack". Unlike the receivers this reads leniently: it must understand what is wrong.
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

HEX = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """One source's way to sign.

    Attributes:
        title: the provider's name.
        variable: the environment variable that holds its secrets.
        signature_header: as the provider spells it.
        timestamp_header: where the time is, if it is in a header of its own.
        digest: what stands before a digest that counts: `v1`, `sha256`, `v0`.

    """

    title: str
    variable: str
    signature_header: str
    timestamp_header: str | None
    digest: str


SCHEMES: Mapping[str, Scheme] = {
    "stripe": Scheme(
        title="Stripe",
        variable="STRIPE_WEBHOOK_SECRET",
        signature_header="Stripe-Signature",
        timestamp_header=None,
        digest="v1",
    ),
    "github": Scheme(
        title="GitHub",
        variable="GITHUB_WEBHOOK_SECRET",
        signature_header="X-Hub-Signature-256",
        timestamp_header=None,
        digest="sha256",
    ),
    "slack": Scheme(
        title="Slack",
        variable="SLACK_SIGNING_SECRET",
        signature_header="X-Slack-Signature",
        timestamp_header="X-Slack-Request-Timestamp",
        digest="v0",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a signature header says.

    Attributes:
        timestamp: as it is written; None where the scheme or the header has none.
        digests: the hex digests that count, in lower case.
        schemes: every `scheme=` in the header, in order.

    """

    timestamp: str | None
    digests: tuple[str, ...]
    schemes: tuple[str, ...]


def read_signature(source: str, header: str, timestamp: str | None) -> Signature:
    """Take a signature header apart, however it is spaced or cased. `timestamp` is Slack's header."""
    pairs = [part.strip().partition("=") for part in header.split(",")]
    entries = [(name.strip(), value.strip()) for name, equals, value in pairs if equals]
    if source == "stripe":
        timestamp = next((value for name, value in entries if name == "t"), None)
    wanted = SCHEMES[source].digest
    return Signature(
        timestamp=timestamp,
        digests=tuple(value.lower() for name, value in entries if name == wanted and HEX.fullmatch(value)),
        schemes=tuple(name for name, _ in entries),
    )


def signed_by(source: str, signature: Signature, key: bytes, body: bytes) -> bool:
    """Say whether one of the digests is this key's over this body."""
    computed = hmac.digest(key, signed_bytes(source, signature.timestamp or "", body), "sha256").hex()
    return _among(computed, signature.digests)


def signed_bytes(source: str, timestamp: str, body: bytes) -> bytes:
    """Give what the provider signs."""
    before = {"stripe": f"{timestamp}.", "slack": f"v0:{timestamp}:"}.get(source, "")
    return before.encode() + body


def _among(computed: str, digests: Sequence[str]) -> bool:
    return any(hmac.compare_digest(computed, each) for each in digests)
