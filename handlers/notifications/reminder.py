"""The reminder that comes when a snooze is over: written when it is sent, for by then the case may have healed."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, select, update

from handlers.context import Context
from handlers.notifications import blocks
from handlers.notifications.cases import OPEN, thread_key
from handlers.notifications.face import without_snooze
from handlers.notifications.harmless import mrkdwn
from ledger.effects import Effect, change_message, read_message, write_message
from ledger.event import Event
from ledger.tables import cases, effects

REMINDER = "reminder"


def plan_reminder(event: Event, ctx: Context, row: Mapping[str, Any], until: float) -> None:
    """Plan a line in a case's thread that the channel sees as well, for when its snooze is over (Unix seconds)."""
    rule = ctx.rules.by_kind[row["kind"]]
    ctx.plan(
        event,
        key=thread_key(row["key"], f"{REMINDER}/{int(until)}"),
        parent=row["key"],
        channel=row["channel"],
        message={"text": "", "blocks": [], "broadcast": True, "mention": rule.mention, REMINDER: until},
        held_until=ctx.rules.due_at(rule, until),
    )


def render_reminder(db: Connection, effect: Effect) -> Effect | None:
    """Write a reminder as it must read now; None when there is nothing to remind of any more.

    The case's own message says no more that it is snoozed.
    """
    row = db.execute(select(cases).where(cases.c.key == effect.parent)).first()
    if row is None or row.state != OPEN or row.snoozed_until != effect.message[REMINDER]:
        return None
    _wake(db, row.key, effect.message[REMINDER])
    call = f"{effect.message['mention']} " if effect.message["mention"] else ""
    text = f"{call}The snooze is over, and this is still open: {mrkdwn(row.title)}; {mrkdwn(row.status)}"
    message = {**effect.message, "text": text, "blocks": [blocks.mrkdwn_section(text)]}
    written = write_message(message, for_us_only=True)
    db.execute(update(effects).where(effects.c.id == effect.id).values(message=written))
    return replace(effect, message=message)


def _wake(db: Connection, key: str, now: float) -> None:
    told = db.execute(select(effects.c.message).where(effects.c.key == key)).scalar()
    if told is None:
        return
    message = read_message(told)
    change_message(db, key, {**message, "blocks": without_snooze(message["blocks"])}, now=now)
