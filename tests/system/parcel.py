"""Webhooks to send: a fresh sample of the product's own, with what its provider would put into the headers."""

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import SystemRandom
from urllib.parse import parse_qs

from cli.sample import Webhook, freshen, load_sample
from cli.signing import sign_github, sign_slack, sign_stripe
from tests.system.secrets import GITHUB_SECRET, SLACK_SECRET, STRIPE_SECRET


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One webhook, unsigned: it is signed at the moment it is sent, as providers do."""

    source: str
    external_id: str
    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    def sign(self, secret: str | None = None) -> dict[str, str]:
        """Give all headers, with a signature by `secret` instead of the source's own."""
        if self.source == "stripe":
            signature = sign_stripe(self.body, secret or STRIPE_SECRET, time.time())
        elif self.source == "github":
            signature = sign_github(self.body, secret or GITHUB_SECRET)
        else:
            signature = sign_slack(self.body, secret or SLACK_SECRET, time.time())
        return {**self.headers, **signature}


def make_parcel(source: str, type_: str, *overrides: str, headers: Mapping[str, str] | None = None) -> Parcel:
    """Make one that has never been sent before."""
    webhook = freshen(load_sample(source, type_), overrides, now=time.time(), random=SystemRandom())
    guid = str(uuid.uuid4())
    own = {"x-github-event": webhook.event_name or "", "x-github-delivery": guid, "x-github-hook-id": "4711"}
    return Parcel(
        source=source,
        external_id=guid if source == "github" else _external_id(source, webhook),
        path=webhook.path,
        body=webhook.body,
        headers={"content-type": webhook.content_type, **(own if source == "github" else {}), **(headers or {})},
    )


def make_dispute(*overrides: str) -> Parcel:
    """Make a dispute: a row in the book, and an alert to the finance team."""
    return make_parcel("stripe", "charge.dispute.created", *overrides)


def make_build() -> Parcel:
    """Make a build that failed: an alert to the engineers."""
    run = SystemRandom().randrange(10**10, 10**11)
    return make_parcel("github", "workflow_run.completed", f"workflow_run.id={run}")


def make_payment() -> Parcel:
    """Make a payment: a row in the book and no alert."""
    return make_parcel("stripe", "payment_intent.succeeded")


def make_spare() -> Parcel:
    """Make an event that no handler of the product wants, for the handlers of tests."""
    return make_parcel("stripe", "payout.paid", "type=product.created")


def _external_id(source: str, webhook: Webhook) -> str:
    if source == "slack" and not webhook.path.endswith("/events"):
        form = parse_qs(webhook.body.decode())
        payload = json.loads(form["payload"][0]) if "payload" in form else {"trigger_id": form["trigger_id"][0]}
        return str(payload["trigger_id"])
    payload = json.loads(webhook.body)
    return str(payload.get("id") or payload.get("event_id") or "")
