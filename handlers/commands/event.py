"""`/hookline event <id>`: what became of one event."""

from sqlalchemy import Connection

from handlers.notifications.harmless import mrkdwn
from ledger import views
from ledger.errors import SeveralEvents
from ledger.views import View

MAX_TEXT = 200


def show_event(db: Connection, address: str) -> str:
    """Show an event, by our id or the provider's, with its deliveries and its alerts."""
    try:
        event_id = views.find_event(db, address)
    except SeveralEvents as error:
        return mrkdwn(str(error))
    event = None if event_id is None else views.get_event(db, event_id)
    if event is None:
        return f"There is no event {mrkdwn(address, 100)}."
    lines = [
        f"*Event {event['id']}*: {mrkdwn(event['type'])} from {event['source']} ({mrkdwn(event['external_id'])})",
        f"{event['state']}, received {event['received_at']}",
        *map(_delivery, event["deliveries"]),
        *map(_effect, event["effects"]),
    ]
    return "\n".join(lines)


def _delivery(each: View) -> str:
    error = f": {mrkdwn(each['last_error'], MAX_TEXT)}" if each["last_error"] else ""
    return f"• {each['handler']}: {each['state']}, attempts {each['attempts']}{error}"


def _effect(each: View) -> str:
    # Its text was made harmless when it was planned.
    return f"• alert to {mrkdwn(each['channel'])}: {each['state']}: {each['text'][:MAX_TEXT]}"
