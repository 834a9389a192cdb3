"""What the providers would post: realistic, signed, each with an id of its own."""

import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

SECRETS = {
    "stripe": "whsec_CANARY0123456789stripe",
    "github": "CANARY0123456789github",
    "slack": "CANARY0123456789slack",
}

OLD_SECRETS = {source: f"{secret}-OLD" for source, secret in SECRETS.items()}
# Still valid, as while one secret replaces the other.

SOURCES = {
    "/webhooks/stripe": "stripe",
    "/webhooks/github": "github",
    "/webhooks/slack/events": "slack",
    "/webhooks/slack/commands": "slack",
    "/webhooks/slack/interactivity": "slack",
}
PATHS = tuple(SOURCES)

SIGNATURES = {"stripe": "stripe-signature", "github": "x-hub-signature-256", "slack": "x-slack-signature"}

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """One POST."""

    path: str
    body: bytes
    headers: Mapping[str, str]

    @property
    def signature_header(self) -> str:
        return SIGNATURES[SOURCES[self.path]]

    @property
    def signature(self) -> str:
        return self.headers[self.signature_header]

    def with_headers(self, **headers: str) -> "Webhook":
        """Add or replace headers: `content_type="…"`."""
        changed = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers=dict(self.headers) | changed)

    def without_header(self, name: str) -> "Webhook":
        return replace(self, headers={key: value for key, value in self.headers.items() if key != name})

    def with_signature(self, signature: str) -> "Webhook":
        return replace(self, headers=dict(self.headers) | {self.signature_header: signature})


def webhook(path: str, body: bytes | None = None, *, secret: str | None = None, at: float | None = None) -> Webhook:
    """Make what the provider behind a path would post now, or at another second, or with another secret."""
    source = SOURCES[path]
    content = make_body(path) if body is None else body
    signed = sign(
        source, content, SECRETS[source] if secret is None else secret, int(time.time() if at is None else at)
    )
    return Webhook(path=path, body=content, headers=_headers(path) | signed)


def sign(source: str, body: bytes, secret: str, at: int) -> dict[str, str]:
    if source == "stripe":
        return {"stripe-signature": f"t={at},v1={_hex(secret, b'%d.' % at + body)}"}
    if source == "github":
        return {"x-hub-signature-256": f"sha256={_hex(secret, body)}"}
    return {"x-slack-request-timestamp": str(at), "x-slack-signature": f"v0={_hex(secret, b'v0:%d:' % at + body)}"}


def _hex(secret: str, signed: bytes) -> str:
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def _headers(path: str) -> dict[str, str]:
    if path == "/webhooks/github":
        return {"content-type": JSON, "x-github-event": "issues", "x-github-delivery": str(uuid.uuid4())}
    return {"content-type": JSON if path in {"/webhooks/stripe", "/webhooks/slack/events"} else FORM}


def make_body(path: str, **fields: Any) -> bytes:  # whatever JSON can hold
    """Make a body that no other call makes."""
    unique = uuid.uuid4().hex
    trigger = {"trigger_id": f"1.2.{unique}"}
    if path == "/webhooks/stripe":
        return _json({"id": f"evt_{unique}", "object": "event", "type": "plan.created", "livemode": True} | fields)
    if path == "/webhooks/github":
        return _json({"action": "opened", "issue": {"number": 1, "title": unique}} | fields)
    if path == "/webhooks/slack/events":
        inner = {"type": "reaction_added", "user": "U1"}
        return _json({"type": "event_callback", "team_id": "T1", "event_id": f"Ev{unique}", "event": inner} | fields)
    if path == "/webhooks/slack/commands":
        return urlencode({"team_id": "T1", "command": "/hookline", "text": "status"} | trigger | fields).encode()
    payload = {"type": "block_actions", "team": {"id": "T1"}} | trigger | fields
    return urlencode({"payload": _json(payload)}).encode()


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
