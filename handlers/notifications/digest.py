"""The digest: a day's money by currency against the day before, the cases that are open, and whether that is all.

Its figures are gathered once, when it is due, and kept as the payload of an event of our own.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from handlers.payments.summary import Money, Sum, Summary, summaries
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

IDLE = "of kinds that nothing is done with"

LABELS = {
    "taken": "Taken",
    "failed": "Failed",
    "refunded": "Refunded",
    "disputed": "Disputed",
    "paid_out": "Paid out",
}

NOUNS = {
    "taken": "payment",
    "failed": "payment",
    "refunded": "refund",
    "disputed": "dispute",
    "paid_out": "payout",
}

OPEN_NAMES: Mapping[str, str] = {"refund": "failed refunds"}
# Of what is open another name is true than of all.

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
    that_day = {each.account: each for each in summaries(db, since=begin, until=end)}
    begin_before = midnight(day - timedelta(days=1), zone)
    day_before = {each.account: each for each in summaries(db, since=begin_before, until=begin)}
    return {
        "day": day.isoformat(),
        "zone": zone.key,
        "late_s": int(now - due_at),
        "money": list(_money(that_day, day_before)),
        "failed_for": _failed_for(that_day.values()),
        "cases": list(_open_cases(db, now)),
        "events": asdict(tally(db, since=begin, until=end)),
    }


def midnight(day: date, zone: ZoneInfo) -> float:
    """Give the moment at which a day begins (Unix seconds); where clocks skip midnight, the moment they do."""
    return datetime.combine(day, time(0), zone).timestamp()


Days = Mapping[str | None, Summary]
# One day of each account; None is our own.


def _money(that_day: Days, day_before: Days) -> Iterator[dict[str, Any]]:
    """Give each account's money for itself, our own first: what two accounts have is nobody's sum."""
    moved = sorted({(account or "", money.currency) for account, money in _moved(that_day, day_before)})
    for account, currency in moved:
        now, before = that_day.get(account or None), day_before.get(account or None)
        yield {
            "account": account or None,
            "currency": currency,
            "sums": _sums(now.of(currency) if now else Money(currency=currency)),
            "before": _sums(before.of(currency) if before else Money(currency=currency)),
        }


def _moved(*days: Days) -> Iterator[tuple[str | None, Money]]:
    for day in days:
        for account, summary in day.items():
            yield from ((account, money) for money in summary.by_currency)


def _failed_for(summaries_: Iterable[Summary]) -> list[list[Any]]:
    """Rank the reasons of all accounts: they are counted, and no sums of money."""
    counts: Counter[str] = Counter()
    for each in summaries_:
        counts.update({code.code: code.count for code in each.failure_codes})
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [[code, count] for code, count in ranked[:MOST_REASONS]]


def _sums(money: Money) -> dict[str, dict[str, int]]:
    return {name: asdict(getattr(money, name)) for name in LABELS}


def _open_cases(db: Connection, now: float) -> Iterator[dict[str, Any]]:
    columns = (cases.c.account, cases.c.kind, cases.c.amount, cases.c.currency, cases.c.opened_at, cases.c.due_by)
    real = cases.c.livemode.is_distinct_from(False)  # noqa: FBT003  # SQL's false
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for account, kind, amount, currency, opened_at, due_by in db.execute(select(*columns).where(OPEN, real)):
        fresh = {"day": 0, "week": 0, "older": 0, "oldest_s": 0, "due_soon": 0, "sums": {}}
        about = found.setdefault((account, kind), {"account": account or None, "kind": kind, **fresh})
        age_s = max(0, int(now - opened_at))
        about["day" if age_s < DAY_S else "week" if age_s < WEEK_S else "older"] += 1
        about["oldest_s"] = max(about["oldest_s"], age_s)
        about["due_soon"] += int(due_by is not None and due_by - now < DUE_SOON_S)
        if amount is not None and currency:
            about["sums"][currency] = about["sums"].get(currency, 0) + amount
    yield from (found[each] for each in sorted(found))


def message(facts: Facts, event: Event | None) -> dict[str, Any]:
    """Write the digest; None: nobody has entered it, and it is only shown."""
    day = date.fromisoformat(facts["day"])
    title = f"{format_date(day, 'EEEE, d MMMM y', locale='en')} in figures"
    currencies = facts["money"]
    laid_out: list[Block] = [blocks.header(title)]
    several = len({each.get("account") for each in currencies}) > 1
    laid_out += [_currency(each, several=several) for each in currencies[:MOST_CURRENCIES]]
    if not currencies:
        laid_out.append(blocks.mrkdwn_section("No money moved on that day, nor on the day before."))
    if len(currencies) > MOST_CURRENCIES:
        more = len(currencies) - MOST_CURRENCIES
        what = "accounts and currencies" if several else "currencies"
        laid_out.append(blocks.context(f"{more} more {what}: hookline payments summary"))
    if facts["failed_for"]:
        laid_out.append(blocks.mrkdwn_section(f"*Failed mostly for*\n{_reasons(facts['failed_for'])}"))
    laid_out.append(blocks.mrkdwn_section("\n".join(["*Open cases*", *_case_lines(facts["cases"])])))
    laid_out.append(blocks.mrkdwn_section(f"*Completeness*\n{_completeness(facts['events'])}"))
    laid_out.append(blocks.context(*_small_print(facts, event)))
    return {"text": " | ".join([title, *_in_short(currencies), _completeness(facts["events"])]), "blocks": laid_out}


def _currency(about: Facts, *, several: bool) -> Block:
    code, sums, before = about["currency"], about["sums"], about["before"]
    fields = [
        blocks.mrkdwn_text(f"*{label}*\n{_compared(Sum(**sums[name]), Sum(**before[name]), code, name)}")
        for name, label in LABELS.items()
        if sums[name]["count"] or before[name]["count"]
    ]
    whose = _whose(about, several=several)
    title = f"*{mrkdwn(code.upper())}{f' · {mrkdwn(whose)}' if whose else ''}*"
    return {"fields": fields, "text": blocks.mrkdwn_text(title), "type": "section"}


def _whose(about: Facts, *, several: bool) -> str | None:
    """Name the account, where it is not our own or not alone."""
    account: str | None = about.get("account")
    return account or ("our own account" if several else None)


def _sum(of: Sum, code: str, name: str) -> str:
    """Write a sum and of how many: `$120.00 in 3 payments`."""
    one = NOUNS[name]
    return f"{display(of.amount, code)} in {of.count:,} {one}{'' if of.count == 1 else 's'}"


def _compared(now: Sum, before: Sum, code: str, name: str) -> str:
    """Write a sum, and what it was the day before: `$120.00 in 3 payments`, `+20 % from $100.00`."""
    told = _sum(now, code, name) if now.count else "nothing"
    if not before.count:
        return f"{told}\nday before: nothing"
    change = f"{_percent(now.amount, before.amount)} from " if now.count and before.amount > 0 else "day before: "
    return f"{told}\n{change}{display(before.amount, code)}"


def _percent(now: int, before: int) -> str:
    percent = round(100 * (now - before) / before)
    return f"{'+' if percent > 0 else '±' if percent == 0 else '−'}{abs(percent):,} %"  # noqa: RUF001  # a minus sign


def _reasons(counts: Sequence[Sequence[Any]]) -> str:
    return "; ".join(f"{mrkdwn(reasons.in_words(code, reasons.DECLINES))} ({count:,})" for code, count in counts)


def _case_lines(kinds: Sequence[Facts]) -> Iterator[str]:
    if not kinds:
        yield "None."
    several = len({about.get("account") for about in kinds}) > 1
    for about in kinds[:MOST_KINDS]:
        ages = {"from today": about["day"], "this week": about["week"], "older": about["older"]}
        count = sum(ages.values())
        parts = ", ".join(f"{number:,} {words}" for words, number in ages.items() if number)
        money = " and ".join(display(amount, currency) for currency, amount in sorted(about["sums"].items())[:3])
        name = (OPEN_NAMES.get(about["kind"]) or NAMES.get(about["kind"], about["kind"])).capitalize()
        whose = _whose(about, several=several)
        name = f"{name} of {mrkdwn(whose)}" if whose else name
        line = f"• {name}: {count:,}{f' ({money})' if money else ''}: {parts}; oldest {in_words(about['oldest_s'])}"
        yield f"{line}; *{about['due_soon']:,} due within 48 h*" if about["due_soon"] else line
    if len(kinds) > MOST_KINDS:
        yield f"• {len(kinds) - MOST_KINDS:,} more lines like these"


def _completeness(about: Facts) -> str:
    parts = {
        "received": about["received"],
        "handled": about["handled"],
        IDLE: about["unhandled"],
        "waiting": about["waiting"],
        "dead": about["dead"],
    }
    line = "Events: " + ", ".join(f"{count:,} {words}" for words, count in parts.items() if count or words != IDLE)
    if about["waiting"] or about["dead"]:
        return f"{line}. Not complete: the figures above may change."
    return f"{line}. Nothing is missing."


def _in_short(currencies: Sequence[Facts]) -> list[str]:
    several = len({each.get("account") for each in currencies}) > 1
    told = []
    for each in currencies[:MOST_CURRENCIES]:
        taken, whose = each["sums"]["taken"], _whose(each, several=several)
        by = f" ({mrkdwn(whose)})" if whose else ""
        told.append(f"Taken: {_sum(Sum(**taken), each['currency'], 'taken')}{by}")
    return told


def _small_print(facts: Facts, event: Event | None) -> Iterator[str]:
    which = "" if event is None else f" · Hookline event {event.id}"
    yield f"0:00 to 24:00, {facts['zone']}, by Stripe's clock, without test money{which}"
    if facts["late_s"] > LATE_AFTER_S:
        yield f"{in_words(facts['late_s'])} late: Hookline was not running when it was due."
