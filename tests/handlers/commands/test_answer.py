"""`/hookline`: what it answers, to whom, and in whose day."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cli.sample import SAMPLED_AT
from handlers.commands.answer import HELP, NOT_ALLOWED, answer_command
from handlers.commands.asker import Asker
from tests.engines import DESK_ON_SQLITE
from tests.handlers.desk import Desk, sample

HOUR_S = 3_600
MARA, JON = "U0QKMARA01", "U0QKJON002"


def ask(desk: Desk, text: str, *, user: str = MARA, zone: str = "UTC", now: float = SAMPLED_AT + HOUR_S) -> str:
    asker = Asker(user=user, allowed_users={MARA}, now=now, zone=ZoneInfo(zone))
    answer = answer_command(desk.db, "/hookline", text, asker)
    assert answer is not None
    return answer


def live(type_: str, name: str, **changes: Any) -> dict[str, Any]:
    same: dict[str, Any] = {"livemode": True, "id": f"evt_{name}", "data__object__id": name}
    return sample(type_, **same, **{f"data__object__{key}": value for key, value in changes.items()})


def a_day(desk: Desk) -> None:
    for name, amount, currency in [("pi_1", 4_900, "usd"), ("pi_2", 12_000, "jpy"), ("pi_3", 100, "usd")]:
        paid = {"amount": amount, "amount_received": amount, "currency": currency}
        desk.deliver(live("payment_intent.succeeded", name, **paid))
    desk.deliver(live("payment_intent.payment_failed", "pi_4"))
    desk.deliver(live("refund.created", "re_1"))
    desk.deliver(live("refund.failed", "re_2"))
    desk.deliver(live("charge.dispute.created", "du_1"))
    desk.deliver(sample("payment_intent.succeeded"))


def test_payments_today_sums_up_by_currency_and_keeps_test_money_apart(desk: Desk) -> None:
    a_day(desk)
    assert ask(desk, "payments today").split("\n") == [
        "*Friday, 30 October* from 0:00 on (UTC)",
        "Taken: 3 · ¥12,000 and $50.00",
        "Failed: 1 · $49.00",
        "Refunded: 1 · $49.00",
        "Disputed: 1 · $49.00",
        "Most failed for: insufficient funds (1)",
        "*TEST mode: no real money*",
        "Taken: 1 · $49.00",
    ]


@DESK_ON_SQLITE
def test_what_only_heard_of_something_new_today_is_not_of_today(desk: Desk) -> None:
    yesterday = {"created": SAMPLED_AT - 24 * HOUR_S}
    desk.deliver(live("charge.dispute.closed", "du_1", **yesterday))
    desk.deliver(live("refund.updated", "re_1", **yesterday))
    desk.deliver(live("charge.dispute.created", "du_2", status="warning_needs_response"))
    assert ask(desk, "payments today").split("\n")[1:] == ["Nothing yet."]


@DESK_ON_SQLITE
def test_today_is_the_day_of_the_rules_time_zone(desk: Desk) -> None:
    desk.deliver(live("payment_intent.succeeded", "pi_1"))  # at 12:00 UTC
    later = SAMPLED_AT + 5 * HOUR_S  # 02:00 of the next day in Tokyo
    assert "Taken: 1" in ask(desk, "payments today", now=later)
    assert ask(desk, "payments today", zone="Asia/Tokyo", now=later) == (
        "*Saturday, 31 October* from 0:00 on (Asia/Tokyo)\nNothing yet."
    )


def test_disputes_are_listed_with_their_deadlines_the_most_urgent_first(desk: Desk) -> None:
    assert ask(desk, "disputes") == "No dispute is open."
    for number, due_by in enumerate([SAMPLED_AT + 9 * HOUR_S, SAMPLED_AT + 5 * HOUR_S]):
        desk.deliver(live("charge.dispute.created", f"du_{number}", evidence_details={"due_by": due_by}))
    desk.deliver(live("charge.dispute.closed", "du_over"))
    assert ask(desk, "disputes").split("\n") == [
        "*2 open disputes, $98.00*",
        "• Dispute opened: $49.00 (customer says they did not authorize it) · until 30 Oct 2026, 17:00 UTC",
        "• Dispute opened: $49.00 (customer says they did not authorize it) · until 30 Oct 2026, 21:00 UTC",
    ]


@DESK_ON_SQLITE
def test_an_event_is_shown_by_our_id_or_the_providers(desk: Desk) -> None:
    desk.deliver(live("charge.dispute.created", "du_1"))
    shown = ask(desk, "event evt_du_1").split("\n")
    assert shown == ask(desk, "event 1").split("\n")
    assert shown[0] == "*Event 1*: charge.dispute.created from stripe (evt_du_1)"
    assert shown[-1].startswith("• alert to #finance: planned: Dispute opened: $49.00")
    assert ask(desk, "event <!channel>") == "There is no event &lt;!channel&gt;."


@DESK_ON_SQLITE
@pytest.mark.parametrize("text", ["payments today", "PAYMENTS", "disputes", "event 1"])
def test_who_may_not_ask_about_money_is_told_so(desk: Desk, text: str) -> None:
    assert ask(desk, text, user=JON) == NOT_ALLOWED
    assert ask(desk, text) != NOT_ALLOWED


@DESK_ON_SQLITE
@pytest.mark.parametrize("text", ["", "help", "event", "event 1 2", "payments yesterday"])
def test_anything_else_is_answered_with_what_can_be_asked(desk: Desk, text: str) -> None:
    assert ask(desk, text, user=JON) == HELP


@DESK_ON_SQLITE
def test_the_state_of_hookline_is_no_secret_and_other_commands_are_not_ours(desk: Desk) -> None:
    assert ask(desk, "status", user=JON).startswith("*Deliveries*: none yet")
    asker = Asker(user=MARA, allowed_users={MARA}, now=0, zone=ZoneInfo("UTC"))
    assert answer_command(desk.db, "/invoice", "status", asker) is None
