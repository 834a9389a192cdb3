"""What became of the events of a span of time: received, handled, wanted by nobody, waiting, dead. Reads only."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, func, select

from ledger.own import SOURCE
from ledger.tables import DEAD, QUEUED, RUNNING, WAITING, deliveries, events


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many events; each counts once, `received` is the sum of the others.

    Attributes:
        received: providers' events that came in.
        handled: all that was to be done for them was done, or called off.
        unhandled: no handler wants them, or they could not be read.
        waiting: something is still to be done.
        dead: something failed for good, and waits for a person.

    """

    received: int
    handled: int
    unhandled: int
    waiting: int
    dead: int


def tally(db: Connection, *, since: float, until: float) -> Tally:
    """Count the events received from `since` until before `until` (Unix seconds), as they stand now."""
    span = and_(events.c.received_at >= since, events.c.received_at < until, events.c.source != SOURCE)
    received = _count(db, select(func.count()).where(span))
    unhandled = _count(db, select(func.count()).where(span, ~exists().where(deliveries.c.event_id == events.c.id)))
    dead = _among(db, span, DEAD)
    waiting = set().union(*(_among(db, span, each) for each in (WAITING, QUEUED, RUNNING))) - dead
    return Tally(
        received=received,
        handled=received - unhandled - len(dead) - len(waiting),
        unhandled=unhandled,
        waiting=len(waiting),
        dead=len(dead),
    )


def has_events_before(db: Connection, moment: float) -> bool:
    """Say whether any provider's event was received before a moment (Unix seconds)."""
    earlier = select(events.c.id).where(events.c.received_at < moment, events.c.source != SOURCE).limit(1)
    return db.execute(earlier).first() is not None


def _count(db: Connection, statement: Select[Any]) -> int:
    found: int = db.execute(statement).scalar_one()
    return found


def _among(db: Connection, span: ColumnElement[bool], where: Any) -> set[int]:  # noqa: ANN401  # a text, as a condition
    # By the partial index of what is not over: there is never much of it, however many events there were.
    mine = select(deliveries.c.event_id).where(where).distinct().subquery()
    return set(db.execute(select(events.c.id).join(mine, mine.c.event_id == events.c.id).where(span)).scalars())
