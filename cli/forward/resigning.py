"""Makes of a stored event the request that its provider would send now, under the developer's own secret."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from cli.signing import sign_github, sign_slack, sign_stripe

LEFT_OUT = re.compile(
    r"connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|host|content-length|content-encoding|expect"
    r"|forwarded|x-forwarded-.*|x-real-ip|via|traceparent|tracestate"
    r"|stripe-signature|x-hub-signature(-256)?|x-slack-signature|x-slack-request-timestamp"
    r"|hookline-.*"
)
# What is about one connection (RFC 9110, section 7.6.1) or the way that it took, and old signatures.

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

REDACTED = "[redacted]"
# What the ledger did not keep is not sent.


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A stored event, as much of it as is sent."""

    id: int
    source: str
    external_id: str
    type: str
    content_type: str
    headers: Mapping[str, str]
    body: bytes


def headers_for(event: Stored, secret: str, *, now: float, attempt: int, trigger: str) -> dict[str, str]:
    """Give the headers to send: the provider's own, a fresh signature (`now` in Unix seconds), and our ids."""
    kept = {name.lower(): value for name, value in event.headers.items() if _passes(name.lower(), value)}
    return {
        **kept,
        "content-type": kept.get("content-type", event.content_type),
        **sign(event.source, event.body, secret, now),
        "hookline-event-id": str(event.id),
        "hookline-external-id": event.external_id,
        "hookline-attempt": str(attempt),
        "hookline-trigger": trigger,
    }


def sign(source: str, body: bytes, secret: str, now: float) -> dict[str, str]:
    """Sign as this source does."""
    if source == "github":
        return sign_github(body, secret)
    return sign_stripe(body, secret, now) if source == "stripe" else sign_slack(body, secret, now)


def read_headers(text: str) -> dict[str, str]:
    """Read what the ledger keeps of headers."""
    found: dict[str, str] = json.loads(text)
    return found


def _passes(name: str, value: str) -> bool:
    fit = TOKEN.fullmatch(name) and VALUE.fullmatch(value) and value != REDACTED
    return bool(fit) and not LEFT_OUT.fullmatch(name)
