"""Tells the finance team about refunds, and again about one that did not arrive.

Not from `charge.refunded` or `charge.refund.updated`: they come beside the refund's own events, and say the same.
"""

from handlers.context import Context
from handlers.notifications.alert import Alert
from handlers.notifications.dashboard import stripe_link
from handlers.notifications.keys import stripe_key
from handlers.notifications.reasons import REFUND_FAILURES, in_words, with_code
from handlers.payments.objects import Refund
from handlers.reading import read_object
from handlers.router import handler
from ledger.event import Event


@handler(source="stripe", types=["refund.created", "refund.updated", "refund.failed"], queue="notifications")
def refund(event: Event, ctx: Context) -> None:
    """Tell each refund once, and each failure of one once."""
    made = read_object(event, Refund)
    if made.status == "failed" or event.type == "refund.failed":
        what, alert = "failed_refund", _failed(event, made)
    elif made.status == "canceled":
        what, alert = "canceled_refund", _told(event, made, f"Refund canceled: {made.money.display()}")
    else:
        what, alert = "refund", _told(event, made, f"Refund: {made.money.display()}")
    alert.post(event, ctx, key=stripe_key(event, what, made.id))


def _failed(event: Event, made: Refund) -> Alert:
    why = in_words(made.failure_reason, REFUND_FAILURES)
    title = f"Refund failed: {made.money.display()} ({why})"
    return _told(event, made, title, failure=with_code(made.failure_reason, REFUND_FAILURES))


def _told(event: Event, made: Refund, title: str, *, failure: str | None = None) -> Alert:
    payment = made.payment_intent or made.charge
    return Alert(
        title=title,
        facts={
            "Why it failed": failure,
            "Reason": made.reason and made.reason.replace("_", " "),
            "Status": made.status and made.status.replace("_", " "),
            "Payment": payment,
            "Refund": made.id,
        },
        link=stripe_link(event, "payments", payment) if payment else None,
        kind="refund" if failure is None else "failed_refund",
        money=made.money,
        code=made.failure_reason or made.reason,
    )
