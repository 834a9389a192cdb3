"""The table of rows: for a terminal, for a page, for a program."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bench.row import REPORTED, Row, Wanted

BRIEF_HEADINGS = ("what", "against", "ratio, or figure", "wanted", "reached")

HEADINGS = ("what", "against", "ours", "theirs", "ratio (range)", "wanted", "reached")

FRACTIONS_BELOW = 100
# Figures from here on are shown without fractions: nobody can measure those.


def as_text(machine: Mapping[str, str], rows: Sequence[Row], *, judged: bool) -> str:
    """Write it for a terminal."""
    lines = [HEADINGS, *(_cells(row, judged=judged) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    padded = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    described = [f"{name:<10} {text}" for name, text in machine.items()]
    return "\n".join([*described, "", *(line.rstrip() for line in padded), *_notes(rows)])


def as_markdown(machine: Mapping[str, str], rows: Sequence[Row], *, judged: bool) -> str:
    """Write it for a page."""
    described = [f"* {name}: {text}" for name, text in machine.items()]
    lines = [HEADINGS, ("---",) * len(HEADINGS), *(_cells(row, judged=judged) for row in rows)]
    return "\n".join([*described, "", *(f"| {' | '.join(line)} |" for line in lines), *_notes(rows)])


def as_brief_markdown(machine: Mapping[str, str], rows: Sequence[Row], *, judged: bool) -> str:
    """Write what was hoped for and what became of it, for a page that is about something else."""
    about = ". ".join(machine[name] for name in ("machine", "system", "disk") if name in machine)
    wanted = [row for row in rows if row.wanted.text != REPORTED.text or row.skipped or row.failed]
    lines = [BRIEF_HEADINGS, ("---",) * len(BRIEF_HEADINGS), *(_brief_cells(row, judged=judged) for row in wanted)]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", f"{about}."])


def as_json(machine: Mapping[str, str], rows: Sequence[Row], *, judged: bool) -> str:
    """Write it for a program: one object, which `from_json` reads."""
    objects = [_object(row, judged=judged) for row in rows]
    return json.dumps({"machine": dict(machine), "judged": judged, "rows": objects}, indent=2)


def from_json(text: str) -> tuple[Mapping[str, str], list[Row], bool]:
    """Read what `as_json` wrote: the machine, the rows, whether they are judged."""
    read = json.loads(text)
    return read["machine"], [_row(each) for each in read["rows"]], read["judged"]


def _row(each: Mapping[str, Any]) -> Row:
    kept = ("name", "what", "against", "ours", "theirs", "note", "skipped", "failed")
    return Row(**{name: each[name] for name in kept}, wanted=Wanted(text=each["wanted"], **each["bounds"]))


def _cells(row: Row, *, judged: bool) -> tuple[str, ...]:
    return (
        row.what,
        row.against,
        _figure(row.our_median),
        _figure(row.their_median),
        _ratio(row),
        row.wanted.text,
        _verdict(row, judged=judged),
    )


def _brief_cells(row: Row, *, judged: bool) -> tuple[str, ...]:
    found = _figure(row.our_median) if row.ratio is None else f"{row.ratio:.2f}"
    return (row.what, row.against, found, row.wanted.text, _verdict(row, judged=judged))


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= FRACTIONS_BELOW else f"{value:.3g}"


def _ratio(row: Row) -> str:
    if row.ratio is None:
        return "-"
    return f"{row.ratio:.2f} ({min(row.ratios):.2f} to {max(row.ratios):.2f})"


def _verdict(row: Row, *, judged: bool) -> str:
    if row.skipped is not None:
        return f"skipped: {row.skipped}"
    if row.failed is not None:
        return f"FAILED: {row.failed}"
    if not judged or row.reached is None:
        return "not judged"
    return "yes" if row.reached else "no"


def _notes(rows: Sequence[Row]) -> list[str]:
    # One benchmark's rows share most of their notes.
    notes = list(dict.fromkeys(f"{row.name}: {row.note}" for row in rows if row.note))
    return ["", *notes] if notes else []


def _object(row: Row, *, judged: bool) -> dict[str, object]:
    return {
        "name": row.name,
        "what": row.what,
        "against": row.against,
        "ours": list(row.ours),
        "theirs": list(row.theirs),
        "ratios": row.ratios,
        "ratio": row.ratio,
        "wanted": row.wanted.text,
        "bounds": {name: bound for name, bound in asdict(row.wanted).items() if name != "text"},
        "reached": row.reached if judged else None,
        "skipped": row.skipped,
        "failed": row.failed,
        "note": row.note,
    }
