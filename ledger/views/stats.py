"""How much came in over some time, of what, what became of it and how long that took."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, and_, cast, exists, func, select

from ledger import own
from ledger.event import DeliveryState, EventState, Trigger
from ledger.schedule import DAY_S, HOUR_S, MINUTE_S
from ledger.shown import View, rfc3339
from ledger.tables import deliveries, events, requests
from ledger.views.events import EVENT_STATE, FEW
from ledger.views.filter import Filter, event_conditions, time_conditions

BUCKETS_S = (MINUTE_S, 10 * MINUTE_S, HOUR_S, 6 * HOUR_S, DAY_S, 7 * DAY_S, 30 * DAY_S)
MAX_BUCKETS = 60
# As many as fit a line.

PERCENTILES = (0.5, 0.95, 0.99)

FETCHED = 5_000
# Rows at a time.

DIGITS = 3
# Of a latency: so few different ones take little memory, however many there are.


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long it took from the receipt of events until they were handled. Replays do not count."""

    count: int
    percentiles: Mapping[float, float]  # seconds, to three digits, by share: 0.5 is the median
    longest_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """What happened in a span of time."""

    since: float  # Unix seconds
    until: float  # Unix seconds
    types: Mapping[tuple[str, str], int]  # events by source and type
    states: Mapping[str, int]  # events
    deliveries: Mapping[str, int]  # by state
    rejected: int  # requests, as far as they are kept
    latency: Latency | None  # None: nothing was handled
    bucket_s: float
    buckets: Sequence[int]  # events: the first bucket has `since` in it, and each begins at a multiple of `bucket_s`

    @property
    def events(self) -> int:
        """How many events came in."""
        return sum(self.types.values())

    @property
    def sources(self) -> dict[str, int]:
        """How many events came in, by source."""
        counts: Counter[str] = Counter()
        for (source, _), count in self.types.items():
            counts[source] += count
        return dict(counts)


def take_stats(db: Connection, wanted: Filter, *, since: float, until: float) -> Stats:
    """Count what came in between two times (Unix seconds); of `wanted`, source, type and account count.

    A `since` of 0, or before, is the time of the oldest event. A day of 33,000 events takes a tenth of a second, a
    month of a million some seconds.
    """
    if since <= 0:
        since = db.execute(select(func.min(events.c.received_at))).scalar() or until
    bounded = Filter(source=wanted.source, type=wanted.type, account=wanted.account, since=since, until=until)
    conditions = _asked_for(bounded)
    types, bucket_s, buckets = _came_in(db, conditions, since, until)
    return Stats(
        since=since,
        until=until,
        types=types,
        states=_states(db, conditions, sum(types.values())),
        deliveries=_deliveries(db, conditions),
        rejected=_rejected(db, bounded),
        latency=_latency(db, conditions),
        bucket_s=bucket_s,
        buckets=buckets,
    )


def stats_view(taken: Stats) -> View:
    """Show them as a JSON object."""
    latency = taken.latency
    first = taken.since // taken.bucket_s
    return {
        "since": rfc3339(taken.since),
        "until": rfc3339(taken.until),
        "events": taken.events,
        "rejected": taken.rejected,
        "by_source": taken.sources,
        "by_type": [{"source": source, "type": type_, "events": n} for (source, type_), n in taken.types.items()],
        "by_state": dict(taken.states),
        "deliveries_by_state": dict(taken.deliveries),
        "latency_s": None
        if latency is None
        else {
            "deliveries": latency.count,
            **{f"p{share * 100:.0f}": round(took, 4) for share, took in latency.percentiles.items()},
            "longest": round(latency.longest_s, 4),
        },
        "bucket_s": taken.bucket_s,
        "buckets": [
            {"at": rfc3339((first + number) * taken.bucket_s), "events": count}
            for number, count in enumerate(taken.buckets)
        ],
    }


def _asked_for(wanted: Filter) -> list[ColumnElement[bool]]:
    """Say which events count. What Hookline says of itself did not come in, but where it is asked for by name."""
    conditions = list(event_conditions(wanted))
    if wanted.source is None and wanted.type is None:
        conditions.append(func.coalesce(events.c.source, "") != own.SOURCE)  # not the bare column: see event_conditions
    return conditions


def _came_in(
    db: Connection, conditions: Sequence[ColumnElement[bool]], since: float, until: float
) -> tuple[dict[tuple[str, str], int], float, list[int]]:
    bucket_s = next((each for each in BUCKETS_S if until - since < each * MAX_BUCKETS), BUCKETS_S[-1])
    bucket = _whole(db, events.c.received_at / bucket_s)
    source = func.coalesce(events.c.source, "")  # ditto
    statement = select(bucket, source, events.c.type, func.count()).where(*conditions)
    types: Counter[tuple[str, str]] = Counter()
    first = int(since // bucket_s)
    counts = [0] * (int(until // bucket_s) - first + 1)
    for number, its_source, its_type, count in db.execute(statement.group_by(bucket, source, events.c.type)):
        types[its_source, its_type] += count
        counts[number - first] += count
    return dict(types.most_common()), bucket_s, counts


def _whole(db: Connection, number: ColumnElement[Any]) -> ColumnElement[int]:
    # PostgreSQL rounds where SQLite cuts, and SQLite may have no floor().
    return cast(func.floor(number) if db.dialect.name == "postgresql" else number, Integer)


def _states(db: Connection, conditions: Sequence[ColumnElement[bool]], total: int) -> dict[str, int]:
    """Count the few that need somebody and those that nobody wants; the others are done."""
    counts = {
        state: _count(db, *conditions, events.c.id.in_(few), EVENT_STATE.element == state) for state, few in FEW.items()
    }
    owed = exists().where(deliveries.c.event_id == events.c.id)
    counts[EventState.UNHANDLED] = _count(db, *conditions, ~owed) - counts[EventState.UNPARSEABLE]
    counts[EventState.DONE] = total - sum(counts.values())
    return {state.value: counts[state] for state in EventState if counts[state]}


def _count(db: Connection, *conditions: ColumnElement[bool]) -> int:
    return db.execute(select(func.count()).select_from(events).where(*conditions)).scalar_one()


def _deliveries(db: Connection, conditions: Sequence[ColumnElement[bool]]) -> dict[str, int]:
    statement = select(deliveries.c.state, func.count()).join(events, _ITS_EVENT).where(*conditions)
    counts: dict[str, int] = dict(db.execute(statement.group_by(deliveries.c.state)).all())
    return {state.value: counts[state] for state in DeliveryState if state in counts}


# SQLite finds no row by a sum, so it goes down the events of that time, and not through all deliveries.
_ITS_EVENT = events.c.id + 0 == deliveries.c.event_id


def _latency(db: Connection, conditions: Sequence[ColumnElement[bool]]) -> Latency | None:
    handled = and_(
        deliveries.c.state == DeliveryState.DONE,
        deliveries.c.trigger != Trigger.REPLAY,
        deliveries.c.finished_at.is_not(None),
    )
    took = select(deliveries.c.finished_at - events.c.received_at).join(events, _ITS_EVENT)
    seconds: Counter[float] = Counter()
    longest_s = 0.0
    for part in db.execute(took.where(*conditions, handled)).scalars().partitions(FETCHED):
        seconds.update(float(f"{each:.{DIGITS}g}") for each in part)
        longest_s = max(longest_s, *part)
    if not seconds:
        return None
    return Latency(
        count=seconds.total(),
        percentiles={share: _percentile(seconds, share) for share in PERCENTILES},
        longest_s=longest_s,
    )


def _percentile(seconds: Counter[float], share: float) -> float:
    """Give the value that so large a share of all lies below."""
    below = int(seconds.total() * share)
    for value in sorted(seconds):
        below -= seconds[value]
        if below < 0:
            return value
    return max(seconds)


def _rejected(db: Connection, wanted: Filter) -> int:
    conditions = time_conditions(requests, wanted)
    if wanted.source is not None:
        conditions.append(requests.c.source == wanted.source)
    return db.execute(select(func.count()).select_from(requests).where(*conditions)).scalar_one()
