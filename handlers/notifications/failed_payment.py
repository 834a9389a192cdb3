"""Tells the finance team about a payment that failed."""

from dataclasses import fields as dataclass_fields
from hashlib import sha256
from typing import Any

from sqlalchemy import bindparam, select

from handlers.context import Context
from handlers.notifications.alert import Alert
from handlers.notifications.dashboard import stripe_link
from handlers.notifications.keys import stripe_key
from handlers.notifications.reasons import DECLINES, in_words, with_code
from handlers.payments import book
from handlers.payments.objects import Intent
from handlers.payments.tables import history
from handlers.reading import Snapshot, read_snapshot
from handlers.router import handler
from ledger.effects import About, read_message
from ledger.event import Event
from ledger.prepared import Prepared
from ledger.tables import effects, events


@handler(source="stripe", types=["payment_intent.payment_failed"], queue="notifications", ahead=book.find_payments)
def failed_payment(event: Event, ctx: Context) -> None:
    """Tell each failed try once, also one that was paid meanwhile, and say so; a second try is told again."""
    snapshot = read_snapshot(event, Intent)
    intent = snapshot.data.object
    code, money = intent.failure_code, intent.money
    what = PAID if book.status_of(ctx.db, event, intent.id) == "succeeded" else FAILED
    alert = Alert(
        title=f"{what} {money.display()} ({in_words(code, DECLINES)})",
        facts={
            "Customer": _customer(intent),
            "Reason": with_code(code, DECLINES),
            "Payment": intent.id,
        },
        link=stripe_link(event, "payments", intent.id),
        kind="failed_payment",
        money=money,
        customer=_identity(intent),
        code=code,
    )
    key = stripe_key(event, "failed_payment", intent.id, intent.failed_charge or _try(snapshot))
    alert.post(event, ctx, key=key)


def paid_after_all(event: Event, ctx: Context, payment: str) -> None:
    """Say of each failed try of a payment that it was paid after all, in the message that tells of it."""
    whose = {"account": event.account or "", "livemode": event.livemode, "id": payment}
    failures = [row[0] for row in ctx.db.execute(_FAILURES, whose)]
    if not failures:
        return
    prefix = f"{stripe_key(event, 'failed_payment', payment)}/"
    for row in ctx.db.execute(_TOLD, {"failures": failures}).mappings().all():
        if row["key"].startswith(prefix):
            about = About(**{each.name: row[each.name] for each in dataclass_fields(About)})
            message = _as_paid(read_message(row["message"]))
            ctx.show(event, key=row["key"], channel=row["channel"], message=message, about=about, stays_folded=True)


FAILED, PAID = "Payment failed:", "Payment failed, paid after all:"


def _as_paid(message: dict[str, Any]) -> dict[str, Any]:
    first, *rest = message["blocks"]
    title = {**first["text"], "text": first["text"]["text"].replace(FAILED, PAID, 1)}
    return {**message, "text": message["text"].replace(FAILED, PAID, 1), "blocks": [{**first, "text": title}, *rest]}


# By primary key, and prepared: asked for with each payment that succeeds.
_FAILURES = Prepared(
    select(history.c.event).where(
        history.c.account == bindparam("account"),
        history.c.livemode == bindparam("livemode"),
        history.c.object_id == bindparam("id"),
        history.c.type == "payment_intent.payment_failed",
    )
)
_TOLD = (
    select(effects)
    .join(events, events.c.id == effects.c.event_id)
    .where(events.c.source == "stripe", events.c.external_id.in_(bindparam("failures", expanding=True)))
    .order_by(effects.c.id)
)


def _customer(intent: Intent) -> str:
    details = intent.billing_details
    name, email = (details.name, details.email) if details else (None, None)
    known = [name, email or intent.receipt_email, intent.customer]
    return ", ".join(each for each in known if each) or "unknown"


def _identity(intent: Intent) -> str | None:
    """Name who is behind a payment, for counting customers: one name is not one customer."""
    details = intent.billing_details
    name, email = (details.name, details.email) if details else (None, None)
    return intent.customer or email or intent.receipt_email or name


def _try(snapshot: Snapshot[Intent]) -> str:
    # A try that failed before it reached a bank has no charge. What is left to know it by is when it failed, and why.
    error = snapshot.data.object.last_payment_error
    return sha256(f"{snapshot.created} {error.model_dump_json() if error else ''}".encode()).hexdigest()[:16]
