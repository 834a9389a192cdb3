"""`hookline stats`: how much came in, of what, what became of it and how long that took."""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from cli.chart import bar, spark
from cli.known import check_source
from cli.ledger_door import looking
from cli.moment import check_window
from cli.options import Account, Json, Since, Source, Type, Until
from cli.remote.api import ask, is_remote
from cli.show import Line, Part, View, cell, clean, print_json, print_lines, terminal_width
from ledger.schedule import DAY_S, HOUR_S, MINUTE_S

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
    from ledger.views import Filter
    from ledger.views.stats import stats_view, take_stats

    check_window(since, until)
    end = time.time() if until is None else until
    begin = end - DAY_S if since is None else since
    wanted = Filter(source=source, type=type_, account=account)
    if is_remote(os.environ):
        from cli.remote.hands import fields

        taken = ask(os.environ, "/stats", **fields(replace(wanted, since=since, until=until)))
    else:
        with looking(os.environ) as db:
            check_source(db, source)
            taken = stats_view(take_stats(db, wanted, since=begin, until=end))
    if as_json:
        print_json([taken])
    else:
        print_lines(_lines(taken))


def _lines(taken: View) -> Iterator[Line]:
    span = f"from {_time(taken['since'])} to {_time(taken['until'])} UTC"
    yield [Part(f"{taken['events']:,} events", "bold"), Part(f" {span}")]
    if taken["rejected"]:
        yield [Part(f"rejected requests: {taken['rejected']:,}; hookline requests list says why", "red")]
    if not taken["events"]:
        return
    yield from _chart(taken)
    yield from _table("source", taken["by_source"])
    yield from _table("type", {f"{each['source']} {each['type']}": each["events"] for each in taken["by_type"]})
    yield from _table("state", taken["by_state"])
    yield from _latency(taken["latency_s"])


def _chart(taken: View) -> Iterator[Line]:
    busiest = max(taken["buckets"], key=lambda each: int(each["events"]))
    yield []
    yield [Part(f"{_each(taken['bucket_s'])}, at most {busiest['events']:,}, on {_time(busiest['at'])}")]
    yield [Part(spark([each["events"] for each in taken["buckets"]]).rstrip(), "cyan")]


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


def _latency(latency: View | None) -> Iterator[Line]:
    if latency is None:
        return
    figures = [f"{name} {_seconds(took)}" for name, took in latency.items() if name != "deliveries"]
    yield []
    yield [Part("from receipt until handled", "bold"), Part(f" (deliveries done: {latency['deliveries']:,})")]
    yield [Part(f"  {', '.join(figures)}")]


def _seconds(took: float) -> str:
    if took < 1:
        return f"{took * 1_000:.0f} ms"
    return f"{took:.1f} s" if took < MINUTE_S else f"{took / MINUTE_S:,.0f} min"


def _time(at: str) -> str:
    return datetime.fromisoformat(at).strftime("%Y-%m-%d %H:%M")
