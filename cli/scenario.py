"""Whole stories of Stripe's: what follows on what, with the ids shared and the times of real life between.

A story is made of samples. In its changes, ids and times are as they are in the samples, and are made new with them.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random
from typing import Any

from cli.sample import (
    SAMPLED_AT,
    Marks,
    Sample,
    UnknownSample,
    Webhook,
    drop,
    has,
    load_sample,
    make_marks,
    moved,
    pack,
    put,
    renamed,
)

DAY_S = 86_400
HOUR_S = 3_600

LASTING = ("created", "arrival_date", "start_date", "evidence_details.due_by")
# What an object was given when it was made. Each sample is a moment of its own and has its own idea of it.


@dataclass(frozen=True, slots=True)
class Step:
    """One event of a story.

    Attributes:
        type: of the sample.
        at_s: when, in seconds since the story began.
        changes: what is different from the sample, `key.path=value`.

    """

    type: str
    at_s: int
    changes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Scenario:
    """A story: what it is about, and its events in order."""

    about: str
    steps: Sequence[Step]


def _paid(at_s: int = 0) -> tuple[Step, ...]:
    return (
        Step("payment_intent.created", at_s),
        Step("charge.succeeded", at_s + 24),
        Step("payment_intent.succeeded", at_s + 25),
    )


def _disputed(at_s: int) -> tuple[Step, ...]:
    return (
        Step("charge.dispute.created", at_s),
        Step("charge.dispute.funds_withdrawn", at_s + 2),
        Step("charge.dispute.updated", at_s + 5 * DAY_S),
    )


FOR_THE_INVOICE = "data.object.payment_details.order_reference=in_1SAMPLE0000"
# Since 2025 a payment names its invoice nowhere else.


def _billed(at_s: int) -> tuple[Step, ...]:
    return (
        Step("invoice.created", at_s, ["data.object.next_payment_attempt=1793365200"]),
        Step("invoice.finalized", at_s + HOUR_S),
        Step("payment_intent.payment_failed", at_s + HOUR_S + 1, [FOR_THE_INVOICE]),
        Step("invoice.payment_failed", at_s + HOUR_S + 2),
        Step("customer.subscription.updated", at_s + HOUR_S + 3),
    )


MONTH_S = 30 * DAY_S

SCENARIOS: Mapping[str, Scenario] = {
    "payment-refunded": Scenario(
        "a payment succeeds and is refunded in full two days later",
        (
            *_paid(),
            Step("refund.created", 2 * DAY_S),
            Step("charge.refunded", 2 * DAY_S + 1),
            Step("refund.updated", 2 * DAY_S + 2),
        ),
    ),
    "payment-retried": Scenario(
        "a card is declined, the customer confirms another one, and the payment succeeds",
        (
            Step("payment_intent.created", 0),
            Step("charge.failed", 20, ["data.object.id=ch_3FSAMPLE0000"]),
            Step("payment_intent.payment_failed", 21, ["data.object.latest_charge=ch_3FSAMPLE0000"]),
            Step("payment_intent.requires_action", 75),
            Step("charge.succeeded", 110),
            Step("payment_intent.succeeded", 111),
        ),
    ),
    "refund-failed": Scenario(
        "a refund that Stripe had called succeeded comes back from the bank",
        (
            *_paid(),
            Step("refund.created", DAY_S),
            Step("charge.refunded", DAY_S + 1),
            Step("refund.updated", DAY_S + 2),
            Step("refund.failed", 6 * DAY_S),
        ),
    ),
    "dispute-lost": Scenario(
        "a payment is disputed, evidence is sent, and the bank finds for the customer",
        (
            *_paid(),
            *_disputed(9 * DAY_S),
            Step("charge.dispute.closed", 40 * DAY_S, ["data.object.status=lost"]),
        ),
    ),
    "dispute-won": Scenario(
        "a payment is disputed, evidence is sent, and the money comes back",
        (
            *_paid(),
            *_disputed(9 * DAY_S),
            Step("charge.dispute.closed", 40 * DAY_S),
            Step("charge.dispute.funds_reinstated", 40 * DAY_S + 2),
        ),
    ),
    "fraud-warned": Scenario(
        "the bank warns of fraud, and the dispute follows",
        (*_paid(), Step("radar.early_fraud_warning.created", 3 * DAY_S), *_disputed(12 * DAY_S)),
    ),
    "subscription-failing": Scenario(
        "a renewal fails, is tried three times in vain, and the subscription ends",
        (
            Step("customer.subscription.created", 0),
            *_billed(MONTH_S),
            Step("invoice.payment_failed", MONTH_S + 3 * DAY_S, ["data.object.attempt_count=2"]),
            Step(
                "invoice.payment_failed",
                MONTH_S + 8 * DAY_S,
                ["data.object.attempt_count=3", "data.object.next_payment_attempt=null"],
            ),
            Step("customer.subscription.deleted", MONTH_S + 8 * DAY_S + 2),
        ),
    ),
    "subscription-recovered": Scenario(
        "a renewal fails, and the second try succeeds",
        (
            Step("customer.subscription.created", 0),
            *_billed(MONTH_S),
            Step("invoice.paid", MONTH_S + 3 * DAY_S, ["data.object.attempt_count=2"]),
            Step(
                "customer.subscription.updated",
                MONTH_S + 3 * DAY_S + 1,
                ["data.object.status=active", "data.previous_attributes.status=past_due"],
            ),
        ),
    ),
    "payout-failed": Scenario(
        "a payout is on its way, and the bank account turns out to be closed",
        (Step("payout.created", 0), Step("payout.updated", DAY_S), Step("payout.failed", 2 * DAY_S)),
    ),
    "payout-paid": Scenario(
        "a payout arrives",
        (Step("payout.created", 0), Step("payout.updated", DAY_S), Step("payout.paid", 2 * DAY_S)),
    ),
}


@dataclass(slots=True)
class _Memory:
    """What the story has said of each object when it was first told of."""

    of: dict[str, dict[str, Any]] = field(default_factory=dict)

    def keep(self, thing: dict[str, Any]) -> None:
        """Have an object say of itself what it said at first."""
        said = self.of.setdefault(str(thing.get("id")), {})
        for path in LASTING:
            *parents, last = path.split(".")
            place: Any = thing
            for parent in parents:
                place = place.get(parent) or {}
            if place.get(last) is not None:
                place[last] = said.setdefault(path, place[last])


def find_scenario(name: str) -> Scenario:
    """Give a story by its name.

    Raises:
        UnknownSample: there is none of this name.

    """
    if name not in SCENARIOS:
        raise UnknownSample(f"no scenario {name!r}; there is {', '.join(SCENARIOS)}")
    return SCENARIOS[name]


def tell(
    scenario: Scenario, overrides: Sequence[str], removals: Sequence[str] = (), *, now: float, random: Random
) -> list[tuple[str, Webhook]]:
    """Make the webhooks of a story that ends at `now` (Unix seconds), in order, each with its type.

    The overrides change all of them; what is to be removed is removed from those that have it.

    Raises:
        BadOverride: an override has no `=`.
        UnknownPath: an override's place does not exist in one of the events.

    """
    ends_s = scenario.steps[-1].at_s
    marks, memory = make_marks(random), _Memory()
    told = []
    for number, step in enumerate(scenario.steps, start=1):
        at = round(now) - ends_s + step.at_s
        sample = load_sample("stripe", step.type)
        payload = _event(sample, step, marks, at)
        # The objects are the same all along, each event is another: soon enough in its id that a short prefix tells it.
        payload["id"] = f"{payload['id'][:5]}{number:02}{payload['id'][7:]}"
        memory.keep(payload["data"]["object"])
        for override in overrides:
            put(payload, override)
        for path in removals:
            if has(payload, path):
                drop(payload, path)
        told.append((step.type, pack(Sample("stripe", step.type, payload))))
    return told


def _event(sample: Sample, step: Step, marks: Marks, at: int) -> dict[str, Any]:
    changed = deepcopy(dict(sample.payload))
    for change in step.changes:
        put(changed, change)
    event: dict[str, Any] = moved(renamed(changed, marks), at - SAMPLED_AT)
    return event
