"""Every kind of message about cases and storms, word for word, and that Slack takes each message that there is.

HOOKLINE_WRITE_GOLDEN=1 writes the files anew; look at the difference before you commit it.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, update

from cli.sample import SAMPLED_AT
from handlers.notifications.buttons import SNOOZE_S
from handlers.notifications.storm import render_storm
from handlers.router import Router
from ledger import line
from ledger.effects import Effect, read_message
from ledger.tables import cases, channels, effects
from tests.engines import DESK_ON_SQLITE
from tests.handlers.desk import Desk, open_desk, sample
from tests.handlers.notifications import test_alerts as alerts
from tests.handlers.notifications.test_buttons import KEY, MARA, claim_reminder, dispute, press
from tests.handlers.notifications.test_cases import DECLINED, GIVEN_UP, INVOICE, REFUND, SUSPICION, Payload, invoice
from tests.system.slack_rules import problem_with
from workers.post import content

GOLDEN = Path(__file__).parent.parent / "golden"
MANY = 60

Told = dict[str, Any]


def deliver(*payloads: Payload) -> Callable[[Desk], None]:
    def do(desk: Desk) -> None:
        for each in payloads:
            desk.deliver(each)

    return do


def acknowledge_and_snooze(desk: Desk) -> None:
    desk.deliver(dispute("created"))
    press(desk, "acknowledge")
    press(desk, "snooze", name="press.2")


def reopen(desk: Desk) -> None:
    """Let an inquiry that somebody had in hand become a dispute after it was closed."""
    asked = dispute("created", data__object__status="warning_needs_response")
    desk.deliver(asked)
    press(desk, "acknowledge")
    for number, status in enumerate(("warning_closed", "needs_response"), 1):
        its = {**asked["data"]["object"], "status": status}
        later = {"id": f"evt_{status}", "type": "charge.dispute.updated", "created": asked["created"] + number}
        desk.db.execute(update(cases).values(channel_id="C1", ts="1.0"))
        desk.deliver({**asked, **later, "data": {"object": its}})


def withdraw(desk: Desk) -> None:
    changes: Told = {"data__object__amount": -128_450, "data__object__failure_code": "debit_not_authorized"}
    changes |= {"data__object__failure_message": "Debits to this bank account are not authorized."}
    desk.deliver(sample("payout.failed", livemode=True, **changes))


def heal_a_payout(desk: Desk) -> None:
    failed = sample("payout.failed", livemode=True)
    its = failed["data"]["object"]
    desk.deliver(failed)
    same = {"data__object__destination": its["destination"], "data__object__currency": its["currency"]}
    later: Told = {"created": failed["created"] + 86_400, "data__object__id": "po_later", **same}
    desk.deliver(sample("payout.paid", livemode=True, **later))


LAST_TRY = [invoice("payment_failed", 60, "open", 4)]
LAST_TRY[0]["data"]["object"]["next_payment_attempt"] = None


def refuse_a_press(desk: Desk) -> None:
    desk.deliver(dispute("created"))
    press(desk, "acknowledge", user="U0QKJON002")


def remind(desk: Desk) -> None:
    desk.deliver(dispute("created"))
    press(desk, "snooze")
    reminder = claim_reminder(desk, SAMPLED_AT + SNOOZE_S)
    assert reminder is not None


def storm(desk: Desk) -> None:
    """Let many payments fail at once, by two currencies and some customers, of whom one has a hostile name."""
    for number in range(MANY):
        charge = f"ch_{number}"
        changes: Told = {"data__object__id": f"pi_{number}", "data__object__latest_charge": charge}
        error = "data__object__last_payment_error"
        changes |= {f"{error}__charge": charge, "data__object__amount": 1_000 + number}
        changes |= {"data__object__currency": ("usd", "eur")[number % 2]}
        changes |= {"data__object__customer": f"cus_{number % 38}"}
        if number == MANY - 1:
            changes |= {"data__object__customer": None}
            changes |= {f"{error}__payment_method__billing_details__email": alerts.HOSTILE * 3}
        if number % 3 == 0:
            changes |= {f"{error}__decline_code": "expired_card"}
        desk.deliver(sample(alerts.FAILED, livemode=True, **changes))
    for _ in range(3):
        desk.db.execute(update(channels).values(next_at=0))
        effect = line.claim_next(desk.db, token="t", now=SAMPLED_AT + 1)
        if effect is not None:
            written = render_storm(desk.db, effect)
            desk.db.execute(
                update(effects).where(effects.c.id == written.id).values(state="sent", ts="1.0", token=None)
            )


KINDS: dict[str, tuple[Callable[[Desk], None], str]] = {
    "case_dispute_under_review": (deliver(dispute("created"), dispute("updated")), "%du_1SAMPLE0000"),
    "case_dispute_won": (deliver(dispute("created"), dispute("closed")), "%du_1SAMPLE0000"),
    "case_dispute_lost": (deliver(dispute("closed", data__object__status="lost")), "%du_1SAMPLE0000"),
    "case_dispute_acknowledged": (acknowledge_and_snooze, "%du_1SAMPLE0000"),
    "case_dispute_reopened": (reopen, "%du_1SAMPLE0000"),
    "case_dispute_reopened_loud": (reopen, "%/again/%"),
    "case_refund_canceled": (
        deliver(sample("refund.updated", livemode=True, data__object__status="canceled")),
        "%re_3SAMPLE0000",
    ),
    "case_refund_made_anew": (deliver(*REFUND), "%/re_1"),
    "case_refund_without_balance": (
        deliver(sample("refund.failed", livemode=True, data__object__failure_reason="insufficient_funds")),
        "%re_3SAMPLE0000",
    ),
    "case_withdrawal_failed": (withdraw, "%failed_payout%SAMPLE0000"),
    "case_payout_healed": (heal_a_payout, "%failed_payout%SAMPLE0000"),
    "case_invoice_failing": (deliver(*INVOICE[:4]), "%/in_1"),
    "case_invoice_declined": (deliver(*INVOICE[:4], *DECLINED), "%/in_1"),
    "case_invoice_declined_for_good": (deliver(*LAST_TRY, *DECLINED), "%/in_1"),
    "case_invoice_to_confirm": (deliver(*INVOICE[:3], *DECLINED[:1]), "%/in_1"),
    "case_invoice_paid": (deliver(*INVOICE, *DECLINED), "%/in_1"),
    "case_invoice_given_up": (deliver(*GIVEN_UP), "%/in_1"),
    "case_invoice_overdue": (deliver(sample("invoice.overdue", livemode=True)), "%/in_1SAMPLE0000"),
    "case_invoice_not_final": (deliver(sample("invoice.finalization_failed", livemode=True)), "%/in_1SAMPLE0000"),
    "case_suspicion": (deliver(*SUSPICION[:2]), "%/pi_1"),
    "case_suspicion_settled": (deliver(*SUSPICION), "%/pi_1"),
    "thread_line": (deliver(dispute("created"), dispute("closed")), "%du_1SAMPLE0000/won"),
    "reminder": (remind, "%/reminder/%"),
    "whisper": (refuse_a_press, "slack/answer/%"),
    "storm": (storm, "storm/%.___"),
    "storm_list": (storm, "storm/%/list"),
}


def made(engine: Engine, router: Router, name: str) -> Told:
    make, key = KINDS[name]
    with open_desk(engine, router, allowed_users=frozenset({MARA})) as desk:
        make(desk)
        (written,) = desk.db.execute(select(effects.c.message).where(effects.c.key.like(key))).scalars()
        return read_message(written)


@DESK_ON_SQLITE
@pytest.mark.parametrize("name", KINDS)
def test_a_message_is_worded_as_in_its_golden_file(engine: Engine, router: Router, name: str) -> None:
    path = GOLDEN / "cases" / f"{name}.json"
    told = json.dumps(made(engine, router, name), indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("HOOKLINE_WRITE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(told, encoding="utf-8")
    assert told == path.read_text(encoding="utf-8")


def test_every_golden_file_belongs_to_a_kind_of_message() -> None:
    assert {path.stem for path in (GOLDEN / "cases").glob("*.json")} == set(KINDS)


@pytest.mark.parametrize("path", sorted(GOLDEN.rglob("*.json")), ids=lambda path: path.stem)
@pytest.mark.parametrize("may_repeat", [False, True], ids=["once", "perhaps_twice"])
def test_slack_takes_every_message_that_hookline_can_make(path: Path, *, may_repeat: bool) -> None:
    message = json.loads(path.read_text(encoding="utf-8"))
    effect = Effect(
        id=1,
        event_id=1,
        key=KEY,
        channel="#finance",
        message=message,
        planned_at=0,
        attempts=1,
        failures=0,
        first_attempt_at=0,
        lost_answers=int(may_repeat),
    )
    if "user" in message:
        method, arguments = "chat.postEphemeral", {"text": message["text"], "user": message["user"]}
    else:
        method, arguments = "chat.postMessage", content(effect)
    assert problem_with(method, {"channel": "#finance", **arguments}, ["#finance"]) is None
