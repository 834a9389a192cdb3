"""What became of money in a span of time, by currency."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from cli.sample import SAMPLED_AT
from handlers.payments.summary import FailureCode, Sum, Summary, summaries, summarise
from handlers.router import Router
from tests.engines import DESK_ON_SQLITE
from tests.handlers.desk import Desk, open_desk, sample

DAY_S = 86_400
LARGEST = 2**63 - 1


def the_day(desk: Desk, *, livemode: bool = True) -> Summary:
    return summarise(desk.db, since=SAMPLED_AT, until=SAMPLED_AT + DAY_S, livemode=livemode)


def deliver(desk: Desk, type_: str, number: int, *, at_s: int = 0, live: bool = True, **changes: Any) -> None:
    object_id = f"{type_.split('.', maxsplit=1)[0]}_{number}"
    fields: dict[str, Any] = {
        f"data__object__{name}": value
        for name, value in {"id": object_id, "created": SAMPLED_AT + at_s, **changes}.items()
    }
    marks: dict[str, Any] = {"id": f"evt_{type_}{number}{at_s}", "created": SAMPLED_AT + at_s, "livemode": live}
    desk.deliver(sample(type_, **marks, **fields))


def test_each_currency_is_summed_for_itself(desk: Desk) -> None:
    for number, (currency, amount) in enumerate([("usd", 4900), ("usd", 100), ("jpy", 500), ("eur", 7)]):
        deliver(desk, "payment_intent.succeeded", number, currency=currency, amount=amount, amount_received=amount)
    deliver(desk, "refund.created", 1, amount=1000)
    deliver(desk, "refund.failed", 2, amount=300)
    deliver(desk, "charge.dispute.created", 1, amount=2500)
    deliver(desk, "charge.dispute.created", 2, amount=9, status="warning_needs_response")
    day = the_day(desk)
    assert [each.currency for each in day.by_currency] == ["eur", "jpy", "usd"]
    assert day.of("usd").taken == Sum(2, 5000)
    assert (day.of("usd").refunded, day.of("usd").disputed) == (Sum(1, 1000), Sum(1, 2500))
    assert (day.of("jpy").taken, day.of("jpy").refunded) == (Sum(1, 500), Sum(0, 0))
    assert day.of("gbp").taken == Sum(0, 0)


def test_a_payment_that_failed_and_was_taken_later_is_taken_and_failed_ones_are_ranked_by_reason(desk: Desk) -> None:
    for number in range(3):
        deliver(desk, "payment_intent.payment_failed", number)
    declined: dict[str, Any] = {"last_payment_error__decline_code": "lost_card"}
    deliver(desk, "payment_intent.payment_failed", 3, **declined)
    deliver(desk, "payment_intent.succeeded", 0, at_s=60)
    day = the_day(desk)
    assert (day.of("usd").taken, day.of("usd").failed) == (Sum(1, 4900), Sum(3, 14700))
    assert day.failure_codes == (
        FailureCode(code="insufficient_funds", count=2),
        FailureCode(code="lost_card", count=1),
    )


def test_a_span_begins_with_its_first_second_and_ends_before_its_last(desk: Desk) -> None:
    for number, at_s in enumerate((-1, 0, DAY_S - 1, DAY_S)):
        deliver(desk, "payment_intent.succeeded", number, at_s=at_s)
    assert the_day(desk).of("usd").taken.count == 2


def test_test_money_is_never_added_to_real_money(desk: Desk) -> None:
    deliver(desk, "payment_intent.succeeded", 1, amount_received=1)
    deliver(desk, "payment_intent.succeeded", 2, amount_received=20, live=False)
    assert the_day(desk).of("usd").taken.amount == 1
    assert the_day(desk, livemode=False).of("usd").taken.amount == 20


@DESK_ON_SQLITE
@settings(max_examples=10)
@given(paid=st.lists(st.tuples(st.sampled_from(["", "acct_1", "acct_2"]), st.sampled_from(["usd", "eur"])), max_size=9))
def test_each_account_is_summed_up_for_itself_and_nothing_is_lost_or_counted_twice(
    engine: Engine, router: Router, paid: list[tuple[str, str]]
) -> None:
    with open_desk(engine, router) as desk:
        for number, (account, currency) in enumerate(paid):
            its = {"amount_received": 10**number, "currency": currency, "id": f"pi_{number}"}
            fields: dict[str, Any] = {f"data__object__{name}": value for name, value in its.items()}
            marks: dict[str, Any] = {"id": f"evt_{number}", "livemode": True, "account": account or None}
            desk.deliver(sample("payment_intent.succeeded", **marks, **fields))
        found = summaries(desk.db, since=0, until=SAMPLED_AT + DAY_S)
        each = [summarise(desk.db, since=0, until=SAMPLED_AT + DAY_S, account=of.account or "") for of in found]
    assert found == each
    taken = {(of.account or "", money.currency): money.taken.amount for of in found for money in of.by_currency}
    assert taken == {key: sum(10**number for number, its in enumerate(paid) if its == key) for key in sorted(set(paid))}


@pytest.mark.parametrize("amounts", [(LARGEST, LARGEST, 1), (-LARGEST, -LARGEST, -1), (LARGEST, -1, -LARGEST)])
def test_a_sum_may_be_more_than_any_amount_and_is_exact(desk: Desk, amounts: tuple[int, ...]) -> None:
    for number, amount in enumerate(amounts):
        deliver(desk, "payment_intent.succeeded", number, amount_received=amount)
    assert the_day(desk).of("usd").taken.amount == sum(amounts)


def test_payouts_count_when_they_arrive_and_what_came_back_does_not(desk: Desk) -> None:
    deliver(desk, "payout.created", 1, at_s=-DAY_S)
    deliver(desk, "payout.paid", 1, at_s=60)
    deliver(desk, "payout.reconciliation_completed", 1, at_s=DAY_S + 60)
    deliver(desk, "payout.paid", 2, at_s=60)
    deliver(desk, "payout.failed", 2, at_s=120)
    assert the_day(desk).of("usd").paid_out == Sum(1, 128450)


def test_fees_are_summed_where_they_are_known_in_the_currency_of_the_settlement(desk: Desk) -> None:
    settled = {"id": "txn_1", "fee": 172, "net": 4328, "currency": "eur"}
    deliver(desk, "charge.succeeded", 1, balance_transaction=settled)
    deliver(desk, "charge.succeeded", 2)
    deliver(desk, "charge.dispute.created", 1)
    day = the_day(desk)
    assert (day.of("eur").fees, day.of("eur").net, day.of("eur").settled.count) == (172, 4328, 1)
    assert (day.of("usd").fees, day.of("usd").net, day.of("usd").settled.count) == (1500, -6400, 1)
    assert (day.of("jpy").fees, day.of("jpy").net) == (None, None)


def test_every_state_is_counted_by_kind_and_currency(desk: Desk) -> None:
    deliver(desk, "payment_intent.processing", 1)
    deliver(desk, "payment_intent.processing", 2)
    deliver(desk, "charge.dispute.closed", 1)
    states = [(each.kind, each.state, each.currency, each.count, each.amount) for each in the_day(desk).by_state]
    assert ("payment", "processing", "usd", 2, 9800) in states
    assert ("dispute", "won", "usd", 1, 4900) in states


def test_a_payment_that_only_its_refund_told_of_was_taken_when_it_was_charged(desk: Desk) -> None:
    charged_at = SAMPLED_AT - DAY_S
    desk.deliver(
        sample("charge.refunded", livemode=True, created=SAMPLED_AT + 60, data__object__created=charged_at),
    )
    assert the_day(desk).of("usd").taken == Sum(0, 0)
    assert ("payment", "succeeded") not in {(each.kind, each.state) for each in the_day(desk).by_state}
    day_before = summarise(desk.db, since=charged_at, until=SAMPLED_AT)
    assert day_before.of("usd").taken == Sum(1, 4900)


def test_a_payment_that_failed_for_no_reason_that_anybody_gave_has_failed(desk: Desk) -> None:
    deliver(desk, "payment_intent.payment_failed", 1, last_payment_error={"type": "api_error"})
    assert the_day(desk).of("usd").failed == Sum(1, 4900)
    assert the_day(desk).failure_codes == ()
