"""`/hookline payments today`: what the book says of the day so far, by currency, real money and test apart."""

from collections.abc import Iterator, Mapping

from sqlalchemy import Connection

from handlers.commands.asker import Asker
from handlers.notifications.harmless import mrkdwn
from handlers.notifications.reasons import DECLINES, in_words
from handlers.payments.money import listed
from handlers.payments.summary import Sum, Summary, summaries

MOST_ACCOUNTS = 10

LABELS: Mapping[str, str] = {
    "taken": "Taken",
    "failed": "Failed",
    "refunded": "Refunded",
    "disputed": "Disputed",
    "paid_out": "Paid out",
}


def sum_up_today(db: Connection, asker: Asker) -> str:
    """Sum up the day so far, as `hookline payments summary` and the digest do."""
    began = asker.today
    live, test = (
        [line for each in _told(db, began.timestamp(), asker.now, livemode=livemode) for line in each]
        for livemode in (True, False)
    )
    lines = [f"*{began:%A, %d %B}* from 0:00 on ({asker.zone.key})", *(live or ["Nothing yet."])]
    if test:
        lines += ["*TEST mode: no real money*", *test]
    return "\n".join(lines)


def _told(db: Connection, since: float, until: float, *, livemode: bool) -> Iterator[list[str]]:
    """Sum up each account for itself, and name them where there are several."""
    found = summaries(db, since=since, until=until, livemode=livemode)
    told = [(each.account, list(_lines(each))) for each in found]
    told = [(account, lines) for account, lines in told if lines]
    for account, lines in told[:MOST_ACCOUNTS]:
        named = account is not None or len(told) > 1
        yield [*([f"_{mrkdwn(account) if account else 'Our own account'}_"] if named else []), *lines]
    if len(told) > MOST_ACCOUNTS:
        yield [f"{len(told) - MOST_ACCOUNTS:,} more accounts: hookline payments summary"]


def _lines(day: Summary) -> Iterator[str]:
    for name, label in LABELS.items():
        by_currency: dict[str, Sum] = {each.currency: getattr(each, name) for each in day.by_currency}
        amounts = {currency: each.amount for currency, each in by_currency.items() if each.count}
        if amounts:
            yield f"{label}: {sum(each.count for each in by_currency.values()):,} · {listed(amounts)}"
    if day.failure_codes:
        top = day.failure_codes[0]
        yield f"Most failed for: {in_words(top.code, DECLINES)} ({top.count:,})"
