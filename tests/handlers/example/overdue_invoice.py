"""Tells the finance team about an invoice that is overdue. The README shows this file as the way to add a handler."""

from handlers.context import Context
from handlers.notifications.alert import Alert
from handlers.notifications.keys import stripe_key
from handlers.payments.money import Money
from handlers.router import handler
from ledger.event import Event


@handler(source="stripe", types=["invoice.overdue"], queue="notifications")
def overdue_invoice(event: Event, ctx: Context) -> None:
    """Tell each overdue invoice once."""
    invoice = event.payload["data"]["object"]
    due = Money(invoice["amount_remaining"], invoice["currency"])
    alert = Alert(title=f"Invoice overdue: {due.display()}", facts={"Customer": invoice["customer_name"]})
    alert.post(event, ctx, key=stripe_key(event, "overdue_invoice", invoice["id"]), channel=ctx.channels.finance)
