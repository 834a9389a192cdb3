"""What every event said of every object, so that each change is known with the event that caused it.

Kept for as long as the book, whether or not the events themselves are still there. What an event changed is worked out
where it is shown: from what it said and what was said before it, in the order of the book and not that of arrival.
"""

import json
from collections.abc import Mapping
from typing import Any

from handlers.payments.tables import history
from handlers.payments.version import Version
from ledger.event import Event
from ledger.prepared import insert_unless_known
from ledger.store import Transaction

Facts = Mapping[str, Any]

_NOTE = insert_unless_known(history)


def note(db: Transaction, event: Event, *, kind: str, object_id: str, version: Version, facts: Facts) -> None:
    """Note what an event says of an object; saying it again changes nothing."""
    db.execute(
        _NOTE,
        {
            "account": event.account or "",
            "livemode": event.livemode,
            "object_id": object_id,
            "event": version.event,
            "kind": kind,
            "type": event.type,
            "standing": version.standing,
            "created": version.created,
            "rank": version.rank,
            "received_at": event.received_at,
            "facts": json.dumps({name: value for name, value in facts.items() if value is not None}),
        },
    )
