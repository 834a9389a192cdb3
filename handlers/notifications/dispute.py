"""Tells the finance team about a dispute, and until when it can be answered."""

from handlers.context import Context
from handlers.notifications.alert import Alert
from handlers.notifications.dashboard import stripe_link
from handlers.notifications.keys import stripe_key
from handlers.notifications.reasons import DISPUTES, in_words, with_code
from handlers.notifications.times import in_utc
from handlers.payments.objects import Dispute
from handlers.reading import read_object
from handlers.router import handler
from ledger.event import Event


@handler(source="stripe", types=["charge.dispute.created"], queue="notifications")
def dispute(event: Event, ctx: Context) -> None:
    """Tell each dispute once."""
    opened = read_object(event, Dispute)
    alert = Alert(
        title=f"{_kind(opened)} opened: {opened.money.display()} ({in_words(opened.reason, DISPUTES)})",
        facts={
            "Send evidence by": in_utc(opened.due_by) or "no deadline given",
            "Reason": with_code(opened.reason, DISPUTES),
            "Status": opened.status.replace("_", " "),
            "Payment": opened.payment_intent or opened.charge,
            "Dispute": opened.id,
        },
        link=stripe_link(event, "disputes", opened.id),
    )
    alert.post(event, ctx, key=stripe_key(event, "dispute", opened.id), channel=ctx.channels.finance)


def _kind(opened: Dispute) -> str:
    # An inquiry takes no money yet, and is often settled by an answer alone.
    return "Inquiry" if opened.status.startswith("warning_") else "Dispute"
