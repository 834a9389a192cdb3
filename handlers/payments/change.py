"""What an event did to the book: notifications are derived from this, and not from the event alone.

An event says what was; only the book knows whether that is news. One that comes late, or again, changes nothing, and
nobody is to be told of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Facts = Mapping[str, Any]


class Verdict(StrEnum):
    """How an event's word compares with what the book had."""

    NEW = "new"  # nothing was known of the object
    NEWER = "newer"  # the row says now what the event says
    STALE = "stale"  # the book knew better; the event came late
    REPEATED = "repeated"  # the row is from this very event


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became of one object's row; true if the transaction that it was made in commits.

    Attributes:
        table: the row's table: `payments`, `refunds`, `disputes`, `objects`.
        id: the object's id at Stripe (a payment's may be its charge's).
        verdict: how the event compares with what was there.
        before: the row's facts before the event, by column; None if there was no row.
        after: the same afterwards. Amounts are in the currency's smallest unit, times are Unix seconds.
        contested: an event of the same second says something else, and nothing tells which of the two came later.

    """

    table: str
    id: str
    verdict: Verdict
    before: Facts | None
    after: Facts
    contested: bool = False

    def changed(self, *names: str) -> bool:
        """Say whether any of these facts (of all, where none is named) is another one than before."""
        before = self.before or {}
        return any(before.get(name) != self.after.get(name) for name in names or self.after)

    def came_to(self, status: str) -> bool:
        """Say whether the object is in this status now, and was not before."""
        return self.after.get("status") == status and self.changed("status")
