"""The sources as the ledger knows them: when each was heard of last, and whether that is unusual."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from ledger.event import OWN
from ledger.question import Asked, Clause, Row, all_of, rows, up_to, value
from ledger.schedule import DAY_S
from ledger.shown import View, rfc3339
from ledger.views.filter import Filter, down, event_conditions, time_conditions

SAMPLED = 200
# So many of the newest events say what gap between two of them is usual.


def list_sources(db: Asked, known: Mapping[str, bool], *, now: float) -> list[View]:
    """Say of each source, known or in the ledger, what came in; `now` in Unix seconds.

    `known` says of each source that there is a provider for whether it is configured: whether its secret is there.
    `usual_gap_s` is the median of the gaps between the newest events, None with less than two of them.
    """
    return [
        {"source": name, "configured": known.get(name, False), **_source(db, name, now)}
        for name in sorted({*known, *sources_in(db)})
    ]


def sources_in(db: Asked) -> Iterator[str]:
    """Name the sources that sent events: a step in the index for each, however many events there are."""
    name = value(db, "SELECT min(source) FROM events", {})
    while name is not None:
        if name != OWN:
            yield name
        name = value(db, "SELECT min(source) FROM events WHERE source > :name", {"name": name})


def has_events(db: Asked, name: str) -> bool:
    """Say whether this source ever sent an event."""
    return value(db, "SELECT id FROM events WHERE source = :name LIMIT 1", {"name": name}) is not None


def _source(db: Asked, name: str, now: float) -> View:
    lately = Filter(source=name, since=now - DAY_S)
    newest = _newest(db, name)
    gaps = [later["received_at"] - earlier["received_at"] for later, earlier in pairwise(newest)]
    refused = [*time_conditions("requests", lately), Clause("requests.source = :source", {"source": name})]
    return {
        "last_event_at": rfc3339(newest[0]["received_at"]) if newest else None,
        "last_event": newest[0]["id"] if newest else None,
        "last_type": newest[0]["type"] if newest else None,
        "events_24h": _count(db, "events", event_conditions(lately)),
        "rejected_24h": _count(db, "requests", refused),
        "usual_gap_s": _usual(gaps),
    }


def _usual(gaps: Sequence[float]) -> float | None:
    if not gaps:
        return None
    from statistics import median  # noqa: PLC0415  # with fractions and decimals, which whoever asks for a name does without

    return round(median(gaps), 3)


def _newest(db: Asked, name: str) -> list[Row]:
    if not has_events(db, name):
        return []
    its, most = all_of(event_conditions(Filter(source=name))), up_to(SAMPLED)
    text = f"SELECT id, received_at, type FROM events WHERE {its.text} {down(('received_at', 'id'))} {most.text}"
    return rows(db, text, {**its.values, **most.values})


def _count(db: Asked, table: str, clauses: Sequence[Clause]) -> int:
    its = all_of(clauses)
    count: int = value(db, f"SELECT count(*) FROM {table} WHERE {its.text}", its.values)
    return count
