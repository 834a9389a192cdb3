"""`/hookline disputes`: the open ones, the most urgent first."""

from typing import Any

from sqlalchemy import Connection, Row, func, select

from handlers.commands.asker import Asker
from handlers.notifications.alert import titled
from handlers.notifications.harmless import mrkdwn
from handlers.notifications.times import in_utc
from handlers.payments.money import listed
from handlers.payments.sums import sums
from ledger.tables import OPEN, cases

SHOWN = 10


def list_disputes(db: Connection, _asker: Asker) -> str:
    """List open disputes by their deadline, with what they add up to."""
    mine: tuple[Any, ...] = (OPEN, cases.c.kind == "dispute")
    count: int = db.execute(select(func.count()).select_from(cases).where(*mine)).scalar_one()
    if not count:
        return "No dispute is open."
    soonest = (cases.c.due_by.is_(None), cases.c.due_by, cases.c.opened_at, cases.c.key)
    rows = db.execute(select(cases).where(*mine).order_by(*soonest).limit(SHOWN)).all()
    real = sums(db, cases.c.amount, cases.c.currency, *mine, cases.c.livemode.is_not(False))
    amount = f", {listed(real)}" if real else ""
    more = [f"and {count - len(rows):,} more"] if count > len(rows) else []
    return "\n".join([f"*{count:,} open dispute{'' if count == 1 else 's'}{amount}*", *map(_line, rows), *more])


def _line(row: Row[Any]) -> str:
    due = in_utc(int(row.due_by)) if row.due_by is not None else None
    parts = [mrkdwn(titled(row.title, livemode=row.livemode)), f"until {due}" if due else mrkdwn(row.status)]
    if row.acknowledged_by:
        parts.append(f"<@{row.acknowledged_by}> has it in hand")
    return "• " + " · ".join(parts)
