"""Shopify: what happens in a shop, signed in base64 over the raw body. docs/adding-a-provider.md shows this file.

Source: shopify.dev, "Deliver webhooks through HTTPS".
"""

import base64
import hmac
from collections.abc import Sequence

from ledger.event import JSON
from receivers.provider import MIB, Headers, Incoming, Provider, Rejected, Request, flawed, signing_secret

VARIABLE = "SHOPIFY_WEBHOOK_SECRET"
SIGNATURE = b"x-shopify-hmac-sha256"


def verify(headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> int:  # noqa: ARG001  # signs no time
    """Give the position of the secret that signed the request. Raises Rejected."""
    signature = headers.get(SIGNATURE)
    if not signature:
        raise Rejected("signature_missing")
    return signing_secret(secrets, lambda secret: hmac.compare_digest(_sign(secret, body), signature))


def read(request: Request) -> Incoming:
    """Name an event by its webhook id and its body: only the body is signed."""
    topic, webhook = request.headers.name(b"x-shopify-topic"), request.headers.name(b"x-shopify-webhook-id")
    if topic is None or webhook is None:
        return flawed(request, "no X-Shopify-Topic or X-Shopify-Webhook-Id header")
    identity = f"{webhook}:{request.body_sha256}"
    shop = request.headers.name(b"x-shopify-shop-domain")
    return Incoming(external_id=webhook, dedupe_key=identity, type=topic, account=shop)


def _sign(secret: str, body: bytes) -> bytes:
    return base64.b64encode(hmac.digest(secret.encode(), body, "sha256"))


PROVIDERS = (
    Provider(
        source="shopify",
        path="/webhooks/shopify",
        secret_variable=VARIABLE,
        signature_header=SIGNATURE,
        content_types=frozenset({JSON}),
        max_body_bytes=1 * MIB,
        verify=verify,
        read=read,
    ),
)
