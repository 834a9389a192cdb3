"""`/hookline payments today`: what the book says of the day so far, by currency, real money and test apart."""

from collections.abc import Iterator

from sqlalchemy import Connection

from handlers.commands.asker import Asker
from handlers.notifications.reasons import DECLINES, in_words
from handlers.payments.money import listed
from handlers.payments.summary import Sum, Summary, summarise

DAY_S = 86_400

LABELS = {"taken": "Taken", "failed": "Failed", "refunded": "Refunded", "disputed": "Disputed"}


def sum_up_today(db: Connection, asker: Asker) -> str:
    """Sum up the day so far, as `hookline payments summary` and the digest do."""
    began = asker.today
    zone = asker.zone.key
    live, test = (_lines(_summary(db, asker, livemode=mode)) for mode in (True, False))
    lines = [f"*{began:%A, %d %B}* so far ({zone})", *(live or ["Nothing yet."])]
    if test:
        lines += ["*TEST mode: no real money*", *test]
    return "\n".join(lines)


def _summary(db: Connection, asker: Asker, *, livemode: bool) -> Summary:
    # Stripe's clock may be ahead of ours.
    return summarise(db, since=asker.today.timestamp(), until=asker.now + DAY_S, livemode=livemode)


def _lines(today: Summary) -> list[str]:
    lines = [f"{label}: {count:,} · {listed(sums)}" for label, count, sums in _sums(today)]
    if today.failure_codes:
        top = today.failure_codes[0]
        lines.append(f"Most failed for: {in_words(top.code, DECLINES)} ({top.count:,})")
    return lines


def _sums(today: Summary) -> Iterator[tuple[str, int, dict[str, int]]]:
    for name, label in LABELS.items():
        of: dict[str, Sum] = {each.currency: getattr(each, name) for each in today.by_currency}
        sums = {currency: its.amount for currency, its in of.items() if its.count}
        if sums:
            yield label, sum(its.count for its in of.values()), sums
