"""Tells the finance team about an invoice that will be due. The README shows this file as the way to add a handler."""

from handlers.context import Context
from handlers.notifications.alert import Alert
from handlers.notifications.keys import stripe_key
from handlers.payments.money import Money
from handlers.router import handler
from ledger.event import Event


@handler(source="stripe", types=["invoice.will_be_due"], queue="notifications")
def due_invoice(event: Event, ctx: Context) -> None:
    """Tell each invoice once, some days before it is due."""
    invoice = event.payload["data"]["object"]
    due = Money(invoice["amount_remaining"], invoice["currency"])
    alert = Alert(title=f"Invoice due soon: {due.display()}", facts={"Customer": invoice["customer_name"]})
    alert.post(event, ctx, key=stripe_key(event, "due_invoice", invoice["id"]), channel=ctx.channels.finance)
