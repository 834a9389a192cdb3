"""Keeps the book of all that a finance team cares about."""

from handlers.context import Context
from handlers.errors import GiveUp
from handlers.payments import book
from handlers.payments.keep import keep
from handlers.payments.kinds import TYPES, kind_of
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


@handler(source="stripe", types=TYPES, queue="payments")
def entry(event: Event, ctx: Context) -> None:
    """Keep one row for each object that is none of these: charges, bills, subscriptions, payouts and so on."""
    kind = kind_of(event.type)
    if kind is None:
        raise GiveUp(f"the book knows no kind of object that {event.type} tells of")
    keep(ctx.db, event, kind)
