"""Addresses in Stripe's dashboard."""

from handlers.notifications.alert import Link
from handlers.notifications.keys import joined
from ledger.event import Event


def stripe_link(event: Event, page: str, object_id: str) -> Link:
    """Link to an object of the event's account and mode; `page` is `payments`, `disputes`, `payouts`, `customers`."""
    return page_link(event.account, event.livemode, page, object_id)


def page_link(account: str | None, livemode: bool | None, page: str, object_id: str) -> Link:  # noqa: FBT001  # as it is in an event
    """Link to an object of an account and mode."""
    mode = ["test"] if livemode is False else []
    path = joined([*([account] if account else []), *mode, page, object_id])
    return Link("Open in Stripe", f"https://dashboard.stripe.com/{path}")
