"""Tells the finance team about a payout that did not reach the bank account."""

from handlers.context import Context
from handlers.notifications.alert import Alert
from handlers.notifications.dashboard import stripe_link
from handlers.notifications.keys import stripe_key
from handlers.notifications.reasons import PAYOUT_FAILURES, in_words, with_code
from handlers.notifications.times import in_utc
from handlers.payments.objects import Payout
from handlers.reading import read_object
from handlers.router import handler
from ledger.event import Event


@handler(source="stripe", types=["payout.failed"], queue="notifications")
def failed_payout(event: Event, ctx: Context) -> None:
    """Tell each failed payout once."""
    payout = read_object(event, Payout)
    alert = Alert(
        title=f"Payout failed: {payout.money.display()} ({in_words(payout.failure_code, PAYOUT_FAILURES)})",
        facts={
            "Reason": with_code(payout.failure_code, PAYOUT_FAILURES),
            "Stripe says": payout.failure_message,
            "Was due": in_utc(payout.arrival_date),
            "Bank account": payout.destination,
            "Payout": payout.id,
        },
        link=stripe_link(event, "payouts", payout.id),
    )
    alert.post(event, ctx, key=stripe_key(event, "failed_payout", payout.id), channel=ctx.channels.finance)
