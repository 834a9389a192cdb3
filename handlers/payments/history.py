"""What every event said of every object, so that each change is known with the event that caused it.

Kept for as long as the book, whether or not the events themselves are still there. What an event changed is worked out
where it is shown: from what it said and what was said before it, in the order of the book and not that of arrival.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations, takewhile
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, select

from handlers.payments.merge import LASTING
from handlers.payments.tables import history
from handlers.payments.version import Version, contradict
from ledger.event import Event
from ledger.gathered import Kind
from ledger.rows import InsertMany
from ledger.shown import rfc3339
from ledger.store import Transaction

GROWING = frozenset({"amount_refunded", "amount_captured", "amount_reversed", "attempt_count"})
# Of these the most that was ever said counts, in any kind.

Facts = Mapping[str, Any]

_NOTE = InsertMany(history, ignore_known=True)


def _write_notes(db: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    _NOTE.write(db, rows)


_NOTES = Kind(_write_notes, history)


def note(db: Transaction, event: Event, *, kind: str, object_id: str, version: Version, facts: Facts) -> None:
    """Note what an event says of an object; saying it again changes nothing."""
    db.leave(
        _NOTES,
        {
            "account": event.account or "",
            "livemode": event.livemode,
            "object_id": object_id,
            "event": version.event,
            "kind": kind,
            "type": event.type,
            "standing": version.standing,
            "created": version.created,
            "rank": version.rank,
            "received_at": event.received_at,
            "facts": json.dumps({name: value for name, value in facts.items() if value is not None}),
        },
    )


def began_at(db: Transaction, whose: Mapping[str, Any], state: str) -> int | None:
    """Say since when an object is in its state, in Unix seconds; it may have been there before."""
    # Sorted here: a database may sort words by the rules of some language, and the book does not.
    rows = sorted(db.execute(_ALL, whose).mappings(), key=_version, reverse=True)
    run = takewhile(lambda row: json.loads(row["facts"])["state"] == state, rows)
    at: int | None = min((row["created"] for row in run), default=None)
    return at


_ALL = select(history).where(
    history.c.account == bindparam("account"),
    history.c.livemode == bindparam("livemode"),
    history.c.object_id == bindparam("id"),
)


def told_of(db: Connection, *, account: str, livemode: bool, object_id: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Tell how an object came where it is: what each event changed, in the order in which it happened.

    Returns:
        One JSON object an event: `event`, `type`, `created_at`, `received_at`, `late` (what happened after it was known
        already), `changes` (by fact: before, after; empty where it told nothing new). And the ids of the events that
        contradict each other about where the object stands, where nothing tells which of them came last.

    """
    whose = {"account": account, "livemode": livemode, "id": object_id}
    rows = sorted(db.execute(_ALL, whose).mappings(), key=_happened)
    facts: dict[str, Any] = {}
    greatest: Version | None = None
    told = []
    for row in rows:
        version = _version(row)
        newer = greatest is None or version > greatest
        after = _after(facts, json.loads(row["facts"]), newer=newer)
        told.append({**_heading(row, rows), "changes": _changes(facts, after)})
        facts, greatest = after, version if newer else greatest
    return told, _contested(rows)


def _version(row: RowMapping) -> Version:
    return Version(row["standing"], row["created"], row["rank"], row["event"])


def _happened(row: RowMapping) -> tuple[int, Version]:
    return row["created"], _version(row)


def _heading(row: RowMapping, rows: Sequence[RowMapping]) -> dict[str, Any]:
    return {
        "event": row["event"],
        "type": row["type"],
        "created_at": rfc3339(row["created"]),
        "received_at": rfc3339(row["received_at"]),
        "late": any(each["received_at"] < row["received_at"] and each["created"] > row["created"] for each in rows),
    }


def _after(known: Facts, said: Facts, *, newer: bool) -> dict[str, Any]:
    lasting = {name: value for name, value in known.items() if name in LASTING}
    grown = {name: max(known[name], said[name]) for name in GROWING if name in known and name in said}
    first = {name: said[name] for name in (*LASTING, *GROWING) if name in said and name not in known}
    kept = {name: value for name, value in known.items() if name in GROWING}
    return {**lasting, **kept, **said, **grown} if newer else {**known, **first, **grown}


def _changes(before: Facts, after: Facts) -> dict[str, list[Any]]:
    names = sorted({*before, *after} - {"kind"})
    return {name: [before.get(name), after.get(name)] for name in names if before.get(name) != after.get(name)}


def _contested(rows: Sequence[RowMapping]) -> list[str]:
    """Name the events that nothing but their ids puts in an order, where they contradict each other."""
    top = max((_version(row)[:3] for row in rows), default=None)
    last = [(row["event"], json.loads(row["facts"])) for row in rows if _version(row)[:3] == top]
    about = {name for _, said in last for name in said} - {*LASTING, *GROWING}
    return [event for event, _ in last] if _any_contradict([said for _, said in last], about) else []


def _any_contradict(all_said: Sequence[Facts], about: Collection[str]) -> bool:
    return any(contradict(one, other, about=about) for one, other in combinations(all_said, 2))
