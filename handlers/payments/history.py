"""What every event said of every object, so that each change is known with the event that caused it.

Kept for as long as the book, whether or not the events themselves are still there. What an event changed is worked out
where it is shown: from what it said and what was said before it, in the order of the book and not that of arrival.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

from pydantic_core import to_json
from sqlalchemy import Connection, bindparam, select

from handlers.payments.tables import history
from handlers.payments.told import Facts, version_in
from handlers.payments.version import Version
from ledger.event import Event
from ledger.gathered import Kind
from ledger.rows import InsertMany
from ledger.store import Transaction

_NOTE = InsertMany(history, ignore_known=True)


def _write_notes(db: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    _NOTE.write(db, rows)


_NOTES = Kind(_write_notes, history)


def note(db: Transaction, event: Event, *, kind: str, object_id: str, version: Version, facts: Facts) -> None:
    """Note what an event says of an object; saying it again changes nothing."""
    db.leave(
        _NOTES,
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
            # All of it was read from JSON, so it can be nothing that this would write otherwise than `json` does.
            "facts": to_json(
                {name: value for name, value in facts.items() if value is not None}, ensure_ascii=True
            ).decode(),
        },
    )


def began_at(db: Transaction, whose: Mapping[str, Any], state: str) -> int | None:
    """Say since when an object is in its state, in Unix seconds; it may have been there before."""
    # Sorted here: a database may sort words by the rules of some language, and the book does not.
    rows = sorted(map(dict, db.execute(_ALL, whose).mappings()), key=version_in, reverse=True)
    run = takewhile(lambda row: json.loads(row["facts"])["state"] == state, rows)
    at: int | None = min((row["created"] for row in run), default=None)
    return at


_ALL = select(history).where(
    history.c.account == bindparam("account"),
    history.c.livemode == bindparam("livemode"),
    history.c.object_id == bindparam("id"),
)
