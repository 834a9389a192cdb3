"""Whole lives of Stripe's objects, in any order, repeated and mixed up with each other, end in the same book."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from cli.sample import SAMPLED_AT, list_samples
from handlers.errors import GiveUp
from handlers.payments.kinds import KINDS
from handlers.payments.names import KIND_NAMES
from handlers.payments.tables import disputes, history, objects, payments, refunds
from handlers.payments.views import Position, Wanted, list_objects, page_of_objects
from handlers.router import Router
from tests.engines import DESK_ON_SQLITE
from tests.examples import examples
from tests.handlers.desk import Desk, open_desk, sample

Payload = dict[str, Any]
Book = list[list[dict[str, Any]]]

OLD, NEW = "2024-06-20", "2026-10-28.endive"


ALIKE = {"created": SAMPLED_AT, "evidence_details": {"due_by": SAMPLED_AT + 9 * 86_400}}
# The samples tell of several lives; here they are to be one.


def told(number: int, type_: str, at_s: int, **changes: object) -> Payload:
    """Give the sample of a type as the event of this number, with other fields in its object."""
    fields: dict[str, Any] = {f"data__object__{name}": value for name, value in {**ALIKE, **changes}.items()}
    return sample(type_, id=f"evt_{number:02}", created=SAMPLED_AT + at_s, livemode=True, **fields)


PAYMENT = [
    told(1, "payment_intent.created", 0),
    told(2, "payment_intent.payment_failed", 4),
    told(3, "charge.failed", 4, id="ch_0"),
    told(4, "payment_intent.succeeded", 9),
    told(5, "charge.succeeded", 9),
    told(6, "charge.updated", 10),
    told(7, "charge.refunded", 60, amount_refunded=1000, refunded=False),
    told(8, "refund.created", 60, amount=1000),
    told(9, "refund.updated", 61, amount=1000),
    told(10, "radar.early_fraud_warning.created", 70),
    told(11, "review.opened", 70),
    told(12, "charge.dispute.created", 100),
    told(13, "charge.dispute.funds_withdrawn", 100),
    told(14, "radar.early_fraud_warning.updated", 101),
    told(15, "charge.dispute.updated", 200),
    told(16, "charge.dispute.closed", 300),
    told(17, "charge.dispute.funds_reinstated", 300),
    told(18, "review.closed", 300),
]
BILL = [
    told(21, "invoice.created", 0),
    told(22, "invoice.finalized", 10),
    told(23, "customer.subscription.updated", 20),
    told(24, "invoice.payment_failed", 20),
    told(25, "invoice.updated", 20),
    told(26, "invoice_payment.paid", 90),
    told(27, "invoice.payment_succeeded", 90),
    told(28, "invoice.paid", 90),
    told(29, "customer.subscription.resumed", 91),
    told(30, "customer.subscription.deleted", 900),
]
PAYOUT = [
    told(41, "payout.created", 0),
    told(42, "payout.paid", 100),
    told(43, "payout.reconciliation_completed", 101),
    told(44, "payout.failed", 200),
    told(45, "balance.available", 5),
    told(46, "balance.available", 205, available=[{"amount": 7, "currency": "usd"}]),
]
LIVES = [*PAYMENT, *BILL, *PAYOUT]


def book(desk: Desk, arrivals: list[Payload]) -> Book:
    for each in arrivals:
        desk.deliver(each)
    return [desk.rows(table) for table in (payments, refunds, disputes, objects, history)]


def kept(desk: Desk, *arrivals: Payload) -> Mapping[str, Mapping[str, Any]]:
    """Deliver these; give what is kept of each object, by its id."""
    rows = book(desk, list(arrivals))[3]
    return {row["id"]: row for row in rows}


@DESK_ON_SQLITE
@examples(8)
@given(data=st.data())
def test_whole_lives_in_any_order_with_repetitions_give_the_same_book_and_the_same_history(
    engine: Engine, router: Router, data: st.DataObject
) -> None:
    with open_desk(engine, router) as desk:
        expected = book(desk, LIVES)
    again = data.draw(st.lists(st.sampled_from(LIVES), max_size=8))
    arrivals = data.draw(st.permutations([*LIVES, *again]))
    with open_desk(engine, router) as desk:
        assert book(desk, arrivals) == expected


def test_the_pages_of_a_list_are_the_list_however_many_objects_came_about_at_once(desk: Desk) -> None:
    book(
        desk,
        [*LIVES, *({**each, "livemode": False} for each in PAYOUT), *({**each, "account": "acct_1"} for each in BILL)],
    )
    whole = list_objects(desk.db, Wanted())
    assert len({each["reached_at"] for each in whole}) < len({each["id"] for each in whole}) < len(whole)
    for limit in range(1, len(whole) + 1):
        pages: list[list[Payload]] = []
        after: Position | None = None
        while after is not None or not pages:
            place = None if after is None else Position.read(str(after))
            page, after = page_of_objects(desk.db, Wanted(after=place), limit=limit)
            pages.append(page)
        assert [each for page in pages for each in page] == whole
        assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)


def test_those_lives_end_as_they_should(desk: Desk) -> None:
    [payment], [refund], [dispute], rows, noted = book(desk, LIVES)
    states = {row["id"].replace("SAMPLE0000", ""): (row["kind"], row["state"]) for row in rows}
    assert (payment["status"], payment["amount_refunded"]) == ("succeeded", 1000)
    assert (refund["status"], dispute["status"]) == ("succeeded", "won")
    assert (dispute["fee"], dispute["net"], dispute["settled_currency"]) == (0, 0, "usd")
    assert states == {
        "ch_0": ("charge", "failed"),
        "ch_3": ("charge", "succeeded"),
        "issfr_1": ("early_fraud_warning", "not_actionable"),
        "prv_1": ("review", "closed"),
        "in_1": ("invoice", "paid"),
        "inpay_1": ("invoice_payment", "paid"),
        "sub_1": ("subscription", "canceled"),
        "po_1": ("payout", "failed"),
        "balance": ("balance", "available"),
    }
    # charge.refunded tells of the charge and of its payment.
    assert len(noted) == len(LIVES) + 1


@pytest.mark.parametrize("order", [1, -1])
def test_links_are_kept_when_a_newer_version_of_the_api_does_not_say_them(desk: Desk, order: int) -> None:
    older = told(1, "invoice.payment_succeeded", 0, charge="ch_old")
    assert older["api_version"] == OLD
    newer = told(2, "invoice.paid", 5)
    assert newer["api_version"] == NEW
    [invoice] = kept(desk, *[older, newer][::order]).values()
    assert (invoice["version_event"], invoice["charge"]) == ("evt_02", "ch_old")
    assert (invoice["payment_intent"], invoice["subscription"]) == ("pi_3SAMPLE0000", "sub_1SAMPLE0000")


def test_a_period_is_read_from_the_subscription_or_from_its_items(desk: Desk) -> None:
    older = told(1, "customer.subscription.updated", 0, id="sub_old")
    newer = told(2, "customer.subscription.resumed", 0, id="sub_new")
    rows = kept(desk, older, newer)
    periods = {name: json.loads(row["details"])["period_end"] for name, row in rows.items()}
    assert periods == {
        "sub_old": older["data"]["object"]["current_period_end"],
        "sub_new": newer["data"]["object"]["items"]["data"][0]["current_period_end"],
    }


def test_an_invoice_names_what_paid_it_in_its_payments(desk: Desk) -> None:
    paid_with = {"object": "list", "data": [{"payment": {"type": "payment_intent", "payment_intent": "pi_9"}}]}
    [invoice] = kept(desk, told(1, "invoice.paid", 0, payments=paid_with)).values()
    assert invoice["payment_intent"] == "pi_9"


def test_a_preview_of_an_invoice_takes_the_place_of_the_one_before(desk: Desk) -> None:
    rows = kept(desk, told(1, "invoice.upcoming", 0, amount_due=1), told(2, "invoice.upcoming", 9, amount_due=2))
    assert {name: (row["state"], row["amount"]) for name, row in rows.items()} == {
        "upcoming_sub_1SAMPLE0000": ("upcoming", 2)
    }


def test_fees_are_kept_from_the_one_event_that_has_them(desk: Desk) -> None:
    settled = {"id": "txn_1", "fee": 172, "net": 4728, "currency": "eur"}
    with_fee = told(1, "charge.succeeded", 0, balance_transaction=settled)
    [charge] = kept(desk, told(2, "charge.updated", 5), with_fee).values()
    assert (charge["fee"], charge["net"], charge["settled_currency"]) == (172, 4728, "eur")


def test_a_completed_checkout_is_not_a_paid_one(desk: Desk) -> None:
    unpaid = told(1, "checkout.session.completed", 0, payment_status="unpaid")
    failed = told(2, "checkout.session.async_payment_failed", 9, id="cs_2")
    free = told(3, "checkout.session.completed", 9, id="cs_3", payment_status="no_payment_required", amount_total=None)
    states = [row["state"] for row in kept(desk, unpaid, failed, free).values()]
    assert sorted(states) == ["no_payment_required", "payment_failed", "unpaid"]


TO_AND_FRO = [
    told(1, "customer.subscription.updated", 0),
    told(2, "customer.subscription.updated", 10, status="active"),
    told(3, "customer.subscription.updated", 20),
    told(4, "customer.subscription.updated", 25),
]


@DESK_ON_SQLITE
@given(arrivals=st.permutations([*TO_AND_FRO, *TO_AND_FRO[:2]]))
def test_a_subscription_is_in_its_state_since_it_last_came_there(
    engine: Engine, router: Router, arrivals: list[Payload]
) -> None:
    with open_desk(engine, router) as desk:
        [row] = kept(desk, *arrivals).values()
    assert (row["state"], row["reached_at"]) == ("past_due", SAMPLED_AT + 20)


def test_a_subscription_that_ended_stays_so(desk: Desk) -> None:
    ended, late = told(4, "customer.subscription.deleted", 30), told(5, "customer.subscription.updated", 40)
    [row] = kept(desk, ended, late).values()
    assert row["state"] == "canceled"


@pytest.mark.parametrize("order", [1, -1])
def test_a_payment_keeps_the_bill_that_only_an_older_version_of_the_api_names(desk: Desk, order: int) -> None:
    older = told(1, "payment_intent.created", 0, invoice="in_1")
    newer = told(2, "payment_intent.succeeded", 9)
    book(desk, [older, newer][::order])
    [payment] = desk.rows(payments)
    assert (payment["status"], payment["invoice"]) == ("succeeded", "in_1")


@pytest.mark.parametrize("type_", [each for each in list_samples("stripe") if not each.startswith(("v1.", "v2."))])
def test_every_type_is_kept_with_the_event_that_told_it(desk: Desk, type_: str) -> None:
    desk.deliver(told(1, type_, 0))
    noted = desk.rows(history)
    assert {(row["event"], row["type"]) for row in noted} == {("evt_01", type_)}
    assert len(noted) == (2 if type_ == "charge.refunded" else 1)


def test_what_stripe_says_of_its_own_health_is_kept(desk: Desk) -> None:
    type_ = "v2.core.health.event_generation_failure.resolved"
    desk.deliver(sample(type_, livemode=True))
    [row] = desk.rows(objects)
    assert (row["kind"], row["state"], row["reached_at"]) == ("health", "resolved", SAMPLED_AT)


def test_what_does_not_say_what_it_is_about_is_given_up(desk: Desk) -> None:
    with pytest.raises(GiveUp, match="does not say what it is about"):
        desk.deliver(told(1, "transfer.created", 0, id=None))
    with pytest.raises(GiveUp, match="real money"):
        desk.deliver({**told(1, "transfer.created", 0), "livemode": None})
    assert desk.rows(history) == []


def test_every_kind_that_is_kept_can_be_asked_for() -> None:
    assert set(KIND_NAMES) == {"payment", "refund", "dispute", *KINDS}
