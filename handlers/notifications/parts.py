"""What is known of a case: parts and lines.

It comes in parts, each from the events of one object. Of each part the greatest version counts, so what is known is the
same in the end whatever the order or number of arrivals. A version compares, in this order: a state that is never left
before others; then when the event was created; then how far on the state is; then the event's id, which decides nothing
but the same everywhere.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from handlers.notifications.times import in_utc
from ledger.event import Event

Facts = Mapping[str, Any]
Parts = Mapping[str, Facts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one event says of one side of a case.

    Attributes:
        name: of the side: `dispute`, `invoice`, `subscription`.
        standing: 1 where the state is never left, else 0; more, where something only ever grows.
        created: when the event happened (Unix seconds).
        rank: how far on the state is, within one second.
        facts: what is known; JSON.
        said_by: the id and type of the event that says it, where that is not the one that is entered.

    """

    name: str
    standing: int
    created: int
    rank: int
    facts: Facts
    said_by: tuple[str, str] | None = None


def known_part(name: str, facts: Facts) -> list[Part]:
    """Make a part of what the book knows, if it knows anything: the more it knows, the better."""
    rank = sum(fact is not None for fact in facts.values())
    return [Part(name=name, standing=0, created=0, rank=rank, facts=facts, said_by=("", ""))] if facts else []


@dataclass(frozen=True, slots=True)
class Line:
    """What is added to a case's thread, once under its name.

    Attributes:
        name: what it is told once under.
        text: what is told.
        at: when it happened, to be told with it (Unix seconds).
        rank: where it belongs among those of one second.

    """

    name: str
    text: str
    at: int | None = None
    rank: int = 0

    @property
    def whole(self) -> str:
        """The text, with its time where it has one: lines can be told long after, or in another order."""
        return self.text if self.at is None else f"{self.text} ({in_utc(self.at)})"


class Known:
    """All that is known of a case: its parts with their versions, its lines, and what was new since it was in hand."""

    def __init__(self, parts: dict[str, Any], lines: dict[str, Any], acknowledged: dict[str, Any] | None) -> None:
        self._parts = parts
        self._lines = lines
        self._acknowledged = acknowledged

    @classmethod
    def read(cls, facets: str) -> "Known":
        """Read what was written."""
        whole = json.loads(facets)
        return cls(whole.get("parts", {}), whole.get("lines", {}), whole.get("acknowledged"))

    @property
    def news(self) -> str | None:
        """What has happened since somebody had it in hand: that it was opened again, or got worse."""
        news: str | None = (self._acknowledged or {}).get("news")
        return news

    def acknowledge(self, gravity: int) -> None:
        """Keep how bad it was when somebody took it in hand."""
        self._acknowledged = {"gravity": gravity}

    def is_worse(self, gravity: int) -> bool:
        """Say whether it is worse than what somebody took in hand."""
        return self._acknowledged is not None and gravity > self._acknowledged["gravity"]

    def tell(self, news: str | None) -> None:
        """Keep that what somebody took in hand is not what there is now."""
        if news is not None and self._acknowledged is not None:
            self._acknowledged = {**self._acknowledged, "news": news}

    def take(self, part: Part, event: Event) -> None:
        """Keep a part, unless a greater version of it is known."""
        external_id, type_ = part.said_by or (event.external_id, event.type)
        version = [part.standing, part.created, part.rank, external_id]
        known = self._parts.get(part.name)
        if known is None or known["version"] < version:
            self._parts[part.name] = {"version": version, "type": type_, "facts": dict(part.facts)}

    def add(self, line: Line, entered_at: int) -> bool:
        """Keep a line, since when it is first so. Say whether it is new."""
        at = entered_at if line.at is None else line.at
        if line.name in self._lines:
            self._lines[line.name]["at"] = min(at, self._lines[line.name]["at"])
            return False
        self._lines[line.name] = {"text": line.whole, "at": at, "rank": line.rank}
        return True

    def facts(self) -> Parts:
        """Give what counts of each part."""
        return {name: part["facts"] for name, part in self._parts.items()}

    def lines(self) -> list[Line]:
        """Give the lines of the thread, oldest first."""
        ordered = sorted(self._lines.items(), key=lambda item: (item[1]["at"], item[1].get("rank", 0), item[0]))
        return [Line(name, line["text"]) for name, line in ordered]

    def changed_at(self) -> int:
        """Say when the newest part was so (Unix seconds)."""
        return max(int(part["version"][1]) for part in self._parts.values())

    def origin(self) -> str:
        """Name the event that has the last word."""
        last = max(self._parts.values(), key=lambda part: part["version"][1:])
        return f"{last['version'][3]} · {last['type']}"

    def written(self) -> str:
        """Write it, to be read again."""
        whole = {"parts": self._parts, "lines": self._lines}
        if self._acknowledged is not None:
            whole["acknowledged"] = self._acknowledged
        return json.dumps(whole, sort_keys=True)
