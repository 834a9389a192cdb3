"""Why tries at a payment failed, as the book has it, and which bills they were for.

A bill's own events do not say why it could not be collected: its payment's do, which may come before or after them.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, bindparam, or_, select

from handlers.payments.tables import history, objects, payments
from ledger.store import Transaction

TRY_FAILED, CHARGE_FAILED = "payment_intent.payment_failed", "charge.failed"

Owner = Mapping[str, str | bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decline:
    """One try that failed.

    Attributes:
        code: why: the bank's own word where Stripe passes it on.
        at: when, in Unix seconds.
        charge: the try, where it reached a bank.
        event: the id of the event that says so.
        type: of that event.

    """

    code: str
    at: int
    charge: str | None
    event: str
    type: str


def declines_of(db: Transaction, whose: Owner, names: Collection[str]) -> list[Decline]:
    """Give the failed tries of these payments and charges that have a reason.

    Args:
        db: a transaction.
        whose: `account` and `livemode`.
        names: ids of payment intents and charges.

    """
    rows = db.execute(_TOLD, {**whose, "names": sorted(names)}).all()
    found = [_decline(row.event, row.type, row.created, json.loads(row.facts), row.object_id) for row in rows]
    return [each for each in found if each is not None]


def _decline(event: str, type_: str, at: int, facts: Mapping[str, Any], object_id: str) -> Decline | None:
    is_charge = type_ == CHARGE_FAILED
    code = facts.get("outcome_reason") or facts.get("failure_code")
    if code is None:
        return None
    charge = object_id if is_charge else facts.get("latest_charge")
    return Decline(code=code, at=at, charge=charge, event=event, type=type_)


def invoices_of(db: Transaction, whose: Owner, names: Collection[str]) -> set[str]:
    """Give the bills that these payments and charges are for, in whatever way the book knows."""
    which = {**whose, "names": sorted(names)}
    found = {row.invoice for row in db.execute(_NAMED_BY_PAYMENT, which)}
    bills = db.execute(_NAMED_BY_BILL, which).all()
    return found | {
        row.id if row.kind == "invoice" else row.invoice for row in bills if row.kind == "invoice" or row.invoice
    }


_THESE: BindParameter[str] = bindparam("names", expanding=True)

_TOLD = select(history.c.object_id, history.c.event, history.c.type, history.c.created, history.c.facts).where(
    history.c.account == bindparam("account"),
    history.c.livemode == bindparam("livemode"),
    history.c.object_id.in_(_THESE),
    history.c.type.in_([TRY_FAILED, CHARGE_FAILED]),
)
_NAMED_BY_PAYMENT = select(payments.c.invoice).where(
    payments.c.account == bindparam("account"),
    payments.c.livemode == bindparam("livemode"),
    payments.c.id.in_(_THESE),
    payments.c.invoice.is_not(None),
)
_NAMED_BY_BILL = select(objects.c.kind, objects.c.id, objects.c.invoice).where(
    objects.c.account == bindparam("account"),
    objects.c.livemode == bindparam("livemode"),
    objects.c.kind.in_(["invoice", "invoice_payment"]),
    or_(objects.c.payment_intent.in_(_THESE), objects.c.charge.in_(_THESE)),
)
