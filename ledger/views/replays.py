"""Replays: who ran what again, when and why, and what became of it."""

import json

from ledger.question import Asked, Clause, Row, all_of, each, first, rows, up_to
from ledger.shown import View, rfc3339

STARTED, LEFT_ALONE = "started", "left_alone"
# What became of an item.

MAX_ID = 2**63 - 1
# As far as a database can count.

_SHOWN = "id, created_at, who, reason, items, cursor, again, finished_at, chosen"


def list_replays(db: Asked, *, limit: int, before: int | None = None) -> list[View]:
    """List replays, newest first; those before an id, if one is given."""
    its, most = all_of([] if before is None else [Clause("id < :before", {"before": before})]), up_to(limit)
    text = f"SELECT {_SHOWN} FROM replays WHERE {its.text} ORDER BY id DESC {most.text}"
    return [_view(row) for row in rows(db, text, {**its.values, **most.values})]


def get_replay(db: Asked, replay_id: int) -> View | None:
    """Give one replay, with what became of its items."""
    its = f"SELECT {_SHOWN} FROM replays WHERE id = :id"
    row = first(db, its, {"id": replay_id}) if replay_id <= MAX_ID else None
    if row is None:
        return None
    counts = _counts(db, _OUTCOMES, replay_id)
    return _view(row) | {
        "started": counts.get(STARTED, 0),
        "left_alone": counts.get(LEFT_ALONE, 0),
        "deliveries": dict(sorted(_counts(db, _STANDING, replay_id).items())),
    }


_OUTCOMES = "SELECT coalesce(outcome, ''), count(*) FROM replay_items WHERE replay_id = :id GROUP BY outcome"
_STANDING = f"""
    SELECT deliveries.state, count(*) FROM deliveries JOIN replay_items ON replay_items.delivery_id = deliveries.id
    WHERE replay_items.replay_id = :id AND replay_items.outcome = '{STARTED}' GROUP BY deliveries.state
"""


def _counts(db: Asked, text: str, replay_id: int) -> dict[str, int]:
    return {row[0]: row[1] for row in each(db, text, {"id": replay_id})}


def _view(row: Row) -> View:
    return {
        "id": row["id"],
        "created_at": rfc3339(row["created_at"]),
        "who": row["who"],
        "reason": row["reason"],
        "state": "unfinished" if row["finished_at"] is None else "done",
        "items": row["items"],
        "cursor": row["cursor"],
        "again": bool(row["again"]),
        "finished_at": rfc3339(row["finished_at"]),
        "chosen": json.loads(row["chosen"]),
    }
