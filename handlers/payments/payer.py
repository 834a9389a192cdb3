"""What the book knows of a payment that something else is about: neither warnings, nor disputes, nor refunds say it."""

from typing import Any

from sqlalchemy import bindparam, select

from handlers.payments.tables import payments
from ledger.event import Event
from ledger.store import Transaction


def paid_by(db: Transaction, event: Event, payment: str | None) -> dict[str, Any]:
    """Give a payment's `amount`, `currency` and `customer`; nothing where the book does not know it (yet)."""
    which = {"its_account": event.account or "", "its_mode": event.livemode, "its_id": payment}
    row = db.execute(_PAYMENT, which).mappings().first()
    return dict(row) if row else {}


_PAYMENT = select(payments.c.amount, payments.c.currency, payments.c.customer).where(
    payments.c.account == bindparam("its_account"),
    payments.c.livemode == bindparam("its_mode"),
    payments.c.id == bindparam("its_id"),
)
