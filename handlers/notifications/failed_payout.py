"""Payouts that did not reach the bank account: one case each, over when a later one to the same account arrives."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from handlers.context import Context
from handlers.notifications import cases
from handlers.notifications.dashboard import page_link
from handlers.notifications.face import Face, Kind, Whose
from handlers.notifications.keys import stripe_key
from handlers.notifications.parts import Line, Part, Parts
from handlers.notifications.reasons import PAYOUT_FAILURES, in_words, with_code
from handlers.notifications.times import in_utc
from handlers.payments.money import Money
from handlers.payments.objects import Payout
from handlers.reading import Snapshot, read_snapshot
from handlers.router import handler
from ledger import tables
from ledger.event import Event


@handler(source="stripe", types=["payout.failed", "payout.paid"], queue="notifications")
def failed_payout(event: Event, ctx: Context) -> None:
    """Keep one message for each failed payout."""
    snapshot = read_snapshot(event, Payout)
    if event.type == "payout.paid":
        _heal(event, ctx, snapshot)
    else:
        _fail(event, ctx, snapshot)


def _fail(event: Event, ctx: Context, snapshot: Snapshot[Payout]) -> None:
    payout = snapshot.data.object
    facts = {
        "id": payout.id,
        "amount": payout.amount,
        "currency": payout.currency,
        "destination": payout.destination,
        "bank": payout.bank,
        "due": payout.arrival_date,
        "code": payout.failure_code,
        "message": payout.failure_message,
        "opened_at": snapshot.created,
    }
    part = Part(name="payout", standing=0, created=snapshot.created, rank=0, facts=facts)
    cases.enter(event, ctx, KIND, key=stripe_key(event, "failed_payout", payout.id), parts=[part])


def _heal(event: Event, ctx: Context, snapshot: Snapshot[Payout]) -> None:
    """Close what is open for this bank account: it takes money again.

    A payout that arrived before the failure was heard of closes nothing; the next one does, a day later.
    """
    paid = snapshot.data.object
    columns = (tables.cases.c.key, tables.cases.c.facets, tables.cases.c.opened_at)
    statement = select(*columns).where(
        tables.OPEN,
        tables.cases.c.kind == KIND.name,
        tables.cases.c.account == (event.account or ""),
        tables.cases.c.livemode == event.livemode,
    )
    for row in ctx.db.execute(statement.order_by(tables.cases.c.key)).all():
        failed = json.loads(row.facets)["parts"]["payout"]["facts"]
        same = (failed["destination"], failed["currency"]) == (paid.destination, paid.currency)
        if same and failed["id"] != paid.id and row.opened_at < snapshot.created:
            amount = Money(abs(paid.amount), paid.currency).display()
            part = Part(name="later", standing=0, created=snapshot.created, rank=0, facts={"id": paid.id})
            how = "withdrawal of {} from" if paid.amount < 0 else "payout of {} to"
            line = Line("healed", f"Healed: a later {how.format(amount)} the same account went through ({paid.id}).")
            cases.enter(event, ctx, KIND, key=row.key, parts=[part], lines=[line])


def show(parts: Parts, whose: Whose) -> Face:
    """Say how a failed payout looks."""
    it, healed = parts["payout"], "later" in parts
    money = Money(it["amount"], it["currency"])
    # A negative one takes from our bank what our Stripe balance lacks.
    takes = money.amount < 0
    what = "Withdrawal from our bank failed" if takes else "Payout failed"
    later = ", a later one went through" if healed else ""
    why = in_words(it["code"], PAYOUT_FAILURES)
    return Face(
        title=f"{what}{later}: {Money(abs(money.amount), money.currency).display()} ({why})",
        status=HEALED[takes] if healed else _what_to_do(it["code"], takes=takes),
        is_open=not healed,
        opened_at=it["opened_at"],
        facts={
            "Reason": with_code(it["code"], PAYOUT_FAILURES),
            "Stripe says": it["message"],
            "Was due": in_utc(it["due"]),
            "Bank account": _account(it),
            "Payout": it["id"],
        },
        link=page_link(whose.account, whose.livemode, "payouts", it["id"]),
        money=Money(abs(money.amount), money.currency),
        code=it["code"],
    )


KIND = Kind("failed_payout", show)


OUR_BALANCE = "insufficient_funds"
# The one failure that has nothing to do with the bank account.


HEALED = {False: "healed: the account takes payouts again", True: "healed: the account works again"}


def _what_to_do(code: str | None, *, takes: bool) -> str:
    if takes:
        return (
            "our Stripe balance is still negative: let Stripe debit our bank account, or correct it in Stripe, or top "
            "the balance up"
        )
    if code == OUR_BALANCE:
        return "nothing was paid out: our Stripe balance is too low"
    return "correct the bank account in Stripe; payouts stay paused until then. The money is back in our Stripe balance"


def _account(it: Mapping[str, Any]) -> str | None:
    known = [it.get("bank"), it["destination"]]
    return " · ".join(each for each in known if each) or None
