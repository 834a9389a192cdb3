"""How much came in over some time, of what, what became of it and how long that took."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ledger.event import OWN, DeliveryState, EventState, Trigger
from ledger.question import Asked, Clause, all_of, each, value
from ledger.schedule import DAY_S, HOUR_S, MINUTE_S
from ledger.shown import View, rfc3339
from ledger.views.events import FEW, is_in_state
from ledger.views.filter import Filter, event_conditions, time_conditions

BUCKETS_S = (MINUTE_S, 10 * MINUTE_S, HOUR_S, 6 * HOUR_S, DAY_S, 7 * DAY_S, 30 * DAY_S)
MAX_BUCKETS = 60
# As many as fit a line.

PERCENTILES = (0.5, 0.95, 0.99)

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


def take_stats(db: Asked, wanted: Filter, *, since: float, until: float) -> Stats:
    """Count what came in between two times (Unix seconds); of `wanted`, source, type and account count.

    A `since` of 0, or before, is the time of the oldest event. A day of 33,000 events takes a tenth of a second, a
    month of a million some seconds.
    """
    if since <= 0:
        since = value(db, "SELECT min(received_at) FROM events", {}) or until
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


def _asked_for(wanted: Filter) -> list[Clause]:
    """Say which events count. What Hookline says of itself did not come in, but where it is asked for by name."""
    clauses = event_conditions(wanted)
    if wanted.source is None and wanted.type is None:
        # Not the bare column: see event_conditions.
        clauses.append(Clause("coalesce(events.source, '') <> :own", {"own": OWN}))
    return clauses


def _came_in(
    db: Asked, clauses: Sequence[Clause], since: float, until: float
) -> tuple[dict[tuple[str, str], int], float, list[int]]:
    bucket_s = next((span for span in BUCKETS_S if until - since < span * MAX_BUCKETS), BUCKETS_S[-1])
    its = all_of(clauses)
    text = f"""
        SELECT {_whole(db, "received_at / :bucket_s")} AS bucket, coalesce(source, '') AS its_source, type, count(*)
        FROM events WHERE {its.text} GROUP BY bucket, its_source, type
    """
    types: Counter[tuple[str, str]] = Counter()
    first = int(since // bucket_s)
    counts = [0] * (int(until // bucket_s) - first + 1)
    for number, its_source, its_type, count in each(db, text, {**its.values, "bucket_s": bucket_s}):
        types[its_source, its_type] += count
        counts[number - first] += count
    return dict(types.most_common()), bucket_s, counts


def _whole(db: Asked, number: str) -> str:
    # PostgreSQL rounds where SQLite cuts, and SQLite may have no floor().
    return f"CAST({number} AS INTEGER)" if db.dialect.name == "sqlite" else f"CAST(floor({number}) AS INTEGER)"


def _states(db: Asked, clauses: Sequence[Clause], total: int) -> dict[str, int]:
    """Count the few that need somebody and those that nobody wants; the others are done."""
    counts = {state: _count(db, *clauses, is_in_state(state)) for state in FEW}
    owed = Clause("NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.event_id = events.id)")
    counts[EventState.UNHANDLED] = _count(db, *clauses, owed) - counts[EventState.UNPARSEABLE]
    counts[EventState.DONE] = total - sum(counts.values())
    return {state.value: counts[state] for state in EventState if counts[state]}


def _count(db: Asked, *clauses: Clause) -> int:
    its = all_of(clauses)
    count: int = value(db, f"SELECT count(*) FROM events WHERE {its.text}", its.values)
    return count


# SQLite finds no row by a sum, so it goes down the events of that time, and not through all deliveries.
_THEIRS = "deliveries JOIN events ON events.id + 0 = deliveries.event_id"


def _deliveries(db: Asked, clauses: Sequence[Clause]) -> dict[str, int]:
    its = all_of(clauses)
    text = f"SELECT state, count(*) FROM {_THEIRS} WHERE {its.text} GROUP BY state"
    counts: dict[str, int] = {row[0]: row[1] for row in each(db, text, its.values)}
    return {state.value: counts[state] for state in DeliveryState if state in counts}


_HANDLED = f"state = '{DeliveryState.DONE}' AND trigger <> '{Trigger.REPLAY}' AND finished_at IS NOT NULL"


def _latency(db: Asked, clauses: Sequence[Clause]) -> Latency | None:
    its = all_of([*clauses, Clause(_HANDLED)])
    seconds: Counter[float] = Counter()
    longest_s = 0.0
    for (took_s,) in each(db, f"SELECT finished_at - received_at FROM {_THEIRS} WHERE {its.text}", its.values):
        seconds[float(f"{took_s:.{DIGITS}g}")] += 1
        longest_s = max(longest_s, took_s)
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
    for took_s in sorted(seconds):
        below -= seconds[took_s]
        if below < 0:
            return took_s
    return max(seconds)


def _rejected(db: Asked, wanted: Filter) -> int:
    clauses = time_conditions("requests", wanted)
    if wanted.source is not None:
        clauses.append(Clause("requests.source = :source", {"source": wanted.source}))
    its = all_of(clauses)
    count: int = value(db, f"SELECT count(*) FROM requests WHERE {its.text}", its.values)
    return count
