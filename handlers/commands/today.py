"""`/hookline payments today`: what the book says of the day so far, by currency, real money and test apart."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, func, select

from handlers.commands.asker import Asker
from handlers.notifications.reasons import DECLINES, in_words
from handlers.payments.money import listed
from handlers.payments.sums import sums
from handlers.payments.tables import disputes, payments, refunds

NO_REFUND = ("failed", "canceled")


@dataclass(frozen=True, slots=True)
class _Question:
    """One line of the answer."""

    label: str
    table: Table
    amount: str
    conditions: tuple[ColumnElement[bool], ...]


FAILED = (payments.c.status == "requires_payment_method", payments.c.failure_code.is_not(None))

QUESTIONS = (
    _Question("Taken", payments, "amount_received", (payments.c.status == "succeeded",)),
    _Question("Failed", payments, "amount", FAILED),
    _Question("Refunded", refunds, "amount", (func.coalesce(refunds.c.status, "").not_in(NO_REFUND),)),
    _Question("Disputed", disputes, "amount", ()),
)


def sum_up_today(db: Connection, asker: Asker) -> str:
    """Sum up what has its latest event today: an object counts once, where it stands now."""
    began = asker.today
    zone = asker.zone.key
    live, test = (_lines(db, began.timestamp(), livemode=mode) for mode in (True, False))
    lines = [f"*{began:%A, %d %B}* so far ({zone})", *(live or ["Nothing yet."])]
    if test:
        lines += ["*TEST mode: no real money*", *test]
    return "\n".join(lines)


def _lines(db: Connection, since: float, *, livemode: bool) -> list[str]:
    lines = [line for each in QUESTIONS if (line := _line(db, each, since, livemode=livemode)) is not None]
    reason = _top_reason(db, since, livemode=livemode)
    return [*lines, reason] if reason is not None else lines


def _line(db: Connection, question: _Question, since: float, *, livemode: bool) -> str | None:
    table = question.table
    mine = (*_today(table, since, livemode=livemode), *question.conditions)
    count: int = db.execute(select(func.count()).select_from(table).where(*mine)).scalar_one()
    if not count:
        return None
    money = sums(db, table.c[question.amount], table.c.currency, *mine)
    return f"{question.label}: {count:,} · {listed(money)}"


def _top_reason(db: Connection, since: float, *, livemode: bool) -> str | None:
    count = func.count()
    failed = select(payments.c.failure_code, count).where(*_today(payments, since, livemode=livemode), *FAILED)
    by_reason = failed.group_by(payments.c.failure_code).order_by(count.desc(), payments.c.failure_code)
    top = db.execute(by_reason.limit(1)).first()
    return None if top is None else f"Most failed for: {in_words(top[0], DECLINES)} ({top[1]:,})"


def _today(table: Table, since: float, *, livemode: bool) -> tuple[Any, ...]:
    return (table.c.livemode == livemode, table.c.version_created >= int(since))
