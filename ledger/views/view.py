"""What the ledger holds, as JSON objects: what `--json` prints and what people are shown."""

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.question import Clause, Row, up_to
from ledger.shown import View, rfc3339
from ledger.views.filter import Position


@dataclass(frozen=True, slots=True)
class Page:
    """A piece of a list.

    Attributes:
        views: what is on it.
        next: where the next page begins; None: this is the last one.

    """

    views: list[View]
    next: Position | None


NOTHING = Page([], None)


def one_more(limit: int | None) -> Clause:
    """Ask for a row more than a page has: it tells whether there is another page."""
    return up_to(None if limit is None else limit + 1)


def cut(found: list[Row], limit: int | None, *, by: tuple[str, ...]) -> tuple[list[Row], Position | None]:
    """Give the rows of a page, and where the next page begins.

    Args:
        found: what `one_more` let through.
        limit: how many belong on the page.
        by: the columns that say where in the list a row is.

    """
    shown = found[:limit]
    return shown, tuple(shown[-1][name] for name in by) if len(found) > len(shown) else None


def event_view(row: Row, owed: Iterable[View], *, state: str) -> View:
    """Show an event, with what is owed for it."""
    return {
        "id": row["id"],
        "source": row["source"],
        "external_id": row["external_id"],
        "type": row["type"],
        "state": state,
        "received_at": rfc3339(row["received_at"]),
        "account": row["account"],
        "livemode": flag(row["livemode"]),
        "flaw": row["flaw"],
        "payload_pruned_at": rfc3339(row["payload_pruned_at"]),
        "deliveries": list(owed),
    }


def flag(value: object) -> bool | None:
    """Show what is true, false or not known: SQLite says 1 and 0."""
    return None if value is None else bool(value)


def event_of(row: Row) -> View:
    """Show the event that a delivery is for."""
    return {"event": row["event_id"], "source": row["source"], "external_id": row["external_id"], "type": row["type"]}


def delivery_view(row: Row) -> View:
    """Show a delivery."""
    return {
        "id": row["id"],
        "handler": row["handler"],
        "queue": row["queue"],
        "state": row["state"],
        "attempts": row["attempts"],
        "crashes": row["crashes"],
        "announcements": row["announcements"],
        "due_at": rfc3339(row["due_at"]),
        "finished_at": rfc3339(row["finished_at"]),
        "last_error": row["last_error"],
        "replay": row["replay_id"],
    }
