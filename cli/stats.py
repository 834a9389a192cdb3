"""`hookline stats`: how much came in, of what, what became of it and how long that took."""

import os
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cli.chart import bar, spark
from cli.known import check_source
from cli.ledger_door import reading
from cli.moment import check_window
from cli.options import Account, Json, Since, Source, Type, Until
from cli.show import Line, Part, cell, clean, print_json, print_lines, terminal_width
from ledger.schedule import DAY_S, HOUR_S, MINUTE_S

if TYPE_CHECKING:
    from ledger.views import Stats

# ruff: noqa: PLC0415  # SQLAlchemy is imported by the commands that need it; see ledger_door

UNITS = {7 * DAY_S: "week", DAY_S: "day", HOUR_S: "hour", MINUTE_S: "minute"}

MAX_TYPES = 15
BAR_CHARS = 20
COUNT_CHARS = 9


def stats(
    source: Source = None,
    type_: Type = None,
    account: Account = None,
    since: Since = None,
    until: Until = None,
    as_json: Json = False,
) -> None:
    """Count what came in over the last 24 h, by source, type and state, and how long it took.

    The latency is from receipt until a handler was done; replays do not count.

    Examples:
      hookline stats
      hookline stats --since 7d --source stripe
      hookline stats --since 1h --json | jq .latency_s
    """
    from ledger import views

    check_window(since, until)
    until = time.time() if until is None else until
    wanted = views.Filter(source=source, type=type_, account=account)
    with reading(os.environ) as db:
        check_source(db, source)
        taken = views.take_stats(db, wanted, since=until - DAY_S if since is None else since, until=until)
    if as_json:
        print_json([_view(taken)])
    else:
        print_lines(_lines(taken))


def _view(taken: "Stats") -> dict[str, Any]:
    from ledger.views import rfc3339

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


def _lines(taken: "Stats") -> Iterator[Line]:
    yield [Part(f"{taken.events:,} events", "bold"), Part(f" from {_time(taken.since)} to {_time(taken.until)} UTC")]
    if taken.rejected:
        yield [Part(f"rejected requests: {taken.rejected:,}; hookline requests list says why", "red")]
    if not taken.events:
        return
    yield from _chart(taken)
    yield from _table("source", taken.sources)
    yield from _table("type", {f"{source} {type_}": count for (source, type_), count in taken.types.items()})
    yield from _table("state", taken.states)
    yield from _latency(taken)


def _chart(taken: "Stats") -> Iterator[Line]:
    most = max(taken.buckets)
    first = taken.since // taken.bucket_s
    busiest = (first + taken.buckets.index(most)) * taken.bucket_s
    yield []
    yield [Part(f"{_each(taken.bucket_s)}, at most {most:,}, on {_time(busiest)}")]
    yield [Part(spark(taken.buckets).rstrip(), "cyan")]


def _each(bucket_s: float) -> str:
    unit = next(unit for unit in UNITS if bucket_s >= unit and bucket_s % unit == 0)
    number = round(bucket_s / unit)
    return f"events every {f'{number} {UNITS[unit]}s' if number > 1 else UNITS[unit]}"


def _table(name: str, counts: Mapping[str, int]) -> Iterator[Line]:
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0] if name == "type" else ""))
    shown, width = ordered[:MAX_TYPES], terminal_width()
    chars = max((len(what) for what, _ in shown), default=0)
    yield []
    yield [Part(f"by {name}", "bold")]
    for what, count in shown:
        drawn = bar(count, ordered[0][1], chars=BAR_CHARS)
        room = width is None or 2 + chars + COUNT_CHARS + 2 + BAR_CHARS <= width
        text = Part(clean(what), cell("state", what).style if name == "state" else "")
        yield [
            Part("  "),
            text,
            Part(" " * (chars - len(what))),
            Part(f"{count:>{COUNT_CHARS},}"),
            *([Part("  "), Part(drawn, "dim")] if room else []),
        ]
    if len(ordered) > len(shown):
        rest = sum(count for _, count in ordered[MAX_TYPES:])
        yield [Part(f"  and {len(ordered) - len(shown)} more with {rest:,}: --json shows all")]


def _latency(taken: "Stats") -> Iterator[Line]:
    if taken.latency is None:
        return
    figures = [f"p{share * 100:.0f} {_seconds(took)}" for share, took in taken.latency.percentiles.items()]
    yield []
    yield [Part("from receipt until handled", "bold"), Part(f" (deliveries done: {taken.latency.count:,})")]
    yield [Part(f"  {', '.join(figures)}, longest {_seconds(taken.latency.longest_s)}")]


def _seconds(took: float) -> str:
    if took < 1:
        return f"{took * 1_000:.0f} ms"
    return f"{took:.1f} s" if took < MINUTE_S else f"{took / MINUTE_S:,.0f} min"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
