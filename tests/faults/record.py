"""The senders' own file: each webhook, attempt and answer, on disk before the sender goes on."""

import asyncio
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Line = Mapping[str, Any]


class Record:
    """Written by the sender's process only. Those who write at the same time share one fsync."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self._lines: list[bytes] = []
        self._turn = asyncio.Lock()
        self._syncing: asyncio.Task[None] | None = None  # which will take what is in `_lines` by then

    def note(self, *lines: Line) -> None:
        """Take lines that go to the disk before all that is written later."""
        self._lines += [json.dumps(line).encode() + b"\n" for line in lines]

    async def write(self, *lines: Line) -> None:
        """Write lines and wait until the disk has them."""
        self.note(*lines)
        if self._syncing is None:
            self._syncing = asyncio.create_task(self._sync())
        await asyncio.shield(self._syncing)

    def close(self) -> None:
        """Close the file. Nobody may be writing."""
        self._file.close()

    async def _sync(self) -> None:
        async with self._turn:
            lines, self._lines, self._syncing = self._lines, [], None
            self._file.write(b"".join(lines))
            await asyncio.to_thread(os.fsync, self._file.fileno())


class Tail:
    """Reads such a file while it grows, and after."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[Line] = []
        self.answers: Counter[str] = Counter()  # by what they were
        self.attempts = 0
        self.marks: set[int] = set()
        self._offset = 0

    def refresh(self) -> list[Line]:
        """Read what is new, and count it; a line that is half written is read the next time."""
        if self.path.exists():
            with self.path.open("rb") as file:
                file.seek(self._offset)
                new = file.read()
            whole = new[: new.rfind(b"\n") + 1]
            self._offset += len(whole)
            for line in whole.splitlines():
                self._take(json.loads(line))
        return self.lines

    def _take(self, line: Line) -> None:
        # Counted here and not when somebody asks: who waits asks often, and a herd has many lines.
        self.lines.append(line)
        if line["what"] == "answer":
            self.answers[line["answer"]] += 1
        elif line["what"] == "attempt":
            self.attempts += 1
        elif line["what"] == "mark":
            self.marks.add(line["number"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one attempt.

    Attributes:
        what: the HTTP status, or why there was none: `refused`, `reset`, `timeout`.
        said: `accepted` or `duplicate`, where it was answered so.
        event: our own id of it, where the answer names it.

    """

    what: str
    said: str | None
    event: int | None
    took_s: float
    at: float

    @property
    def accepted(self) -> bool:
        """A 2xx: it is on disk, and it will be handled."""
        return self.what.startswith("2")


@dataclass(slots=True)
class Sent:
    """One webhook as its provider remembers it."""

    external_id: str
    source: str
    kind: str
    answers: list[Answer] = field(default_factory=list)
    attempts: int = 0
    gave_up: bool = False

    @property
    def accepted(self) -> bool:
        return any(answer.accepted for answer in self.answers)


@dataclass(slots=True)
class Facts:
    """All that the senders of a house know: what they sent, what they were answered, and what really happened."""

    sent: dict[str, Sent] = field(default_factory=dict)  # by external id
    rows: list[Mapping[str, Any]] = field(default_factory=list)  # of the book, in the end
    keys: list[str] = field(default_factory=list)  # of what must be told
    maybe: list[str] = field(default_factory=list)  # patterns of the keys of what may be told

    @property
    def answers(self) -> list[Answer]:
        return [answer for each in self.sent.values() for answer in each.answers]


def read_facts(lines: Iterable[Line]) -> Facts:
    """Understand the lines of one or more files."""
    facts = Facts()
    early: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        if line["what"] == "story":
            facts.rows += line["rows"]
            facts.keys += line["keys"]
            facts.maybe += line["maybe"]
            for name, source in line["webhooks"]:
                facts.sent[name] = Sent(name, source, line["kind"])
        elif line["what"] != "mark":
            early[line["id"]].append(line)
    for name, own in early.items():
        _read_attempts(facts.sent[name], own)
    return facts


def _read_attempts(sent: Sent, lines: Sequence[Line]) -> None:
    for line in lines:
        if line["what"] == "attempt":
            sent.attempts += 1
        elif line["what"] == "gave_up":
            sent.gave_up = True
        else:
            sent.answers.append(
                Answer(
                    what=line["answer"],
                    said=line.get("said"),
                    event=line.get("event"),
                    took_s=line["took_s"],
                    at=line["at"],
                ),
            )
