"""The digest: a day's money by currency against the day before, the cases that are open, and whether that is all.

Its figures are gathered once, when it is due, and kept as the payload of an event of our own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date
from sqlalchemy import Connection, select

from handlers.context import Context
from handlers.notifications import blocks, reasons
from handlers.notifications.blocks import Block
from handlers.notifications.durations import DAY_S, HOUR_S, in_words
from handlers.notifications.harmless import mrkdwn
from handlers.notifications.storm import NAMES
from handlers.payments.money import display
from handlers.payments.summary import Money, Sum, Summary, summarise
from handlers.router import handler
from ledger.event import Event
from ledger.own import SOURCE
from ledger.tables import OPEN, cases
from ledger.tally import tally

TYPE = "hookline.digest"

MOST_CURRENCIES = 12
MOST_KINDS = 10
MOST_REASONS = 5

DUE_SOON_S = 48 * HOUR_S
WEEK_S = 7 * DAY_S

LATE_AFTER_S = 900

LABELS = {
    "taken": "Taken",
    "failed": "Failed",
    "refunded": "Refunded",
    "disputed": "Disputed",
    "paid_out": "Paid out",
}

Facts = Mapping[str, Any]


@handler(source=SOURCE, types=[TYPE], queue="notifications")
def digest(event: Event, ctx: Context) -> None:
    """Tell a day's figures, once."""
    ctx.plan(
        event,
        key=f"{SOURCE}/{event.external_id}",
        channel=ctx.rules.digest.channel,
        message=message(event.payload, event),
    )


def gather(db: Connection, *, day: date, zone: ZoneInfo, due_at: float, now: float) -> dict[str, Any]:
    """Gather the figures of one day on a zone's clocks, which may have 23 or 25 hours. JSON."""
    begin, end = midnight(day, zone), midnight(day + timedelta(days=1), zone)
    that_day = summarise(db, since=begin, until=end)
    day_before = summarise(db, since=midnight(day - timedelta(days=1), zone), until=begin)
    return {
        "day": day.isoformat(),
        "zone": zone.key,
        "late_s": int(now - due_at),
        "money": list(_money(that_day, day_before)),
        "failed_for": [[each.code, each.count] for each in that_day.failure_codes[:MOST_REASONS]],
        "cases": list(_open_cases(db, now)),
        "events": asdict(tally(db, since=begin, until=end)),
    }


def midnight(day: date, zone: ZoneInfo) -> float:
    """Give the moment at which a day begins (Unix seconds); where clocks skip midnight, the moment they do."""
    return datetime.combine(day, time(0), zone).timestamp()


def _money(that_day: Summary, day_before: Summary) -> Iterator[dict[str, Any]]:
    currencies = {each.currency for each in (*that_day.by_currency, *day_before.by_currency)}
    for currency in sorted(currencies):
        yield {
            "currency": currency,
            "sums": _sums(that_day.of(currency)),
            "before": _sums(day_before.of(currency)),
        }


def _sums(money: Money) -> dict[str, dict[str, int]]:
    return {name: asdict(getattr(money, name)) for name in LABELS}


def _open_cases(db: Connection, now: float) -> Iterator[dict[str, Any]]:
    columns = (cases.c.kind, cases.c.amount, cases.c.currency, cases.c.opened_at, cases.c.due_by)
    real = cases.c.livemode.is_distinct_from(False)  # noqa: FBT003  # SQL's false
    found: dict[str, dict[str, Any]] = {}
    for kind, amount, currency, opened_at, due_by in db.execute(select(*columns).where(OPEN, real)):
        fresh = {"kind": kind, "day": 0, "week": 0, "older": 0, "oldest_s": 0, "due_soon": 0, "sums": {}}
        about = found.setdefault(kind, fresh)
        age_s = max(0, int(now - opened_at))
        about["day" if age_s < DAY_S else "week" if age_s < WEEK_S else "older"] += 1
        about["oldest_s"] = max(about["oldest_s"], age_s)
        about["due_soon"] += int(due_by is not None and due_by - now < DUE_SOON_S)
        if amount is not None and currency:
            about["sums"][currency] = about["sums"].get(currency, 0) + amount
    yield from (found[kind] for kind in sorted(found))


def message(facts: Facts, event: Event | None) -> dict[str, Any]:
    """Write the digest; None: nobody has entered it, and it is only shown."""
    day = date.fromisoformat(facts["day"])
    title = f"{format_date(day, 'EEEE, d MMMM y', locale='en')} in figures"
    currencies = facts["money"]
    laid_out: list[Block] = [blocks.header(title)]
    laid_out += [_currency(each) for each in currencies[:MOST_CURRENCIES]]
    if not currencies:
        laid_out.append(blocks.mrkdwn_section("No money moved on that day, nor on the day before."))
    if len(currencies) > MOST_CURRENCIES:
        more = len(currencies) - MOST_CURRENCIES
        laid_out.append(blocks.context(f"{more} more currencies: hookline payments summary"))
    if facts["failed_for"]:
        laid_out.append(blocks.mrkdwn_section(f"*Failed mostly for*\n{_reasons(facts['failed_for'])}"))
    laid_out.append(blocks.mrkdwn_section("\n".join(["*Open cases*", *_case_lines(facts["cases"])])))
    laid_out.append(blocks.mrkdwn_section(f"*Completeness*\n{_completeness(facts['events'])}"))
    laid_out.append(blocks.context(*_small_print(facts, event)))
    return {"text": " | ".join([title, *_in_short(currencies), _completeness(facts["events"])]), "blocks": laid_out}


def _currency(about: Facts) -> Block:
    code, sums, before = about["currency"], about["sums"], about["before"]
    fields = [
        blocks.mrkdwn_text(f"*{label}*\n{_compared(Sum(**sums[name]), Sum(**before[name]), code)}")
        for name, label in LABELS.items()
        if sums[name]["count"] or before[name]["count"]
    ]
    return {"fields": fields, "text": blocks.mrkdwn_text(f"*{mrkdwn(code.upper())}*"), "type": "section"}


def _compared(now: Sum, before: Sum, code: str) -> str:
    """Write a sum, and what it was the day before: `$120.00 in 3`, `+20 % from $100.00`."""
    told = f"{display(now.amount, code)} in {now.count:,}" if now.count else "nothing"
    if not before.count:
        return f"{told}\nday before: nothing"
    change = f"{_percent(now.amount, before.amount)} from " if now.count and before.amount > 0 else "day before: "
    return f"{told}\n{change}{display(before.amount, code)}"


def _percent(now: int, before: int) -> str:
    percent = round(100 * (now - before) / before)
    return f"{'+' if percent > 0 else '±' if percent == 0 else '−'}{abs(percent):,} %"  # noqa: RUF001  # a minus sign


def _reasons(counts: Sequence[Sequence[Any]]) -> str:
    return ", ".join(f"{mrkdwn(reasons.in_words(code, reasons.DECLINES))} ({count:,})" for code, count in counts)


def _case_lines(kinds: Sequence[Facts]) -> Iterator[str]:
    if not kinds:
        yield "None."
    for about in kinds[:MOST_KINDS]:
        ages = {"from today": about["day"], "this week": about["week"], "older": about["older"]}
        count = sum(ages.values())
        parts = ", ".join(f"{number:,} {words}" for words, number in ages.items() if number)
        money = " and ".join(display(amount, currency) for currency, amount in sorted(about["sums"].items())[:3])
        name = NAMES.get(about["kind"], about["kind"]).capitalize()
        line = f"• {name}: {count:,}{f' ({money})' if money else ''}: {parts}; oldest {in_words(about['oldest_s'])}"
        yield f"{line}; *{about['due_soon']:,} due within 48 h*" if about["due_soon"] else line


def _completeness(about: Facts) -> str:
    parts = {
        "received": about["received"],
        "handled": about["handled"],
        "wanted by no handler": about["unhandled"],
        "waiting": about["waiting"],
        "dead": about["dead"],
    }
    line = "Events: " + ", ".join(
        f"{count:,} {words}" for words, count in parts.items() if count or words != "wanted by no handler"
    )
    if about["waiting"] or about["dead"]:
        return f"{line}. Not complete: the figures above may change."
    return f"{line}. Nothing is missing."


def _in_short(currencies: Sequence[Facts]) -> list[str]:
    taken = {each["currency"]: each["sums"]["taken"] for each in currencies[:MOST_CURRENCIES]}
    return [f"Taken: {display(each['amount'], code)} in {each['count']:,}" for code, each in taken.items()]


def _small_print(facts: Facts, event: Event | None) -> Iterator[str]:
    which = "" if event is None else f" · Hookline event {event.id}"
    yield f"0:00 to 24:00, {facts['zone']}, by Stripe's clock, without test money{which}"
    if facts["late_s"] > LATE_AFTER_S:
        yield f"{in_words(facts['late_s'])} late: Hookline was not running when it was due."
