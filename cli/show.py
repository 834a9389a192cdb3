"""How the commands print: one JSON object a line for programs, lines and tables for people.

Rich is imported only where there are colours to show: without it a command in a pipe starts a good deal sooner.
"""

import io
import json
import os
import re
import select
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from cli.errors import NotDone, ReaderGone

STATE_STYLES = {
    "done": "green",
    "sent": "green",
    "kept": "green",
    "dead": "bold red",
    "failed": "red",
    "crashed": "red",
    "ambiguous": "red",
    "unparseable": "red",
    "pending": "yellow",
    "queued": "yellow",
    "running": "yellow",
    "planned": "yellow",
    "sending": "yellow",
    "unhandled": "dim",
    "dismissed": "dim",
}

GAP = "  "

ELLIPSIS = "…"

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# What was received must not move the cursor, paint the terminal or turn a line around.

View = Mapping[str, Any]


class Part(NamedTuple):
    """A piece of a line, with the style that it has on a terminal (Rich's names)."""

    text: str
    style: str = ""


Line = Sequence[Part]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: of the field in the view; its heading, with spaces for underscores.
        extra: shown whole, or left out where there is no room for it or nothing in it.
        elastic: may be cut. What somebody has to copy, as an id or an amount, never is.
        wants: so many characters of an elastic one come before any extra one.
        least: with fewer characters an elastic one says nothing, and is left out.

    """

    name: str
    extra: bool = False
    elastic: bool = False
    wants: int = 24
    least: int = 8

    @property
    def heading(self) -> str:
        """What stands above it. Times are in UTC, as everywhere in Hookline."""
        return self.name.removesuffix("_at").replace("_", " ") + (" (utc)" if self.name.endswith("_at") else "")


def print_json(views: Iterable[View]) -> None:
    """Print one JSON object a line."""
    write("".join(f"{json.dumps(view)}\n" for view in views))


def print_table(views: Sequence[View], columns: Sequence[Column], *, head: bool = True, nothing: str = "") -> None:
    """Print a table that fits the terminal, and whole into a pipe; or say that there is nothing to show.

    Args:
        views: the rows.
        columns: what is shown of them.
        head: whether there are headings; there are none on a page that goes on.
        nothing: what to say if there are no rows.

    """
    if not views:
        note(nothing)
        return
    rows = [[cell(column.name, view.get(column.name)) for column in columns] for view in views]
    heads = [[Part(column.heading, "bold") for column in columns]]
    lines = _lay_out([*heads, *rows], columns, terminal_width())
    print_lines(lines if head else lines[1:])


def _lay_out(rows: Sequence[Line], columns: Sequence[Column], width: int | None) -> list[Line]:
    """Lay out the heading and the rows below it."""
    widths = [max(len(row[index].text) for row in rows) for index in range(len(columns))]
    told = [any(row[index].text for row in rows[1:]) for index in range(len(columns))]
    room = widths if width is None else _narrowed(columns, widths, told, width)
    lines = []
    for row in rows:
        cells = [_fill(part, chars) for part, chars in zip(row, room, strict=True) if chars]
        lines.append(_cut([piece for each in cells for piece in (each, Part(GAP))][:-1], width))
    return lines


def _narrowed(columns: Sequence[Column], widths: Sequence[int], told: Sequence[bool], width: int) -> list[int]:
    """Say how wide each column is on a terminal of this width: 0 is left out."""
    room = [chars if told[index] or not columns[index].extra else 0 for index, chars in enumerate(widths)]
    _leave_out(room, columns, [column.extra for column in columns], [column.wants for column in columns], width)
    least = [column.least for column in columns]
    _leave_out(room, columns, [column.elastic for column in columns], least, width)
    caps = (_capped(room, columns, [max(chars, each) for each in least]) for chars in range(width, 0, -1))
    return next((capped for capped in caps if _total(capped) <= width), room)


def _leave_out(
    room: list[int], columns: Sequence[Column], these: Sequence[bool], most: Sequence[int], width: int
) -> None:
    """Leave out some of these columns, from the right, until there is room for what is shown of the elastic ones."""
    for index in reversed(range(len(columns))):
        if these[index] and _total(_capped(room, columns, most)) > width:
            room[index] = 0


def _capped(room: Sequence[int], columns: Sequence[Column], most: Sequence[int]) -> list[int]:
    """Give each elastic column so many characters at the most."""
    return [
        min(chars, its_most) if column.elastic else chars
        for chars, column, its_most in zip(room, columns, most, strict=True)
    ]


def _total(room: Sequence[int]) -> int:
    """Say how long a line is."""
    cells = [chars for chars in room if chars]
    return sum(cells) + len(GAP) * (len(cells) - 1)


def _fill(part: Part, width: int) -> Part:
    text = part.text if len(part.text) <= width else part.text[: width - 1] + ELLIPSIS
    return Part(text.ljust(width), part.style)


def _cut(parts: Sequence[Part], width: int | None) -> Line:
    """Cut a line to the terminal: one that wraps is harder to read than one that ends early, and says so."""
    whole = "".join(part.text for part in parts).rstrip()
    left = len(whole) if width is None else min(len(whole), width)
    cut = []
    for part in parts:
        cut.append(Part(part.text[:left], part.style))
        left -= len(cut[-1].text)
    cut = [part for part in cut if part.text]
    if cut and width is not None and len(whole) > width:
        cut[-1] = Part(cut[-1].text[:-1] + ELLIPSIS, cut[-1].style)
    return cut


def cell(name: str, value: object) -> Part:
    """Write one value of a view."""
    if value is None:
        return Part("")
    text = clean(" ".join(str(value).split()))
    if name.endswith("_at"):
        text = short_time(text)
    return Part(text, STATE_STYLES.get(text, "") if name in ("state", "outcome") else "")


def short_time(rfc3339: str) -> str:
    """Shorten a time to the second and, this year, to what differs from day to day."""
    if rfc3339[:4] != time.strftime("%Y", time.gmtime()):
        return rfc3339[:10]
    return f"{rfc3339[5:10]} {rfc3339[11:19]}"


def long_time(rfc3339: str | None) -> str:
    """Write a time to the second, with its zone."""
    return f"{rfc3339[:10]} {rfc3339[11:19]} UTC" if rfc3339 else ""


def clean(text: str) -> str:
    """Make a text that came from outside fit for a terminal."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def terminal_width() -> int | None:
    """Give the width of the terminal; None where standard output is not one, and nothing may be cut."""
    if not sys.stdout.isatty():
        return None
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or None
    except OSError:
        return None


def print_lines(lines: Iterable[Line]) -> None:
    """Print lines, in colour where the terminal has it. Long ones are left to the terminal to wrap."""
    if _plain():
        write("".join("".join(part.text for part in line) + "\n" for line in lines))
        return
    from rich.console import Console  # noqa: PLC0415  # see the top of this file
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False, markup=False, emoji=False)
    with console.capture() as capture:
        for line in lines:
            console.print(Text.assemble(*line), soft_wrap=True)
    write(capture.get())


def _plain() -> bool:
    """Say whether there can be no colours: Rich would find out the same, later."""
    return bool(os.environ.get("NO_COLOR")) or not (sys.stdout.isatty() or os.environ.get("FORCE_COLOR"))


def note(text: str) -> None:
    """Say something that is not what was asked for, and does not belong into a pipe."""
    with suppress(OSError):  # nobody listens any more, and it was not the answer
        print(text, file=sys.stderr)


class Answer(io.TextIOWrapper):
    """Standard output, also for those who write to it by themselves, as whatever prints a `--help` does.

    Raises ReaderGone where nobody reads it any more, and NotDone where it cannot be written, as on a full disk.
    """

    def write(self, text: str, /) -> int:
        """Write text."""
        with _explained():
            return super().write(text)

    def flush(self) -> None:
        """Write what is left."""
        with _explained():
            super().flush()


def check_reader() -> None:
    """Notice that nobody reads standard output any more, where there is nothing to write for a while.

    Raises:
        ReaderGone: nobody does.

    """
    with suppress(OSError, ValueError):  # what cannot be asked is written to until it fails
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)  # errors and hang-ups are told of unasked
        if any(what & select.POLLERR for _, what in poll.poll(0)):
            raise ReaderGone


def write(text: str) -> None:
    """Write to standard output, now. Raises as `Answer` does."""
    with _explained():
        sys.stdout.write(text)
        sys.stdout.flush()


def write_bytes(content: bytes) -> None:
    """Write bytes to standard output as they are. Raises as `Answer` does."""
    with _explained():
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise ReaderGone from None
    except OSError as error:
        # What is left in the buffer would be tried once more at the end, and complained about.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise NotDone(f"standard output cannot be written: {error.strerror}") from None
