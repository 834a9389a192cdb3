"""How the commands print: tables and lines for people, one JSON object a line for programs."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

STATE_STYLES = {
    "done": "green",
    "sent": "green",
    "kept": "green",
    "accepted": "green",
    "duplicate": "cyan",
    "dead": "bold red",
    "failed": "red",
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

View = Mapping[str, Any]


def print_json(views: Iterable[View]) -> None:
    """Print one JSON object a line."""
    for view in views:
        print(json.dumps(view), flush=True)


def print_table(views: Sequence[View], columns: Sequence[str], *, nothing: str) -> None:
    """Print a table that fits the terminal, or say that there is nothing to show."""
    console = make_console()
    if not views:
        console.print(Text(nothing, style="dim"))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), no_wrap=True, overflow="ellipsis")
    for view in views:
        table.add_row(*[cell(column, view.get(column)) for column in columns])
    console.print(table)


def cell(column: str, value: object) -> Text:
    """Write one value."""
    if value is None:
        return Text("")
    text = f"{value}"
    if column.endswith("_at"):
        text = text.replace("T", " ").removesuffix("Z")
    return Text(text, style=STATE_STYLES.get(text, "") if column in ("state", "outcome") else "")


def make_console() -> Console:
    """Make a console for standard output: colours on a terminal only; nothing that was received is markup."""
    return Console(highlight=False, markup=False, soft_wrap=False)
