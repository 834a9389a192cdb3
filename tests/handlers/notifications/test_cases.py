"""A case reads the same in the end, in its message and in its thread, whatever the order or number of arrivals."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from cli.sample import SAMPLED_AT
from handlers.notifications.times import in_utc
from handlers.router import Router
from ledger.tables import cases, effects
from tests.engines import DESK_ON_SQLITE
from tests.examples import examples
from tests.handlers.desk import Desk, open_desk

DAY_S = 86_400

Payload = dict[str, Any]


def event(name: str, type_: str, at_s: int, **fields: object) -> Payload:
    body = {"id": f"evt_{name}", "type": type_, "created": SAMPLED_AT + at_s, "livemode": True}
    return {**body, "data": {"object": fields}}


TAKEN = {"currency": "usd", "fee": 1_500, "net": -13_500}
BACK = {"currency": "usd", "fee": 0, "net": 12_000}


def dispute(
    what: str, at_s: int, status: str, *, name: str = "", of: str = "du_1", moves: Sequence[Payload] = ()
) -> Payload:
    base = {"id": of, "payment_intent": "pi_1", "amount": 12_000, "currency": "usd", "reason": "fraudulent"}
    due = {"due_by": SAMPLED_AT + 9 * DAY_S}
    type_ = f"charge.dispute.{what}"
    its = {"status": status, "evidence_details": due, "balance_transactions": list(moves)}
    return event(name or f"{of}_{what}_{status}", type_, at_s, **base, **its)


def invoice(what: str, at_s: int, status: str, tries: int) -> Payload:
    base = {"id": "in_1", "amount_due": 4_900, "currency": "eur", "customer": "cus_1", "number": "EX-0417"}
    parent = {"subscription_details": {"subscription": "sub_1"}}
    its = {"created": SAMPLED_AT - DAY_S, "attempt_count": tries, "next_payment_attempt": SAMPLED_AT + DAY_S * tries}
    return event(f"in_{what}_{tries}", f"invoice.{what}", at_s, **base, **its, status=status, parent=parent)


def subscription(what: str, at_s: int, status: str) -> Payload:
    type_ = f"customer.subscription.{what}"
    return event(f"sub_{what}_{status}", type_, at_s, id="sub_1", status=status, latest_invoice="in_1")


def refund(what: str, at_s: int, status: str, *, of: str = "re_1") -> Payload:
    its = {"id": of, "payment_intent": "pi_1", "amount": 4_900, "currency": "usd", "status": status}
    made = SAMPLED_AT + (90 if of == "re_2" else 0)
    failure = {"failure_reason": "expired_or_canceled_card"} if status == "failed" else {}
    return event(f"{of}_{what}", f"refund.{what}", at_s, **its, **failure, created=made)


def declined(at_s: int, code: str, charge: str, **fields: object) -> Payload:
    its = {"id": "pi_in_1", "amount": 4_900, "currency": "eur", "status": "requires_payment_method"}
    error = {"code": "card_declined", "decline_code": code, "charge": charge}
    whole = {**its, "latest_charge": charge, "last_payment_error": error, **fields}
    return event(f"pi_{charge}", "payment_intent.payment_failed", at_s, **whole)


def warning(what: str, at_s: int, *, actionable: bool) -> Payload:
    its = {"id": "issfr_1", "payment_intent": "pi_1", "fraud_type": "made_with_stolen_card", "actionable": actionable}
    return event(f"issfr_{what}", f"radar.early_fraud_warning.{what}", at_s, **its)


def refunded(at_s: int, amount: int) -> Payload:
    its = {"id": "ch_1", "payment_intent": "pi_1", "currency": "usd", "status": "succeeded"}
    money = {"amount": 12_000, "amount_captured": 12_000, "amount_refunded": amount}
    return event(f"ch_refunded_{amount}", "charge.refunded", at_s, **its, **money)


def review(what: str, at_s: int, *, is_open: bool) -> Payload:
    its = {"id": "prv_1", "payment_intent": "pi_1", "open": is_open, "opened_reason": "rule", "reason": "rule"}
    closed = {} if is_open else {"closed_reason": "approved"}
    return event(f"prv_{what}", f"review.{what}", at_s, **its, **closed)


# As Stripe would send them to someone lucky. Several share a second; one change comes under two ids.
DISPUTE = [
    dispute("created", 0, "needs_response"),
    dispute("created", 0, "needs_response", name="twin"),
    dispute("funds_withdrawn", 0, "needs_response", moves=[TAKEN]),
    dispute("updated", 60, "under_review"),
    dispute("updated", 60, "under_review", name="another_twin"),
    dispute("closed", 90, "won", moves=[TAKEN]),
    dispute("funds_reinstated", 90, "won", moves=[TAKEN, BACK]),
]
INVOICE = [
    invoice("payment_failed", 0, "open", 1),
    subscription("updated", 0, "past_due"),
    invoice("payment_action_required", 30, "open", 1),
    invoice("payment_failed", 60, "open", 2),
    subscription("updated", 60, "unpaid"),
    invoice("paid", 90, "paid", 3),
    subscription("updated", 90, "active"),
]
DECLINED = [
    declined(0, "insufficient_funds", "ch_in_1"),
    declined(60, "expired_card", "ch_in_2"),
    event(
        "ch_in_2",
        "charge.failed",
        59,
        id="ch_in_2",
        payment_intent="pi_in_1",
        status="failed",
        failure_code="card_declined",
    ),
    event(
        "inpay_1",
        "invoice_payment.paid",
        90,
        id="inpay_1",
        invoice="in_1",
        status="paid",
        payment={"payment_intent": "pi_in_1"},
    ),
]
# Their invoice is named by nothing but what ties it to its payment in the end.
GIVEN_UP = [*INVOICE[:-2], invoice("voided", 95, "void", 3), subscription("deleted", 95, "canceled")]
SUSPICION = [
    warning("created", 0, actionable=True),
    review("opened", 0, is_open=True),
    warning("updated", 60, actionable=False),
    review("closed", 60, is_open=False),
]
REFUND = [
    refund("created", 0, "pending"),
    refund("updated", 5, "succeeded"),
    refund("failed", 60, "failed"),
    refund("created", 90, "succeeded", of="re_2"),
]
LIVES = {
    "disputes": [*DISPUTE, dispute("created", 1, "warning_needs_response", of="du_2")],
    "paid_after_all": INVOICE,
    "declined": [*INVOICE[:5], *DECLINED],
    "given_up": GIVEN_UP,
    "refund": REFUND,
    "suspicion": SUSPICION,
    "suspected_and_disputed": [*SUSPICION[:2], *DISPUTE[:4]],
    "asked_and_disputed": [
        *SUSPICION[:2],
        dispute("created", 1, "warning_needs_response", of="du_2"),
        dispute("closed", 2, "warning_closed", of="du_2"),
        *DISPUTE[:1],
    ],
    "interleaved": [*DISPUTE, *INVOICE, *SUSPICION],
}


def told(desk: Desk) -> dict[str, Any]:
    """Give all that was told, and all that is known; not which event came last."""
    known = [{**row, "event_id": None} for row in desk.rows(cases)]
    ours = {row["key"] for row in known}
    messages = {post.key: post for post in desk.posts() if post.key in ours}
    return {"messages": messages, "threads": desk.lines(), "cases": known}


def run(engine: Engine, router: Router, payloads: list[Payload]) -> dict[str, Any]:
    with open_desk(engine, router) as desk:
        for each in payloads:
            desk.deliver(each)
        return told(desk)


@cache
def in_order(engine: Engine, router: Router, name: str) -> dict[str, Any]:
    return run(engine, router, LIVES[name])


@DESK_ON_SQLITE
@pytest.mark.parametrize("name", LIVES)
@examples(10)
@given(data=st.data())
def test_a_case_reads_the_same_in_the_end_whatever_the_order_or_number_of_arrivals(
    engine: Engine, router: Router, name: str, data: st.DataObject
) -> None:
    events = LIVES[name]
    arrivals = data.draw(st.permutations(events).flatmap(lambda once: with_repeats(once, events)))
    assert run(engine, router, arrivals) == in_order(engine, router, name)


def with_repeats(once: list[Payload], events: list[Payload]) -> st.SearchStrategy[list[Payload]]:
    """Let some of the events arrive again, anywhere between the others."""
    again = st.lists(st.tuples(st.integers(0, len(once)), st.sampled_from(events)), max_size=6)
    return again.map(lambda more: inserted(once, more))


def inserted(once: list[Payload], more: list[tuple[int, Payload]]) -> list[Payload]:
    whole = list(once)
    for place, each in more:
        whole.insert(place, each)
    return whole


@DESK_ON_SQLITE
def test_a_dispute_tells_its_history_in_its_thread(engine: Engine, router: Router) -> None:
    end = run(engine, router, DISPUTE)
    (message,) = end["messages"].values()
    assert message.header == "Dispute won: $120.00 (customer says they did not authorize it)"
    assert [(key.rpartition("/")[2], line.text) for key, line in end["threads"].items()] == HISTORY


MINUTES = [f"({in_utc(SAMPLED_AT + seconds)})" for seconds in (0, 60, 90)]
HISTORY = [
    ("funds_withdrawn", f"$135.00 taken from our Stripe balance ($120.00 and a $15.00 fee). {MINUTES[0]}"),
    ("under_review", f"Evidence submitted. The bank decides now. {MINUTES[1]}"),
    ("won", f"Won: the money is ours. {MINUTES[2]}"),
    ("funds_reinstated", f"$120.00 given back to our Stripe balance (not the $15.00 fee). {MINUTES[2]}"),
]


@DESK_ON_SQLITE
def test_lines_of_a_thread_that_wait_together_go_out_in_stripes_order(engine: Engine, router: Router) -> None:
    with open_desk(engine, router) as desk:
        for each in reversed(DISPUTE):
            desk.deliver(each)
        waiting = select(effects.c.key).where(effects.c.parent.is_not(None)).order_by(effects.c.due_at)
        told = [key.rpartition("/")[2] for key in desk.db.execute(waiting).scalars()]
    assert told == [name for name, _ in HISTORY]


@DESK_ON_SQLITE
@pytest.mark.parametrize(
    ("moves", "told"),
    [
        ([], "$120.00 given back to our Stripe balance."),
        (
            [BACK | {"fee": -1_500, "net": 13_500}],
            "$135.00 given back to our Stripe balance ($120.00 and the $15.00 fee).",
        ),
        ([{"currency": "eur", "fee": 0, "net": 10_000}], "€100.00 given back to our Stripe balance."),
    ],
)
def test_a_dispute_that_was_won_says_what_really_came_back(
    engine: Engine, router: Router, moves: list[Payload], told: str
) -> None:
    end = run(engine, router, [dispute("funds_reinstated", 0, "won", moves=moves)])
    assert f"{told} {MINUTES[0]}" in [line.text for line in end["threads"].values()]


@DESK_ON_SQLITE
def test_where_stripe_says_no_fee_none_is_claimed(engine: Engine, router: Router) -> None:
    end = run(engine, router, [dispute("funds_withdrawn", 0, "needs_response")])
    assert [line.text for line in end["threads"].values()] == [f"$120.00 taken from our Stripe balance. {MINUTES[0]}"]


@DESK_ON_SQLITE
@pytest.mark.parametrize(
    ("due_by", "details", "told"),
    [
        (SAMPLED_AT + DAY_S, {}, "Send evidence by: Sat 31 Oct 2026, 12:00 UTC"),
        (SAMPLED_AT - DAY_S, {}, "State: the deadline has passed: 29 Oct 2026"),
        (SAMPLED_AT + DAY_S, {"past_due": True}, "State: the deadline has passed: 31 Oct 2026"),
        (None, {"past_due": True}, "State: the deadline has passed |"),
    ],
)
def test_a_dispute_says_until_when_or_that_it_is_too_late(
    engine: Engine, router: Router, due_by: int | None, details: Payload, told: str
) -> None:
    late = dispute("created", 0, "needs_response")
    late["data"]["object"]["evidence_details"] = {"due_by": due_by, **details}
    (message,) = run(engine, router, [late])["messages"].values()
    assert told in message.text


@DESK_ON_SQLITE
def test_a_next_try_that_is_past_is_not_told_as_one_to_come(engine: Engine, router: Router) -> None:
    late = invoice("payment_failed", 0, "open", -2)
    late["data"]["object"]["attempt_count"] = 1
    (message,) = run(engine, router, [late])["messages"].values()
    assert "Next try: was due 28 Oct 2026" in message.text


@DESK_ON_SQLITE
def test_an_invoice_that_is_paid_without_ever_failing_is_nothing_to_tell(engine: Engine, router: Router) -> None:
    end = run(engine, router, [invoice("paid", 0, "paid", 1)])
    assert (end["messages"], end["threads"]) == ({}, {})
    assert [row["state"] for row in end["cases"]] == ["quiet"]


@DESK_ON_SQLITE
def test_an_invoice_that_failed_and_was_paid_says_that_it_is_healed(engine: Engine, router: Router) -> None:
    end = run(engine, router, INVOICE)
    (message,) = end["messages"].values()
    assert message.header == "Subscription payment paid after all: €49.00"
    assert "sub_1 (active)" in message.text
    assert end["threads"]["stripe/failing_subscription/-/live/in_1/paid"].text == "Healed: paid, €49.00."
    assert [row["state"] for row in end["cases"]] == ["closed"]


@DESK_ON_SQLITE
@pytest.mark.parametrize("way", ["invoice", "order"])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_failing_invoice_says_why_its_payment_failed_whichever_is_heard_of_first(
    engine: Engine, router: Router, way: str, *, is_first: bool
) -> None:
    ties: Payload = {"invoice": "in_1"} if way == "invoice" else {"payment_details": {"order_reference": "in_1"}}
    failed = declined(0, "lost_card", "ch_1", **ties)
    end = run(engine, router, [failed, INVOICE[0]] if is_first else [INVOICE[0], failed])
    message = end["messages"]["stripe/failing_subscription/-/live/in_1"]
    assert message.header == "Subscription payment failing: €49.00 (card reported lost)"
    assert "State: Stripe tries again, which will hardly help: ask the customer for another card" in message.text
    assert "Reason: card reported lost (lost_card)" in message.text
    assert f"Reason: card reported lost. {MINUTES[0]}" in [line.text for line in end["threads"].values()]


@DESK_ON_SQLITE
def test_where_only_a_charge_says_why_that_is_told(engine: Engine, router: Router) -> None:
    its = {"id": "ch_1", "invoice": "in_1", "status": "failed", "failure_code": "card_declined"}
    outcome = {"outcome": {"reason": "insufficient_funds"}}
    end = run(engine, router, [INVOICE[0], event("ch", "charge.failed", 0, **its, **outcome)])
    assert [message.header for message in end["messages"].values()] == [
        "Subscription payment failing: €49.00 (insufficient funds)"
    ]


@DESK_ON_SQLITE
def test_an_invoice_of_which_nobody_says_why_says_where_to_look(engine: Engine, router: Router) -> None:
    (message,) = run(engine, router, INVOICE[:1])["messages"].values()
    assert message.header == "Subscription payment failing: €49.00"
    assert "Reason: Stripe has not told us: the invoice's payment in Stripe says why" in message.text


@DESK_ON_SQLITE
def test_an_invoice_that_cannot_be_made_final_says_so(engine: Engine, router: Router) -> None:
    refused = invoice("payment_failed", 0, "draft", 0)
    refused["data"]["object"]["last_finalization_error"] = {"code": "customer_tax_location_invalid"}
    (message,) = run(engine, router, [refused])["messages"].values()
    assert "Reason: customer tax location invalid (customer_tax_location_invalid)" in message.text


WAITING: dict[str, tuple[list[Payload], str, str]] = {
    "overdue": ([invoice("overdue", 60, "open", 0)], "Invoice overdue: €49.00", "open"),
    "overdue_then_paid": (
        [invoice("overdue", 60, "open", 0), invoice("paid", 90, "paid", 1)],
        "Invoice paid after all: €49.00",
        "closed",
    ),
    "overdue_then_failing": (
        [invoice("overdue", 60, "open", 0), invoice("payment_failed", 90, "open", 1)],
        "Subscription payment failing: €49.00",
        "open",
    ),
    "not_final": ([invoice("finalization_failed", 0, "draft", 0)], "Invoice cannot be finalized: €49.00", "open"),
    "final_in_the_end": (
        [invoice("finalization_failed", 0, "draft", 0), invoice("finalized", 0, "open", 0)],
        "Invoice finalized after all: €49.00",
        "closed",
    ),
    "not_final_and_deleted": (
        [invoice("finalization_failed", 0, "draft", 0), invoice("deleted", 60, "draft", 0)],
        "Invoice deleted: €49.00",
        "closed",
    ),
    "final": ([invoice("finalized", 0, "open", 0)], "", "quiet"),
}


@DESK_ON_SQLITE
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("name", WAITING)
def test_an_invoice_that_is_overdue_or_cannot_be_made_final_is_a_case_until_it_is_paid_final_or_gone(
    engine: Engine, router: Router, name: str, *, backwards: bool
) -> None:
    events, header, state = WAITING[name]
    end = run(engine, router, events[::-1] if backwards else events)
    assert [message.header for message in end["messages"].values()] == ([header] if header else [])
    assert [row["state"] for row in end["cases"]] == [state]


@DESK_ON_SQLITE
@pytest.mark.parametrize(
    ("more", "state", "page"),
    [
        (DISPUTE[:3], "disputed: do not refund, answer the dispute", "disputes/du_1"),
        (DISPUTE, "disputed: do not refund, see the dispute", "disputes/du_1"),
        ([refunded(30, 500), refunded(40, 12_000)], "refunded: nothing more to do", "payments/pi_1"),
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_a_suspicious_payment_that_is_disputed_or_refunded_is_not_to_be_refunded(
    engine: Engine, router: Router, more: list[Payload], state: str, page: str, *, is_first: bool
) -> None:
    suspected = SUSPICION[:2]
    end = run(engine, router, [*suspected, *more] if is_first else [*more, *suspected])
    message = end["messages"]["stripe/suspicious_payment/-/live/pi_1"]
    (row,) = [row for row in end["cases"] if row["kind"] == "suspicious_payment"]
    assert (row["state"], row["status"]) == ("closed", state)
    assert f"https://dashboard.stripe.com/{page}" in str(message.blocks)
    assert "refund it now" not in str(message.blocks)


@DESK_ON_SQLITE
def test_a_suspicious_payment_that_went_back_in_part_is_still_suspicious(engine: Engine, router: Router) -> None:
    end = run(engine, router, [*SUSPICION[:1], refunded(30, 500)])
    assert [row["state"] for row in end["cases"]] == ["open"]


@DESK_ON_SQLITE
def test_a_suspicious_payment_that_the_book_hears_of_later_has_its_amount_from_the_next_event_on(
    engine: Engine, router: Router
) -> None:
    paid = event("0", "payment_intent.succeeded", 0, id="pi_1", amount=4_900, currency="usd", status="succeeded")
    later = review("opened", 5, is_open=True) | {"id": "evt_a"}  # its id sorts before the warning's
    end = run(engine, router, [warning("created", 0, actionable=True), paid, later])
    assert [message.header for message in end["messages"].values()] == ["Suspicious payment: $49.00"]


@DESK_ON_SQLITE
def test_a_withdrawal_that_failed_is_not_told_as_a_payout(engine: Engine, router: Router) -> None:
    its = {"amount": -120_000, "currency": "eur", "destination": "ba_1"}
    failed = event("po", "payout.failed", 0, id="po_1", failure_code="debit_not_authorized", **its)
    end = run(engine, router, [failed, event("po_2", "payout.paid", 86_400, id="po_2", **its)])
    (message,) = end["messages"].values()
    assert message.header == (
        "Withdrawal from our bank failed, a later one went through: €1,200.00 (debits are not authorized)"
    )
    (line,) = end["threads"].values()
    assert line.text == "Healed: a later withdrawal of €1,200.00 from the same account went through (po_2)."


@DESK_ON_SQLITE
@pytest.mark.parametrize("is_first", [True, False])
def test_a_refund_that_failed_is_over_when_it_is_made_anew(engine: Engine, router: Router, *, is_first: bool) -> None:
    *failed, anew = REFUND
    end = run(engine, router, [*failed, anew] if is_first else [anew, *failed])
    headers = sorted(message.header for message in end["messages"].values())
    assert headers == ["Refund failed, made anew: $49.00 (card expired or canceled)", "Refund: $49.00"]
    assert {row["state"] for row in end["cases"] if row["kind"] == "refund"} == {"closed"}


@DESK_ON_SQLITE
@pytest.mark.parametrize("about", [DISPUTE[:1], REFUND[:1]])
def test_a_customer_whom_only_the_payment_names_is_named(engine: Engine, router: Router, about: list[Payload]) -> None:
    its = {"id": "pi_1", "amount": 12_000, "currency": "usd", "customer": "cus_9", "status": "succeeded"}
    end = run(engine, router, [event("0", "payment_intent.succeeded", 0, **its), *about])
    assert ["Customer: cus_9" in message.text for message in end["messages"].values()] == [True]


BANK = {"id": "ba_1", "object": "bank_account", "bank_name": "First Test Bank", "last4": "6789"}


@DESK_ON_SQLITE
@pytest.mark.parametrize("where", [{"destination": BANK}, {"destination": "ba_1", "bank_account": BANK}])
def test_a_failed_payout_says_what_to_do_and_which_account_it_was(
    engine: Engine, router: Router, where: Payload
) -> None:
    its = {"id": "po_1", "amount": 120_000, "currency": "eur", "failure_code": "account_closed", **where}
    (message,) = run(engine, router, [event("po", "payout.failed", 0, **its)])["messages"].values()
    assert "correct the bank account in Stripe; payouts stay paused until then" in message.text
    assert "Bank account: First Test Bank, ending in 6789 · ba_1" in message.text
