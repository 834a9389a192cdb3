"""A refund that failed is open until another one has taken its place, in whatever order they are heard of."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, update

from cli.sample import SAMPLED_AT
from handlers.router import Router
from ledger.effects import read_message
from ledger.tables import cases, effects
from tests.engines import DESK_ON_SQLITE
from tests.examples import examples
from tests.handlers.desk import Desk, open_desk
from tests.handlers.notifications.test_cases import event

Payload = dict[str, Any]

OF_PAYMENT, OF_CHARGE = {"payment_intent": "pi_1", "charge": "ch_1"}, {"charge": "ch_1"}
MADE_AT_S = {"re_1": 0, "re_2": 90, "re_3": 100}


def refund(of: str, at_s: int, status: str, **fields: object) -> Payload:
    what = "failed" if status == "failed" else "created" if status == "pending" else "updated"
    its = {"id": of, **OF_PAYMENT, "amount": 4_900, "currency": "usd", "created": SAMPLED_AT + MADE_AT_S[of]}
    return event(f"{of}_{at_s}_{status}", f"refund.{what}", at_s, **(its | fields), status=status)


def both(status: str, **fields: object) -> list[Payload]:
    return [*FAILED, refund("re_2", 90, "pending", **fields), refund("re_2", 130, status, **fields)]


def charged(payloads: list[Payload]) -> list[Payload]:
    objects = [each["data"]["object"] | {"payment_intent": None} for each in payloads]
    return [{**each, "data": {"object": its}} for each, its in zip(payloads, objects, strict=True)]


# That it failed is said twice, the second time after the other one was made.
FAILED = [
    refund("re_1", 0, "pending"),
    refund("re_1", 5, "succeeded"),
    refund("re_1", 60, "failed"),
    refund("re_1", 120, "failed"),
]
OPEN, CLOSED = {"re_1": "open"}, {"re_1": "closed"}
LIVES: dict[str, tuple[list[Payload], dict[str, str]]] = {
    "alone": (FAILED, OPEN),
    "at_once": ([refund("re_1", 0, status) for status in ("pending", "succeeded", "failed")], OPEN),
    "succeeded": (both("succeeded"), CLOSED | {"re_2": "closed"}),
    "more": (both("succeeded", amount=5_000), CLOSED | {"re_2": "closed"}),
    "by_charge_only": (charged(both("succeeded")), CLOSED | {"re_2": "closed"}),
    "failed_as_well": ([*both("succeeded"), refund("re_2", 200, "failed")], CLOSED | {"re_2": "open"}),
    "never_sent": (both("failed"), OPEN | {"re_2": "open"}),
    "canceled": (both("canceled"), OPEN | {"re_2": "closed"}),
    "pending": (both("pending"), OPEN | {"re_2": "closed"}),
    "smaller": (both("succeeded", amount=100), OPEN | {"re_2": "closed"}),
    "smaller_ones": (
        [*both("succeeded", amount=4_000), refund("re_3", 140, "succeeded", amount=900)],
        CLOSED | {"re_2": "closed", "re_3": "closed"},
    ),
    "too_small_ones": (
        [*both("succeeded", amount=4_000), refund("re_3", 140, "succeeded", amount=899)],
        OPEN | {"re_2": "closed", "re_3": "closed"},
    ),
    "other_currency": (both("succeeded", currency="eur"), OPEN | {"re_2": "closed"}),
    "other_payment": (both("succeeded", payment_intent="pi_2", charge="ch_2"), OPEN | {"re_2": "closed"}),
    "made_before": (both("succeeded", created=SAMPLED_AT + 30), OPEN | {"re_2": "closed"}),
}


@DESK_ON_SQLITE
@pytest.mark.parametrize("name", LIVES)
@examples(8)
@given(data=st.data())
def test_a_failed_refund_ends_open_or_closed_whatever_the_order_of_events_and_of_their_handlers(
    engine: Engine, router: Router, name: str, data: st.DataObject
) -> None:
    payloads, end = LIVES[name]
    with open_desk(engine, router) as desk:
        stored = [desk.store(each) for each in payloads]
        jobs = [(handler, each) for each in stored for handler in router.matching("stripe", each.type)]
        again = data.draw(st.lists(st.sampled_from(range(len(jobs))), max_size=3))
        for number in data.draw(st.permutations([*range(len(jobs)), *again])):
            handler, each = jobs[number]
            desk.run(handler, each)
        assert {row["key"].rpartition("/")[2]: row["state"] for row in desk.rows(cases)} == end


def loud(desk: Desk) -> list[str]:
    messages = [read_message(row["message"]) for row in desk.rows(effects)]
    return [message["text"] for message in messages if message.get("broadcast")]


@DESK_ON_SQLITE
@pytest.mark.parametrize(
    ("later", "told"),
    [("failed", ["Needs somebody now: Refund failed: $49.00"]), ("succeeded", []), ("canceled", [])],
)
def test_a_refund_that_was_told_before_there_were_cases_is_loud_when_it_fails_and_only_then(
    engine: Engine, router: Router, later: str, told: list[str]
) -> None:
    with open_desk(engine, router) as desk:
        desk.deliver(refund("re_1", 0, "pending"))
        desk.db.execute(update(effects).values(state="sent", channel_id="C1", ts="1.0"))
        desk.db.execute(delete(cases))
        for _ in range(2):
            desk.deliver(refund("re_1", 60, later))
        assert [text.partition(" (")[0] for text in loud(desk)] == told


@DESK_ON_SQLITE
@pytest.mark.parametrize("waits", [False, True])
def test_a_refund_of_which_nobody_has_read_is_not_loud_when_it_fails(
    engine: Engine, router: Router, *, waits: bool
) -> None:
    with open_desk(engine, router) as desk:
        if waits:
            desk.deliver(refund("re_1", 0, "pending"))
            desk.db.execute(delete(cases))
        desk.deliver(refund("re_1", 60, "failed"))
        assert (len(desk.posts()), loud(desk)) == (1, [])
