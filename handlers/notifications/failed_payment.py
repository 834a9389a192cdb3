"""Tells the finance team about a payment that failed."""

from hashlib import sha256

from handlers.context import Context
from handlers.notifications.alert import Alert
from handlers.notifications.dashboard import stripe_link
from handlers.notifications.keys import stripe_key
from handlers.notifications.reasons import DECLINES, in_words, with_code
from handlers.payments.objects import BillingDetails, Intent
from handlers.reading import Snapshot, read
from handlers.router import handler
from ledger.event import Event


@handler(source="stripe", types=["payment_intent.payment_failed"], queue="notifications")
def failed_payment(event: Event, ctx: Context) -> None:
    """Tell each failed try once; a second try is told again."""
    snapshot = read(event, Snapshot[Intent])
    intent = snapshot.data.object
    code = intent.failure_code
    alert = Alert(
        title=f"Payment failed: {intent.money.display()} ({in_words(code, DECLINES)})",
        facts={
            "Customer": _customer(intent),
            "Reason": with_code(code, DECLINES),
            "Payment": intent.id,
        },
        link=stripe_link(event, "payments", intent.id),
        kind="failed_payment",
        money=intent.money,
        customer=_identity(intent),
        code=code,
    )
    key = stripe_key(event, "failed_payment", intent.id, intent.failed_charge or _try(snapshot))
    alert.post(event, ctx, key=key)


def _customer(intent: Intent) -> str:
    error = intent.last_payment_error
    method = error.payment_method if error else None
    details = (method.billing_details if method else None) or BillingDetails()
    known = [details.name, details.email or intent.receipt_email, intent.customer]
    return ", ".join(each for each in known if each) or "unknown"


def _identity(intent: Intent) -> str | None:
    """Name who is behind a payment, for counting customers: one name is not one customer."""
    error = intent.last_payment_error
    method = error.payment_method if error else None
    details = (method.billing_details if method else None) or BillingDetails()
    return intent.customer or details.email or intent.receipt_email or details.name


def _try(snapshot: Snapshot[Intent]) -> str:
    # A try that failed before it reached a bank has no charge. What is left to know it by is when it failed, and why.
    error = snapshot.data.object.last_payment_error
    return sha256(f"{snapshot.created} {error.model_dump_json() if error else ''}".encode()).hexdigest()[:16]
