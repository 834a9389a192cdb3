"""Break Hookline in every way of the fault matrix, and count what is left: `python -m tests.faults`, `make faults`.

Several houses stand side by side, and in each of them one fault happens after another. What needs the whole machine
comes last, alone; and what has failed is repeated alone, which tells whether the fault or its neighbours were to blame.
"""

import argparse
import logging
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from random import Random, SystemRandom
from types import FrameType

from tests.faults import machine, table
from tests.faults.engines import Engine
from tests.faults.fault import Fault
from tests.faults.lanes import Lanes
from tests.faults.matrix import all_faults
from tests.faults.mutants import MUTANTS
from tests.faults.plan import Row, Run, make_old_runs, make_row, make_rows, make_runs
from tests.faults.run import Result

LANES = 7
# Houses at a time. Most of a run is waiting: a claim is freed after 30 s without a sign of life.

SOAK_ROW = 12
# Faults that a soak draws at a time.

MUTANT_QUIET_S = 60.0
# Longer than any claim or doorbell takes that is not lost for good.


def main() -> int:
    """Run what was asked for. Give 1 when any verdict fails."""
    logging.basicConfig(level=logging.WARNING)
    options = _parse(sys.argv[1:])
    faults = _chosen(options.fault)
    if options.list:
        _list(faults)
        return 0
    seed = options.seed if options.seed is not None else SystemRandom().randrange(10**6)
    _print(f"seed {seed}: repeat with --seed {seed}")
    _print(f"on {machine.describe()}")
    if options.mutants:
        return _hunt_mutants(options, seed)
    began = time.monotonic()
    lanes = Lanes(options.lanes, _say)
    _end_with(lanes)
    results = _soak(options, faults, seed, lanes) if options.minutes else _once(options, faults, seed, lanes)
    results = _ordered(results, faults)
    _report(results, took_s=time.monotonic() - began)
    if options.markdown:
        about = f"Seed {seed}, {options.lanes} houses side by side, {machine.describe()}."
        page = table.page(results, about=about, took_s=time.monotonic() - began)
        options.markdown.write_text(page)
    return int(any(result.complaints for result in results))


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine", action="append", choices=list(Engine), help="only on this pair (may be repeated)")
    parser.add_argument("--fault", action="append", metavar="NAME", help="only this fault (may be repeated)")
    parser.add_argument("--seed", type=int, help="repeat what this seed did: webhooks, victims and instants")
    parser.add_argument("--rounds", type=int, default=1, help="run each fault so often, each time with another seed")
    parser.add_argument("--minutes", type=float, default=0, help="soak: random faults at random instants, for so long")
    parser.add_argument("--lanes", type=int, default=LANES, help=f"houses at a time (default {LANES})")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write what docs/reliability.md says of a run")
    parser.add_argument("--mutants", action="store_true", help="break the product on purpose: each must be caught")
    parser.add_argument("--list", action="store_true", help="say what the faults are and what is expected of each")
    return parser.parse_args(words)


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201  # a command line prints


def _chosen(names: Sequence[str] | None) -> Sequence[Fault]:
    known = {fault.name: fault for fault in all_faults()}
    unknown = set(names or ()) - known.keys()
    if unknown:
        sys.exit(f"no fault is called {', '.join(sorted(unknown))}: there is {', '.join(known)}")
    return [fault for name, fault in known.items() if not names or name in names]


def _list(faults: Sequence[Fault]) -> None:
    for fault in faults:
        _print(f"{fault.name} ({', '.join(fault.engines)}): {fault.expected}")


def _engines(options: argparse.Namespace) -> list[Engine]:
    return [Engine(name) for name in options.engine or list(Engine)]


def _end_with(lanes: Lanes) -> None:
    """Leave no process behind on Ctrl-C or SIGTERM, and say what is known by then."""

    def end(number: int, _frame: FrameType | None) -> None:
        lanes.end()
        _print("\ninterrupted\n" + table.plain(lanes.results))
        os._exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


def _once(options: argparse.Namespace, faults: Sequence[Fault], seed: int, lanes: Lanes) -> list[Result]:
    engines = _engines(options)
    runs = [run for round_ in range(options.rounds) for run in make_runs(engines, faults, seed + round_)]
    if options.seed is None:  # what failed once is tried each time
        runs += make_old_runs(engines, faults)
    results = lanes.run(make_rows(runs))
    failed = [run for run in runs if _has_failed(run, results)]
    return [*results, *lanes.run_alone(failed if len(runs) > 1 else ())]


def _has_failed(run: Run, results: Sequence[Result]) -> bool:
    name = (run.engine, run.fault.name, run.seed)
    return any(result.complaints and (result.engine, result.fault, result.seed) == name for result in results)


def _soak(options: argparse.Namespace, faults: Sequence[Fault], seed: int, lanes: Lanes) -> list[Result]:
    """Draw faults until the time is over; the n-th of them has the n-th seed after the soak's own."""
    return lanes.run(_draw_rows(_engines(options), faults, seed), for_s=options.minutes * 60)


def _draw_rows(engines: Sequence[Engine], faults: Sequence[Fault], seed: int) -> Iterator[Row]:
    draw = Random(seed)  # noqa: S311  # repeats a run, guards nothing
    may = [fault for fault in faults if fault.soak]
    numbers = count(seed)
    while True:
        chosen = draw.choices(may, k=SOAK_ROW)
        yield from make_rows([run for fault in chosen for run in make_runs(engines, [fault], next(numbers))])


def _hunt_mutants(options: argparse.Namespace, seed: int) -> int:
    """Run each mutant with the fault that must catch it. Give 1 when one gets away."""
    lanes = Lanes(options.lanes, _say_nothing, patience_s=MUTANT_QUIET_S)
    _end_with(lanes)
    rows = [make_row([Run(Engine.SQLITE, mutant.made(), seed)]) for mutant in MUTANTS]
    escaped = 0
    for mutant, result in zip(MUTANTS, lanes.run(rows), strict=True):
        named = [complaint.what for complaint in result.complaints if complaint.clause == mutant.clause]
        word = "skipped" if result.skipped else "caught" if named else "ESCAPED"
        escaped += word == "ESCAPED"
        _print(f"{word:9}{mutant.name}: {mutant.breaks}")
        _print(
            f"         {mutant.fault}, {mutant.clause!r}: {len(named)} complaints; the first: {(named or ['none'])[0]}"
        )
        if result.place and word == "caught":
            shutil.rmtree(result.place, ignore_errors=True)
    _print(f"{len(MUTANTS)} mutants, {escaped} escaped")
    return int(escaped > 0)


def _say_nothing(_result: Result) -> None:
    return


def _ordered(results: Sequence[Result], faults: Sequence[Fault]) -> list[Result]:
    order = [fault.name for fault in faults]
    return sorted(results, key=lambda result: (result.engine, order.index(result.fault), result.seed, result.alone))


def _say(result: Result) -> None:
    word = "skipped" if result.skipped else "holds" if result.passed else "FAILS"
    alone = ", alone" if result.alone else ""
    took = f"{result.took_s:.0f} s, {result.cpu_s:.0f} s of CPU"
    _print(f"{word:8}{result.engine:18}{result.fault} (seed {result.seed}{alone}, {took})")
    for complaint in result.complaints[:10]:
        _print(f"        {complaint.clause}: {complaint.what}")


def _report(results: Sequence[Result], *, took_s: float) -> None:
    _print("\n" + table.plain(results) + "\n")
    _print(table.total(results, took_s=took_s))
    for result in results:
        if result.complaints:
            words = f"--engine {result.engine} --fault {result.fault} --seed {result.seed}"
            _print(f"  see {result.place}; again: python -m tests.faults {words}")


if __name__ == "__main__":
    sys.exit(main())
