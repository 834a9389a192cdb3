"""One event, found by any of its names, and everything that is known of it."""

import json
from collections.abc import Collection, Mapping

from ledger.errors import SeveralEvents
from ledger.event import EffectState
from ledger.question import Asked, Clause, all_of, among, column, each, first, rows, up_to, value
from ledger.shown import View, rfc3339
from ledger.views.body import sizes_of
from ledger.views.deliveries import deliveries_of
from ledger.views.events import EVENT_STATE
from ledger.views.view import event_view

MIN_PREFIX_CHARS = 5
# With less, a number that is no id of ours would be how some other provider's id begins.
MAX_NAMED = 5
LAST_CHARACTER = chr(0x10FFFF)


def get_event(db: Asked, event_id: int) -> View | None:
    """Give everything that is known of one event but its body."""
    row = first(db, _EVENT, {"id": event_id})
    if row is None:
        return None
    owed = deliveries_of(db, [event_id])[event_id]
    for view in owed:
        view["history"] = _attempts_of(db, view["id"])
        view["dismissals"] = _dismissals_of(db, view["id"])
    return event_view(row, owed, state=row["state"]) | {
        "content_type": row["content_type"],
        "headers": json.loads(row["headers"]),
        "body_size": row["body_size"] or sizes_of(db, [event_id]).get(event_id, 0),
        "body_sha256": row["body_sha256"],
        "secret_position": row["secret_position"],
        "effects": _effects_of(db, event_id),
    }


_EVENT = f"""
    SELECT id, source, external_id, type, received_at, account, livemode, flaw, payload_pruned_at, content_type,
           headers, length(body) AS body_size, body_sha256, secret_position, {EVENT_STATE} AS state
    FROM events WHERE id = :id
"""


def find_event(db: Asked, address: str) -> int | None:
    """Find an event by our id, by its external id (the newest, if a provider used one twice) or by how that begins.

    Raises:
        SeveralEvents: several external ids begin like this.

    """
    if (event_id := read_id(address)) is not None:
        found: int | None = value(db, "SELECT id FROM events WHERE id = :id", {"id": event_id})
        if found is not None:
            return found
    newest = "SELECT max(id) FROM events WHERE external_id = :external_id"
    newest_id: int | None = value(db, newest, {"external_id": address})
    return newest_id if newest_id is not None else _find_by_prefix(db, address)


def find_events(db: Asked, addresses: Collection[str]) -> dict[str, int | None]:
    """Find many events at once, each as `find_event` would; None: there is none. Raises as it does."""
    found: dict[str, int | None] = dict.fromkeys(addresses)
    numbers = {address: number for address in found if (number := read_id(address)) is not None}
    ours = among(db, "id", set(numbers.values()))
    there = set(column(db, f"SELECT id FROM events WHERE {ours.text}", ours.values))
    found.update((address, number) for address, number in numbers.items() if number in there)
    theirs = among(db, "external_id", _unfound(found))
    newest = f"SELECT external_id, max(id) FROM events WHERE {theirs.text} GROUP BY external_id"
    found.update((name, event_id) for name, event_id in each(db, newest, theirs.values))
    return found | {address: _find_by_prefix(db, address) for address in _unfound(found)}


def _unfound(found: Mapping[str, int | None]) -> list[str]:
    return [address for address, event_id in found.items() if event_id is None]


def _find_by_prefix(db: Asked, prefix: str) -> int | None:
    if len(prefix) < MIN_PREFIX_CHARS:
        return None
    begins = Clause("substr(external_id, 1, :chars) = :prefix", {"chars": len(prefix), "prefix": prefix})
    its, most = all_of([begins, _near(db, prefix)]), up_to(MAX_NAMED)
    text = f"""
        SELECT external_id, max(id) AS id FROM events WHERE {its.text}
        GROUP BY external_id ORDER BY external_id {most.text}
    """
    found = rows(db, text, {**its.values, **most.values})
    if len(found) > 1:
        raise SeveralEvents(prefix, [row["external_id"] for row in found])
    return found[0]["id"] if found else None


def _near(db: Asked, prefix: str) -> Clause:
    """Bound the search by the index that sorts as code points do."""
    # What text_pattern_ops compares with is character by character, whatever the language.
    least, most = (">=", "<") if db.dialect.name == "sqlite" else ("~>=~", "~<~")
    text = f"external_id {least} :prefix AND external_id {most} :beyond"
    return Clause(text, {"prefix": prefix, "beyond": prefix + LAST_CHARACTER})


def read_id(address: str) -> int | None:
    """Read one of our own ids; None if it is something else, or more than a database can count."""
    plain = address.isascii() and address.isdigit() and len(address) < len(str(2**63))
    return int(address) if plain else None


def _attempts_of(db: Asked, delivery_id: int) -> list[View]:
    return [
        {**row, "started_at": rfc3339(row["started_at"]), "finished_at": rfc3339(row["finished_at"])}
        for row in rows(db, _ATTEMPTS, {"id": delivery_id})
    ]


_ATTEMPTS = """
    SELECT number, trigger, outcome, started_at, finished_at, error FROM attempts WHERE delivery_id = :id ORDER BY id
"""


def _effects_of(db: Asked, event_id: int) -> list[View]:
    return [
        {
            "id": row["id"],
            "key": row["key"],
            "state": row["state"],
            "channel": row["channel"],
            "text": json.loads(row["message"])["text"],
            "attempts": row["attempts"],
            "due_at": rfc3339(row["due_at"]),
            "held_until": rfc3339(row["held_until"]) if row["state"] == EffectState.PLANNED else None,
            "finished_at": rfc3339(row["finished_at"]),
            "last_error": row["last_error"],
        }
        for row in rows(db, _EFFECTS, {"id": event_id})
    ]


_EFFECTS = """
    SELECT id, key, state, channel, message, attempts, due_at, held_until, finished_at, last_error
    FROM effects WHERE event_id = :id ORDER BY id
"""


def _dismissals_of(db: Asked, delivery_id: int) -> list[View]:
    found = rows(db, "SELECT at, who, reason FROM dismissals WHERE delivery_id = :id ORDER BY id", {"id": delivery_id})
    return [{**row, "at": rfc3339(row["at"])} for row in found]
