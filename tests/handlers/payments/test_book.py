"""The book is right whatever the order or number of arrivals."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from cli.sample import SAMPLED_AT
from handlers.errors import GiveUp
from handlers.payments.tables import disputes, payments, refunds
from handlers.router import Router
from tests.engines import DESK_ON_SQLITE
from tests.handlers.desk import Desk, open_desk

PI, CHARGE, REFUND, DISPUTE = "pi_1", "ch_1", "re_1", "du_1"
Payload = dict[str, Any]
Book = list[list[dict[str, Any]]]


def event(number: int, type_: str, at_s: int, **fields: object) -> Payload:
    body = {"id": f"evt_{number}", "type": type_, "created": SAMPLED_AT + at_s, "livemode": True}
    return {**body, "data": {"object": fields}}


def intent(number: int, what: str, at_s: int, **fields: object) -> Payload:
    base = {"id": PI, "amount": 4900, "currency": "usd", "customer": "cus_1"}
    return event(number, f"payment_intent.{what}", at_s, **{**base, **fields})


def charge(number: int, at_s: int, amount_refunded: int, **fields: object) -> Payload:
    base = {"id": CHARGE, "payment_intent": PI, "amount": 4900, "amount_captured": 4900, "currency": "usd"}
    shown = {**base, "status": "succeeded", "amount_refunded": amount_refunded, **fields}
    return event(number, "charge.refunded", at_s, **shown)


def refund(number: int, what: str, at_s: int, status: str, **fields: object) -> Payload:
    base = {"id": REFUND, "payment_intent": PI, "charge": CHARGE, "amount": 1000, "currency": "usd"}
    return event(number, what, at_s, **{**base, "status": status, **fields})


def dispute(number: int, what: str, at_s: int, status: str) -> Payload:
    base = {"id": DISPUTE, "payment_intent": PI, "charge": CHARGE, "amount": 4900, "currency": "usd"}
    due = {"due_by": SAMPLED_AT + 9 * 86_400}
    return event(
        number, f"charge.dispute.{what}", at_s, **base, reason="fraudulent", status=status, evidence_details=due
    )


DECLINED = {"code": "card_declined", "decline_code": "insufficient_funds"}

# As Stripe would send it to someone lucky. Several events share a second.
LIFECYCLE = [
    intent(1, "created", 0, status="requires_payment_method"),
    intent(
        2,
        "payment_failed",
        5,
        status="requires_payment_method",
        last_payment_error=DECLINED,
        latest_charge="ch_0",
    ),
    intent(3, "processing", 9, status="processing", latest_charge=CHARGE),
    intent(4, "succeeded", 9, status="succeeded", latest_charge=CHARGE, amount_received=4900),
    charge(5, 60, 1000),
    refund(6, "refund.created", 60, "pending"),
    refund(7, "refund.updated", 60, "succeeded"),
    refund(8, "charge.refund.updated", 60, "succeeded"),
    charge(9, 90, 4900),
    refund(10, "refund.failed", 95, "failed", failure_reason="declined"),
    dispute(11, "created", 100, "needs_response"),
    dispute(12, "funds_withdrawn", 100, "needs_response"),
    dispute(13, "updated", 101, "under_review"),
    dispute(14, "closed", 101, "won"),
    dispute(15, "funds_reinstated", 101, "won"),
]


def in_any_order(events: Sequence[Payload]) -> st.SearchStrategy[list[Payload]]:
    """Give every event at least once, some again, in any order."""
    again = st.lists(st.sampled_from(events), max_size=8)
    return again.flatmap(lambda extra: st.permutations([*events, *extra]))


def book(desk: Desk, events: Sequence[Payload]) -> Book:
    for each in events:
        desk.deliver(each)
    return [desk.rows(table) for table in (payments, refunds, disputes)]


@DESK_ON_SQLITE
@given(arrivals=in_any_order(LIFECYCLE))
def test_a_lifecycle_in_any_order_with_repetitions_gives_the_same_book(
    engine: Engine, router: Router, arrivals: list[Payload]
) -> None:
    with open_desk(engine, router) as desk:
        [payment], [refund_], [dispute_] = book(desk, arrivals)
    assert payment == {
        "account": "",
        "livemode": True,
        "id": PI,
        "amount": 4900,
        "amount_received": 4900,
        "amount_refunded": 4900,
        "currency": "usd",
        "customer": "cus_1",
        "status": "succeeded",
        "failure_code": None,
        "latest_charge": CHARGE,
        "invoice": None,
        "version_standing": 2,
        "version_created": SAMPLED_AT + 9,
        "version_rank": 8,
        "version_event": "evt_4",
    }
    assert (refund_["status"], refund_["failure_reason"]) == ("failed", "declined")
    assert (dispute_["status"], dispute_["version_event"]) == ("won", "evt_15")


ANY_STATUS = st.sampled_from(
    ["requires_payment_method", "requires_action", "processing", "requires_capture", "succeeded", "canceled", "new one"]
)
ANY_EVENT = st.one_of(
    st.builds(
        lambda status, at_s, amount: ("intent", status.replace(" ", "_"), at_s, amount),
        ANY_STATUS,
        st.integers(0, 2),
        st.integers(1, 3),
    ),
    st.builds(lambda at_s, amount: ("charge", "", at_s, amount), st.integers(0, 2), st.integers(1, 3)),
)


def numbered(number: int, made: tuple[str, str, int, int]) -> Payload:
    kind, status, at_s, amount = made
    if kind == "charge":
        return charge(number, at_s, amount)
    return intent(number, "processing", at_s, status=status, amount=amount)


@DESK_ON_SQLITE
@given(made=st.lists(ANY_EVENT, min_size=2, max_size=7), data=st.data())
def test_even_events_that_contradict_each_other_end_in_one_book(
    engine: Engine, router: Router, made: list[tuple[str, str, int, int]], data: st.DataObject
) -> None:
    events = [numbered(number, each) for number, each in enumerate(made)]
    arrivals = data.draw(in_any_order(events))
    with open_desk(engine, router) as desk:
        expected = book(desk, events)
    with open_desk(engine, router) as desk:
        assert book(desk, arrivals) == expected


@given(
    events=st.permutations(
        [intent(1, "canceled", 0, status="canceled"), intent(2, "processing", 30, status="processing")]
    )
)
def test_a_final_state_is_never_left_even_for_a_later_event(
    engine: Engine, router: Router, events: list[Payload]
) -> None:
    with open_desk(engine, router) as desk:
        [[payment], _, _] = book(desk, events)
    assert payment["status"] == "canceled"


def test_a_refund_that_succeeded_can_still_fail(desk: Desk) -> None:
    book(desk, [refund(1, "refund.updated", 0, "succeeded"), refund(2, "refund.failed", 86_400, "failed")])
    assert desk.rows(refunds)[0]["status"] == "failed"


def test_a_dispute_that_was_lost_can_still_be_appealed(desk: Desk) -> None:
    book(desk, [dispute(1, "closed", 0, "lost"), dispute(2, "updated", 86_400, "appeal_under_review")])
    assert desk.rows(disputes)[0]["status"] == "appeal_under_review"


def test_within_one_second_the_state_that_is_further_on_counts(desk: Desk) -> None:
    failed = intent(1, "payment_failed", 0, status="requires_payment_method", last_payment_error=DECLINED)
    book(desk, [failed, intent(2, "processing", 0, status="processing")])
    assert desk.rows(payments)[0]["failure_code"] == "insufficient_funds"


def test_a_refunded_charge_is_kept_before_anything_is_known_of_its_payment(desk: Desk) -> None:
    book(desk, [charge(1, 60, 1000)])
    [payment] = desk.rows(payments)
    assert (payment["id"], payment["amount"], payment["amount_refunded"]) == (PI, 4900, 1000)
    assert (payment["currency"], payment["status"], payment["latest_charge"]) == ("usd", "succeeded", CHARGE)


def test_a_late_early_event_does_not_make_a_refunded_payment_unpaid(desk: Desk) -> None:
    book(desk, [charge(1, 60, 1000), intent(2, "created", 0, status="requires_payment_method")])
    assert desk.rows(payments)[0]["status"] == "succeeded"


def test_what_was_refunded_only_grows(desk: Desk) -> None:
    book(desk, [charge(1, 90, 4900), charge(2, 60, 1000), intent(3, "succeeded", 9, status="succeeded")])
    assert desk.rows(payments)[0]["amount_refunded"] == 4900


def test_a_charge_without_a_payment_intent_is_a_payment_of_its_own(desk: Desk) -> None:
    book(desk, [charge(1, 60, 1000, payment_intent=None)])
    assert [row["id"] for row in desk.rows(payments)] == [CHARGE]


def test_objects_of_test_and_live_and_of_other_accounts_do_not_mix(desk: Desk) -> None:
    ours = intent(1, "created", 0, status="requires_payment_method")
    book(desk, [ours, {**ours, "livemode": False}, {**ours, "account": "acct_1"}])
    rows = desk.rows(payments)
    assert [(row["account"], row["livemode"]) for row in rows] == [("", False), ("", True), ("acct_1", True)]


def test_an_object_in_the_place_of_an_id_is_read_for_its_id(desk: Desk) -> None:
    expanded = {"customer": {"id": "cus_2", "object": "customer"}, "latest_charge": {"id": "ch_2", "paid": True}}
    book(desk, [intent(1, "succeeded", 0, status="succeeded", **expanded)])
    [payment] = desk.rows(payments)
    assert (payment["customer"], payment["latest_charge"]) == ("cus_2", "ch_2")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"amount": None}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": 49.0}, "amount"),
        ({"amount": "4900"}, "amount"),
        ({"amount": 2**63}, "amount"),
        ({"currency": None}, "currency"),
        ({"currency": "US dollars"}, "currency"),
        ({"id": "pi_\x00"}, "id"),
        ({"status": None}, "status"),
        ({"customer": {"name": "no id"}}, "customer"),
    ],
)
def test_an_object_without_what_the_book_needs_is_given_up_and_named(
    desk: Desk, fields: dict[str, Any], named: str
) -> None:
    body = intent(1, "created", 0, **{"status": "processing", **fields})
    with pytest.raises(GiveUp, match=rf"data\.object\.{named}"):
        desk.deliver(body)
    assert desk.rows(payments) == []


def test_the_reason_for_giving_up_does_not_repeat_what_was_sent(desk: Desk) -> None:
    with pytest.raises(GiveUp) as caught:
        desk.deliver(intent(1, "created", 0, status="processing", currency="4242 4242 4242 4242"))
    assert "4242" not in str(caught.value)


def test_an_event_of_unknown_mode_is_given_up(desk: Desk) -> None:
    with pytest.raises(GiveUp, match="real money"):
        desk.deliver({**intent(1, "created", 0, status="processing"), "livemode": None})
