"""The indexes of the book that hold only the rows in which something is known; see `ledger.indexes`."""

from functools import cache

from sqlalchemy import text

from handlers.payments.names import LINKS
from handlers.payments.tables import objects, payments
from ledger.indexes import partial


@cache
def add_indexes() -> None:
    """Add them to the tables; once a process."""
    for name in (*LINKS, "customer"):
        partial(f"ix_objects_{name}", objects.c[name], where=text(f"{name} IS NOT NULL"))
    partial("ix_payments_customer", payments.c.customer, where=text("customer IS NOT NULL"))
