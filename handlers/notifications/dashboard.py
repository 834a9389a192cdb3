"""Addresses in Stripe's dashboard."""

from urllib.parse import quote

from handlers.notifications.alert import Link
from ledger.event import Event


def stripe_link(event: Event, page: str, object_id: str) -> Link:
    """Link to an object of the event's account and mode; `page` is `payments`, `disputes`, `payouts`, `customers`."""
    account = [event.account] if event.account else []
    mode = ["test"] if event.livemode is False else []
    path = "/".join(quote(part, safe="") for part in [*account, *mode, page, object_id])
    return Link("Open in Stripe", f"https://dashboard.stripe.com/{path}")
