"""What a person may do to deliveries, by name: the same for the commands and for the HTTP API."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection

from ledger import again, dismissals, views
from ledger.addresses import split
from ledger.again import NOTHING, RETRIABLE, Again
from ledger.dismissals import DISMISSABLE


def retry(db: Connection, names: Sequence[str], *, now: float, states: Collection[str] | None = None) -> Again:
    """Run failed or dead deliveries again now, and send their dead effects again.

    Args:
        db: where.
        names: ids of deliveries; or providers' ids of events, for all of an event's.
        now: Unix seconds.
        states: of deliveries that are named by id, only those in one of these; None: failed or dead.

    Raises:
        ledger.addresses.Unknown: one of them does not exist. Nothing is retried.

    """
    ids, event_ids = split(db, names)
    done = again.retry_deliveries(db, ids, now, states=RETRIABLE if states is None else states)
    return sum((done, again.retry_events(db, event_ids, now)), NOTHING)


def dismiss(
    db: Connection,
    names: Sequence[str],
    *,
    who: str,
    reason: str,
    now: float,
    states: Collection[str] | None = None,
) -> list[int]:
    """Say that deliveries do not matter any more. Give the ids of those that it changed something for.

    Args:
        db: where.
        names: ids of deliveries; or providers' ids of events, for all of an event's.
        who: a person's name.
        reason: why.
        now: Unix seconds.
        states: only deliveries in one of these; None: whatever is not over and does not run.

    Raises:
        ledger.addresses.Unknown: one of them does not exist. Nothing is dismissed.

    """
    ids, event_ids = split(db, names)
    chosen = ids | views.delivery_ids_of(db, event_ids)
    known = DISMISSABLE if states is None else states
    return dismissals.dismiss(db, chosen, who=who, reason=reason, now=now, states=known)
