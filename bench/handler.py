"""One handler that does in one delivery what two of the product's do: a row in the book, and an effect.

`bench.drain` copies this file into `handlers/` of a copy of the product: "deliveries a second" then counts the whole of
it, a book row, an effect, an attempt and a "done".
"""

from handlers.context import Context
from handlers.notifications.failed_payment import failed_payment
from handlers.payments.handlers import payment
from handlers.router import handler
from ledger.event import Event


@handler(source="stripe", types=["bench.payment_failed"], queue="payments", ahead=payment.ahead)
def book_and_tell(event: Event, ctx: Context) -> None:
    """Enter the payment in the book and tell the finance team that it failed."""
    payment.run(event, ctx)
    failed_payment.run(event, ctx)
