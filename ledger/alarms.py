"""Alarms: what is wrong with Hookline or with a source, from when to when, as it was told.

Any number of sweepers look at once. Each change of an alarm names the episode and step that it was decided on, so of
two who saw the same, one changes it and tells it, and the other one finds that it was changed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select, update

from ledger.store import Transaction, insert_or_ignore
from ledger.tables import alarms


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One thing that may be wrong.

    Attributes:
        name: `dead_deliveries`, `silence/stripe`.
        is_open: it is wrong now.
        episode: how often it began to be; each has one message.
        step: how often it was changed in this episode.
        told_at: when that was the last time (Unix seconds).
        facts: what its message says; JSON.

    """

    name: str
    is_open: bool
    episode: int
    step: int
    told_at: float
    facts: Mapping[str, Any]


def read_all(db: Connection) -> dict[str, Alarm]:
    """Give all alarms by name, also those that are over."""
    return {row.name: _alarm(row) for row in db.execute(select(alarms))}


def read_one(db: Connection | Transaction, name: str) -> Alarm | None:
    """Give one alarm, if it was ever raised."""
    row = db.execute(select(alarms).where(alarms.c.name == name)).first()
    return None if row is None else _alarm(row)


def change(db: Connection, before: Alarm | None, after: Alarm) -> bool:
    """Change an alarm from what it was when it was looked at. Say whether nobody else had changed it."""
    row = {
        "open": after.is_open,
        "episode": after.episode,
        "step": after.step,
        "told_at": after.told_at,
        "text": json.dumps(after.facts),
    }
    if before is None:
        added = insert_or_ignore(db, alarms, alarms.c.name)
        return db.execute(added, {"name": after.name, **row}).first() is not None
    same = (alarms.c.name == before.name, alarms.c.episode == before.episode, alarms.c.step == before.step)
    changed = update(alarms).where(*same).values(row).returning(alarms.c.name)
    return db.execute(changed).first() is not None


def _alarm(row: Row[Any]) -> Alarm:
    return Alarm(
        name=row.name,
        is_open=row.open,
        episode=row.episode,
        step=row.step,
        told_at=row.told_at,
        facts=json.loads(row.text),
    )
