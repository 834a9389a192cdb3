"""What happens at the providers: small stories, the webhooks that tell each, and how the book must read in the end.

A story's end is written down from what happened, not from what Hookline does with it: the last state of the object,
and one business key for each thing that a team must be told.
"""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from cli.sample import freshen, load_sample
from tests.system.parcel import Parcel

REPOSITORY = 512_874_409
# The repository of the product's GitHub samples.

HOOK = "4711"

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One thing that happened.

    Attributes:
        kind: what it is about.
        webhooks: in the order in which it happened.
        rows: the rows that the book must have in the end, each with its table's name under `table`.
        keys: the business keys of what the teams must be told.
        maybe: patterns of what they are told as well if it is heard of in a certain order.

    """

    kind: str
    webhooks: tuple[Parcel, ...]
    rows: tuple[Row, ...] = ()
    keys: tuple[str, ...] = ()
    maybe: tuple[str, ...] = ()


@dataclass(slots=True)
class Teller:
    """Makes webhooks of one story; all that is random about them comes from `draw`."""

    draw: Random
    at: int = field(default_factory=lambda: int(time.time()))

    def name(self, prefix: str) -> str:
        return f"{prefix}_{self.draw.getrandbits(64):016x}"

    def stripe(self, type_: str, *overrides: str) -> Parcel:
        """Tell what Stripe tells next; often within the second of what it told before."""
        self.at += self.draw.choice((0, 0, 1, 2))
        event = self.name("evt")
        sample = load_sample("stripe", type_)
        webhook = freshen(sample, (f"id={event}", f"created={self.at}", *overrides), now=time.time(), random=self.draw)
        return _parcel("stripe", event, webhook.path, webhook.body, {"content-type": webhook.content_type})

    def github(self, type_: str, *overrides: str) -> Parcel:
        webhook = freshen(load_sample("github", type_), overrides, now=time.time(), random=self.draw)
        guid = str(uuid.UUID(int=self.draw.getrandbits(128), version=4))
        own = {"x-github-event": str(webhook.event_name), "x-github-delivery": guid, "x-github-hook-id": HOOK}
        return _parcel("github", guid, webhook.path, webhook.body, {"content-type": webhook.content_type, **own})

    def slack(self, type_: str, place: str) -> Parcel:
        """Tell something in Slack; its id is at `place`."""
        unique = self.name("Ev")
        webhook = freshen(load_sample("slack", type_), [f"{place}={unique}"], now=time.time(), random=self.draw)
        return _parcel("slack", unique, webhook.path, webhook.body, {"content-type": webhook.content_type})


def _parcel(source: str, external_id: str, path: str, body: bytes, headers: Mapping[str, str]) -> Parcel:
    return Parcel(source=source, external_id=external_id, path=path, body=body, headers=headers)


def payment(draw: Random) -> Story:
    """Tell of a payment that is made, perhaps after a try that failed, or is given up."""
    tell, intent, amount = Teller(draw), Teller(draw).name("pi"), draw.randrange(100, 1_000_000)
    charge, failed = tell.name("ch"), draw.random() < 0.3
    same = (f"data.object.id={intent}", f"data.object.amount={amount}")
    webhooks = [tell.stripe("payment_intent.created", *same)]
    keys = []
    if failed:
        lost = tell.name("ch")
        of_it = (f"data.object.latest_charge={lost}", f"data.object.last_payment_error.charge={lost}")
        webhooks.append(tell.stripe("payment_intent.payment_failed", *same, *of_it))
        keys.append(f"stripe/failed_payment/-/test/{intent}/{lost}")
    if draw.random() < 0.2:
        webhooks.append(tell.stripe("payment_intent.canceled", *same))
        row = {"status": "canceled", "amount_received": 0, "latest_charge": None}
    else:
        of_it = (f"data.object.latest_charge={charge}", f"data.object.amount_received={amount}")
        webhooks.append(tell.stripe("payment_intent.processing", *same, of_it[0]))
        webhooks.append(tell.stripe("payment_intent.succeeded", *same, *of_it))
        row = {"status": "succeeded", "amount_received": amount, "latest_charge": charge}
    whole = {"table": "payments", "id": intent, "amount": amount, "amount_refunded": 0, **row}
    return Story(kind="payment", webhooks=tuple(webhooks), rows=(whole,), keys=tuple(keys))


def refund(draw: Random) -> Story:
    """Tell of a payment that goes back in part, of which the bank may then send the money back again."""
    tell, amount = Teller(draw), draw.randrange(1_000, 1_000_000)
    intent, charge, back, part = tell.name("pi"), tell.name("ch"), tell.name("re"), draw.randrange(100, 1_000)
    of_intent = (f"data.object.id={intent}", f"data.object.amount={amount}", f"data.object.amount_received={amount}")
    of_charge = (f"data.object.id={charge}", f"data.object.payment_intent={intent}", f"data.object.amount={amount}")
    of_refund = (f"data.object.id={back}", f"data.object.payment_intent={intent}", f"data.object.amount={part}")
    webhooks = [
        tell.stripe("payment_intent.succeeded", *of_intent, f"data.object.latest_charge={charge}"),
        tell.stripe("refund.created", *of_refund),
        tell.stripe("charge.refunded", *of_charge, f"data.object.amount_refunded={part}"),
        tell.stripe("refund.updated", *of_refund),
    ]
    key, status = f"stripe/refund/-/test/{back}", "succeeded"
    keys: tuple[str, ...] = (key,)
    maybe: tuple[str, ...] = ()
    if draw.random() < 0.3:
        webhooks.append(tell.stripe("refund.failed", *of_refund))
        keys, status = (key, f"{key}/made", f"{key}/failed"), "failed"
        # If it had been told as made, in the channel of refunds, it is told again, and where failures are told.
        maybe = (f"{key}/again/*", f"stripe/failed_refund/-/test/{back}")
    paid = {"status": "succeeded", "amount": amount, "amount_received": amount, "amount_refunded": part}
    rows = (
        {"table": "payments", "id": intent, "latest_charge": charge, **paid},
        {"table": "refunds", "id": back, "payment_intent": intent, "amount": part, "status": status},
    )
    return Story(kind="refund", webhooks=tuple(webhooks), rows=rows, keys=keys, maybe=maybe)


def dispute(draw: Random) -> Story:
    """Tell of a dispute from its beginning to its end."""
    tell, amount = Teller(draw), draw.randrange(100, 1_000_000)
    case, status = tell.name("du"), draw.choice(("won", "lost"))
    same = (f"data.object.id={case}", f"data.object.amount={amount}")
    webhooks = (
        tell.stripe("charge.dispute.created", *same),
        tell.stripe("charge.dispute.updated", *same),
        tell.stripe("charge.dispute.closed", *same, f"data.object.status={status}"),
    )
    row = {"table": "disputes", "id": case, "amount": amount, "status": status}
    key = f"stripe/dispute/-/test/{case}"
    return Story(kind="dispute", webhooks=webhooks, rows=(row,), keys=(key, f"{key}/under_review", f"{key}/{status}"))


def payout(draw: Random) -> Story:
    """Tell of a payout that failed."""
    tell = Teller(draw)
    name = tell.name("po")
    webhook = tell.stripe("payout.failed", f"data.object.id={name}")
    return Story(kind="payout", webhooks=(webhook,), keys=(f"stripe/failed_payout/-/test/{name}",))


def build(draw: Random) -> Story:
    """Tell of a build that fails on the default branch."""
    run = draw.randrange(10**10, 10**11)
    webhook = Teller(draw).github("workflow_run.completed", f"workflow_run.id={run}")
    return Story(kind="build", webhooks=(webhook,), keys=(f"github/failing_build/{REPOSITORY}/{run}/1",))


def push(draw: Random, *, padding_bytes: int = 0) -> Story:
    """Tell of a push, which no handler wants; with padding, of as many bytes as GitHub sends at most."""
    extra = (f"padding={'x' * padding_bytes}",) if padding_bytes else ()
    return Story(kind="push", webhooks=(Teller(draw).github("push", *extra),))


def mention(draw: Random) -> Story:
    """Tell that somebody wrote to us in Slack."""
    return Story(kind="mention", webhooks=(Teller(draw).slack("app_mention", "event_id"),))


def button(draw: Random) -> Story:
    """Tell that somebody pressed a button in Slack."""
    return Story(kind="button", webhooks=(Teller(draw).slack("block_actions", "trigger_id"),))


def special(draw: Random, *, type_: str) -> Story:
    """Tell of something that only a handler of the harness wants (see `tests.faults.plugins`)."""
    return Story(kind=type_, webhooks=(Teller(draw).stripe("payment_intent.created", f"type={type_}"),))


KINDS: Mapping[Callable[[Random], Story], int] = {
    payment: 43,
    refund: 10,
    dispute: 5,
    payout: 5,
    build: 10,
    push: 7,
    mention: 12,
    button: 8,
}
# How often each is told, of a hundred. There are few disputes, whose messages are three, one a second.


def any_story(draw: Random, kinds: Sequence[str] = ()) -> Story:
    """Make any story, or one of these kinds."""
    chosen = {kind: weight for kind, weight in KINDS.items() if not kinds or kind.__name__ in kinds}
    return draw.choices(list(chosen), weights=list(chosen.values()))[0](draw)
