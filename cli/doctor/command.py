"""The command: prints what was found, and says by its exit status whether all is well."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict

import typer

from cli.doctor.examination import examine
from cli.doctor.finding import Finding, Status
from cli.doctor.installation import read_installation
from cli.show import Line, Part, print_json, print_lines

STYLES = {Status.OK: "green", Status.WARNING: "yellow", Status.PROBLEM: "bold red"}

STATUS_CHARS = 8
CHECK_CHARS = 19


def run_doctor(*, as_json: bool) -> None:
    """Examine this installation. Exits 1 when something is a problem."""
    counts: Counter[Status] = Counter()
    for finding in examine(read_installation(os.environ)):
        counts[finding.status] += 1
        if as_json:
            print_json([asdict(finding)])
        else:
            print_lines(_lines(finding))
    if not as_json:
        print_lines([[], [Part(_summary(counts), STYLES[max(counts, key=list(Status).index)])]])
    if counts[Status.PROBLEM]:
        raise typer.Exit(1)


def _lines(finding: Finding) -> Iterator[Line]:
    yield [
        Part(f"{finding.status:<{STATUS_CHARS}} ", STYLES[finding.status]),
        Part(f"{finding.check:<{CHECK_CHARS}} "),
        Part(finding.found),
    ]
    if finding.fix is not None:
        yield [Part(f"{'':<{STATUS_CHARS + CHECK_CHARS + 1}} "), Part(f"fix: {finding.fix}", "bold")]


def _summary(counts: Counter[Status]) -> str:
    problems, warnings = counts[Status.PROBLEM], counts[Status.WARNING]
    if not problems and not warnings:
        return "all is well"
    return f"{_plural(problems, 'problem')}, {_plural(warnings, 'warning')}"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
