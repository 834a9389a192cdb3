"""Keeps the book of payments, refunds and disputes."""

from handlers.context import Context
from handlers.payments import book
from handlers.router import handler
from ledger.event import Event


@handler(source="stripe", types=["payment_intent.*"], queue="payments")
def payment(event: Event, ctx: Context) -> None:
    """Keep one row a payment."""
    book.enter_intent(ctx.db, event)


@handler(source="stripe", types=["charge.refunded"], queue="payments")
def refunded_charge(event: Event, ctx: Context) -> None:
    """Keep how much of a payment has gone back."""
    book.enter_refunded_charge(ctx.db, event)


@handler(source="stripe", types=["refund.*", "charge.refund.updated"], queue="payments")
def refund(event: Event, ctx: Context) -> None:
    """Keep one row a refund."""
    book.enter_refund(ctx.db, event)


@handler(source="stripe", types=["charge.dispute.*"], queue="payments")
def dispute(event: Event, ctx: Context) -> None:
    """Keep one row a dispute."""
    book.enter_dispute(ctx.db, event)
