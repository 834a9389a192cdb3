"""The events that somebody has not seen yet, in the order in which they came in."""

from dataclasses import dataclass, field
from typing import Any, Protocol

PAGE = 100

LOOKBACK = 500
# As in ledger.following, which cannot be imported without SQLAlchemy.

View = dict[str, Any]


class Followed(Protocol):
    """Where events come from. Everything raises Disconnected while it cannot be asked."""

    def newest(self, *, before: float | None = None) -> int:
        """Give the id of the newest event, or of the newest one before a time (Unix seconds)."""

    def ids_after(self, event_id: int, *, limit: int) -> list[int]:
        """Give the ids of the events after this one, oldest first."""

    def events_of(self, ids: list[int]) -> list[View]:
        """Give these events, oldest first."""


@dataclass(slots=True)
class Position:
    """How far somebody has come: everything below the floor was seen, and above it what is in `seen`."""

    newest: int = 0
    seen: set[int] = field(default_factory=set)

    @property
    def floor(self) -> int:
        """Give the id below which nothing new can appear."""
        return max(self.newest - LOOKBACK, 0)

    def mark(self, event_id: int) -> None:
        """Count this event as seen."""
        self.seen.add(event_id)
        self.newest = max(self.newest, event_id)
        self.seen = {each for each in self.seen if each > self.floor}


def position_at(followed: Followed, *, since: float | None) -> Position:
    """Give the position behind everything that came in before a time (Unix seconds), or until now."""
    position = Position(newest=followed.newest(before=since))
    there = followed.ids_after(position.floor, limit=LOOKBACK) if position.newest else []
    position.seen = {each for each in there if each <= position.newest}
    return position


def unseen(followed: Followed, position: Position) -> list[View]:
    """Give some events that were not seen, oldest first; `Position.mark` each when it is.

    What is not shown, as what Hookline says of itself, or is gone by now, counts as seen: a page of nothing else would
    hide what comes after it for ever.
    """
    while True:
        ids = followed.ids_after(position.floor, limit=LOOKBACK + PAGE)
        page = [each for each in ids if each not in position.seen][:PAGE]
        views = followed.events_of(page)
        if views or not page:
            return views
        for each in page:
            position.mark(each)
