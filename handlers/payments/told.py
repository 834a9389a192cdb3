"""How an object came where it is: what each event changed, worked out from what `handlers.payments.history` notes."""

import json
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from typing import Any

from handlers.payments.merge import LASTING
from handlers.payments.version import Version, contradict
from ledger.question import Asked, Row, rows
from ledger.shown import rfc3339

GROWING = frozenset({"amount_refunded", "amount_captured", "amount_reversed", "attempt_count"})
# Of these the most that was ever said counts, in any kind.

Facts = Mapping[str, Any]


def told_of(db: Asked, *, account: str, livemode: bool, object_id: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Tell how an object came where it is: what each event changed, in the order in which it happened.

    Returns:
        One JSON object an event: `event`, `type`, `created_at`, `received_at`, `late` (what happened after it was known
        already), `changes` (by fact: before, after; empty where it told nothing new). And the ids of the events that
        contradict each other about where the object stands, where nothing tells which of them came last.

    """
    whose = {"account": account, "livemode": livemode, "id": object_id}
    noted = sorted(rows(db, _NOTED, whose), key=_happened)
    facts: dict[str, Any] = {}
    greatest: Version | None = None
    told = []
    for row in noted:
        version = version_in(row)
        newer = greatest is None or version > greatest
        after = _after(facts, json.loads(row["facts"]), newer=newer)
        told.append({**_heading(row, noted), "changes": _changes(facts, after)})
        facts, greatest = after, version if newer else greatest
    return told, _contested(noted)


_NOTED = """
    SELECT event, type, standing, created, rank, received_at, facts FROM history
    WHERE account = :account AND livemode = :livemode AND object_id = :id
"""


def version_in(row: Row) -> Version:
    """Read the version of what an event said."""
    return Version(row["standing"], row["created"], row["rank"], row["event"])


def _happened(row: Row) -> tuple[int, Version]:
    return row["created"], version_in(row)


def _heading(row: Row, noted: Sequence[Row]) -> dict[str, Any]:
    return {
        "event": row["event"],
        "type": row["type"],
        "created_at": rfc3339(row["created"]),
        "received_at": rfc3339(row["received_at"]),
        "late": any(each["received_at"] < row["received_at"] and each["created"] > row["created"] for each in noted),
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


def _contested(noted: Sequence[Row]) -> list[str]:
    """Name the events that nothing but their ids puts in an order, where they contradict each other."""
    top = max((version_in(row)[:3] for row in noted), default=None)
    last = [(row["event"], json.loads(row["facts"])) for row in noted if version_in(row)[:3] == top]
    about = {name for _, said in last for name in said} - {*LASTING, *GROWING}
    return [event for event, _ in last] if _any_contradict([said for _, said in last], about) else []


def _any_contradict(all_said: Sequence[Facts], about: Collection[str]) -> bool:
    return any(contradict(one, other, about=about) for one, other in combinations(all_said, 2))
