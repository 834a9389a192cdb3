"""Keeps the book of all that a finance team cares about."""

from handlers.context import Context
from handlers.errors import GiveUp
from handlers.notifications import failed_payment, failing_subscription
from handlers.notifications.refund import made_anew
from handlers.payments import book
from handlers.payments.change import Change
from handlers.payments.keep import keep
from handlers.payments.kinds import HEALTH, TYPES, kind_of
from handlers.payments.look_up import told_of_itself
from handlers.router import handler
from ledger.event import Event


@handler(source="stripe", types=["payment_intent.*"], queue="payments", ahead=book.find_payments)
def payment(event: Event, ctx: Context) -> None:
    """Keep one row a payment; what was told of its failures is over once it is paid.

    That is done here, and by no handler of its own, because no event is more frequent than a payment that succeeds. So
    is saying why an invoice could not be collected: what is noted here and what tells it commit together.
    """
    change = book.enter_intent(ctx.db, event)
    _resolve(event, ctx, change)
    if change.before is not None and change.after["status"] == "succeeded":
        failed_payment.paid_after_all(event, ctx, change.id)
    failing_subscription.explain(event, ctx, change)


@handler(source="stripe", types=["charge.refunded"], queue="payments")
def refunded_charge(event: Event, ctx: Context) -> None:
    """Keep how much of a payment has gone back."""
    book.enter_refunded_charge(ctx.db, event)


@handler(source="stripe", types=["refund.*", "charge.refund.updated"], queue="payments")
def refund(event: Event, ctx: Context) -> None:
    """Keep one row a refund; one that failed is over once another one, that took its place, has succeeded."""
    _resolve(event, ctx, book.enter_refund(ctx.db, event))
    made_anew(event, ctx)


@handler(source="stripe", types=["charge.dispute.*"], queue="payments")
def dispute(event: Event, ctx: Context) -> None:
    """Keep one row a dispute."""
    _resolve(event, ctx, book.enter_dispute(ctx.db, event))


@handler(source="stripe", types=TYPES, queue="payments")
def entry(event: Event, ctx: Context) -> None:
    """Keep one row for each object that is none of these: charges, bills, subscriptions, payouts and so on."""
    kind = kind_of(event.type)
    if kind is None:
        raise GiveUp(f"the book knows no kind of object that {event.type} tells of")
    change = keep(ctx.db, event, kind)
    _resolve(event, ctx, change)
    failing_subscription.explain(event, ctx, change)
    if _lacks_its_fee(change):
        ctx.look_up(event)


@handler(source="stripe", types=HEALTH.types, queue="payments")
def health(event: Event, ctx: Context) -> None:
    """Keep what Stripe says of itself: that it could not make events is to be seen nowhere else."""
    keep(ctx.db, told_of_itself(event), HEALTH)


def _resolve(event: Event, ctx: Context, change: Change) -> None:
    """Ask Stripe which of two events came last, where they contradict each other and do not tell."""
    if change.contested:
        ctx.look_up(event)


def _lacks_its_fee(change: Change) -> bool:
    """Say whether a charge was settled, and no event said what that came to: they mostly name the settlement only."""
    after = change.after
    settled = after.get("kind") == "charge" and after.get("settled_by") is not None
    return settled and after.get("fee") is None and after.get("state") == "succeeded"
