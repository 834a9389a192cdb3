"""`python -m bench`: measure, and print one table. Progress goes to standard error."""

import argparse
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench import plan as sizes
from bench.catalogue import BENCHMARKS, measure_all, usual_s
from bench.machine import describe
from bench.plan import MIN_JUDGED_ROUNDS, Plan
from bench.rounds import say
from bench.row import Row
from bench.service import directory, end_in_order
from bench.table import as_brief_markdown, as_json, as_markdown, as_text, from_json
from config.settings import CHECKOUT

LIMIT_S = 600.0
# Of a run of everything in its usual size.

WRITERS = {"text": as_text, "markdown": as_markdown, "brief": as_brief_markdown, "json": as_json}


def main() -> None:
    """Run the benchmarks that were asked for. Exit status 1: one of them failed its own check."""
    options = _parser().parse_args()
    machine, rows, judged = from_json(options.again.read_text()) if options.again else _measure(options)
    write = WRITERS[options.form]
    sys.stdout.write(write(machine, rows, judged=judged) + "\n")
    sys.exit(1 if any(row.failed is not None for row in rows) else 0)


def _measure(options: argparse.Namespace) -> tuple[Mapping[str, str], list[Row], bool]:
    end_in_order()
    names = options.only or list(BENCHMARKS)
    with _place(options.place) as place:
        plan = _plan(options, place)
        say(_expectation(names, plan))
        machine = describe(place)
        return machine, list(measure_all(names, plan)), plan.judged


def _plan(options: argparse.Namespace, place: Path) -> Plan:
    rounds = options.rounds or (1 if options.quick else MIN_JUDGED_ROUNDS)
    return Plan(
        rounds=rounds,
        seconds=options.seconds or (1 if options.quick else 2),
        sizes=sizes.QUICK if options.quick else sizes.FULL if options.full else sizes.USUAL,
        place=place,
        smoke=options.quick,
        limit_s=LIMIT_S if not (options.quick or options.full or options.only or options.rounds) else math.inf,
    )


def _expectation(names: Sequence[str], plan: Plan) -> str:
    if plan.smoke:
        return "everything small, several at once: under a minute on two cores that have nothing else to do"
    minutes = usual_s(names) / 60
    return f"about {minutes:.0f} minutes with {MIN_JUDGED_ROUNDS} rounds on two cores that have nothing else to do"


@contextmanager
def _place(given: Path | None) -> Iterator[Path]:
    above = given or CHECKOUT / "var"
    above.mkdir(parents=True, exist_ok=True)
    with directory(above, "bench") as place:
        yield place


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures Hookline beside its peers, in alternating rounds, and prints one table.",
        epilog=f"Benchmarks: {', '.join(BENCHMARKS)}.",
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--quick", action="store_true", help="a smoke run under a minute: checks results, judges no times"
    )
    size.add_argument("--full", action="store_true", help="memory after 1,000,000 events; takes an hour or so")
    form = parser.add_mutually_exclusive_group()
    for name, about in (
        ("markdown", "print the table for a page"),
        ("brief", "the same, with ratios only, for the README"),
        ("json", "print one JSON object, with every round"),
    ):
        form.add_argument(f"--{name}", dest="form", action="store_const", const=name, default="text", help=about)
    parser.add_argument(
        "--again", metavar="FILE", type=Path, help="measure nothing: print the table of a run that --json was given"
    )
    parser.add_argument(
        "--only", metavar="NAME", action="append", choices=list(BENCHMARKS), help="run only this one; may be repeated"
    )
    parser.add_argument("--rounds", type=int, help=f"of each benchmark; fewer than {MIN_JUDGED_ROUNDS} are not judged")
    parser.add_argument("--seconds", type=float, help="of load in one round")
    parser.add_argument("--place", metavar="DIR", type=Path, help="work on this disk instead of the checkout's")
    return parser


if __name__ == "__main__":
    main()
