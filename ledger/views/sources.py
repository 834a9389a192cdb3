"""The sources as the ledger knows them: when each was heard of last, and whether that is unusual."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from ledger import own
from ledger.schedule import DAY_S
from ledger.shown import View, rfc3339
from ledger.tables import events, requests
from ledger.views.filter import Filter, event_conditions

SAMPLED = 200
# So many of the newest events say what gap between two of them is usual.


def list_sources(db: Connection, known: Mapping[str, bool], *, now: float) -> list[View]:
    """Say of each source, known or in the ledger, what came in; `now` in Unix seconds.

    `known` says of each source that there is a provider for whether it is configured: whether its secret is there.
    `usual_gap_s` is the median of the gaps between the newest events, None with less than two of them.
    """
    return [
        {"source": name, "configured": known.get(name, False), **_source(db, name, now)}
        for name in sorted({*known, *sources_in(db)})
    ]


def sources_in(db: Connection) -> Iterator[str]:
    """Name the sources that sent events: a step in the index for each, however many events there are."""
    name = db.execute(select(func.min(events.c.source))).scalar()
    while name is not None:
        if name != own.SOURCE:
            yield name
        name = db.execute(select(func.min(events.c.source)).where(events.c.source > name)).scalar()


def has_events(db: Connection, name: str) -> bool:
    """Say whether this source ever sent an event."""
    return db.execute(select(events.c.id).where(events.c.source == name).limit(1)).first() is not None


def _source(db: Connection, name: str, now: float) -> View:
    lately = now - DAY_S
    newest = _newest(db, name)
    gaps = [later.received_at - earlier.received_at for later, earlier in pairwise(newest)]
    rejected = select(func.count()).select_from(requests)
    return {
        "last_event_at": rfc3339(newest[0].received_at) if newest else None,
        "last_event": newest[0].id if newest else None,
        "last_type": newest[0].type if newest else None,
        "events_24h": _count(db, event_conditions(Filter(source=name, since=lately))),
        "rejected_24h": db.execute(
            rejected.where(requests.c.source == name, requests.c.received_at >= lately)
        ).scalar_one(),
        "usual_gap_s": _usual(gaps),
    }


def _usual(gaps: Sequence[float]) -> float | None:
    if not gaps:
        return None
    from statistics import median  # noqa: PLC0415  # with fractions and decimals, which whoever asks for a name does without

    return round(median(gaps), 3)


def _newest(db: Connection, name: str) -> list[Any]:
    if not has_events(db, name):
        return []
    statement = select(events.c.id, events.c.received_at, events.c.type).where(*event_conditions(Filter(source=name)))
    return list(db.execute(statement.order_by(events.c.received_at.desc(), events.c.id.desc()).limit(SAMPLED)).all())


def _count(db: Connection, conditions: Collection[ColumnElement[bool]]) -> int:
    return db.execute(select(func.count()).select_from(events).where(*conditions)).scalar_one()
