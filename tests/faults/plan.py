"""Which runs there are, and which of them share a house."""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from math import ceil

from tests.faults.engines import Engine
from tests.faults.fault import Fault
from tests.faults.needs import Needs, join
from tests.faults.seeds import SEEDS

ROW_S = 200.0
# About as long as one house is used. Shorter: more houses to build. Longer: the last house keeps all others waiting.


@dataclass(frozen=True, slots=True)
class Run:
    """One fault that is to happen on one engine; the seed says how."""

    engine: Engine
    fault: Fault
    seed: int


@dataclass(frozen=True, slots=True)
class Row:
    """Runs in one house, one after another, each with a verdict of its own."""

    engine: Engine
    needs: Needs
    runs: Sequence[Run]

    @property
    def takes_s(self) -> float:
        """About how long, most of it waiting."""
        return sum(run.fault.takes_s for run in self.runs)

    @property
    def heavy(self) -> bool:
        """Whether no other house may be busy beside it."""
        return any(run.fault.heavy for run in self.runs)


def make_runs(engines: Sequence[Engine], faults: Sequence[Fault], seed: int) -> list[Run]:
    """Give each fault on each engine where there is such a thing."""
    return [Run(engine, fault, seed) for engine in engines for fault in faults if engine in fault.engines]


def make_old_runs(engines: Sequence[Engine], faults: Sequence[Fault]) -> list[Run]:
    """Give the runs that failed once (`tests.faults.seeds`), of those that were asked for."""
    known = {fault.name: fault for fault in faults}
    return [
        Run(old.engine, known[old.fault], old.seed) for old in SEEDS if old.fault in known and old.engine in engines
    ]


def make_rows(runs: Sequence[Run]) -> list[Row]:
    """Put runs that one house can serve into rows that take about as long as each other; the longest come first."""
    alike: dict[Hashable, list[Run]] = defaultdict(list)
    for run in runs:
        alike[_kind_of_house(run)].append(run)
    rows = [make_row(part) for each in alike.values() for part in _divide(each)]
    return sorted(rows, key=lambda row: (row.heavy, -row.takes_s))


def make_row(runs: Sequence[Run]) -> Row:
    """Let runs share a house that has all that any of them needs."""
    return Row(runs[0].engine, join(run.fault.needs for run in runs), runs)


def _kind_of_house(run: Run) -> Hashable:
    # Handlers, clocks and variables more are in nobody's way: one house can have them all. A proxy in front of
    # everything and a small disk are felt by everybody. And what needs no more than the usual gets the usual house.
    needs = run.fault.needs
    apart = replace(needs, plugins=(), memory_bytes=0, clocks=False, environ=())
    return run.engine, run.fault.heavy, apart, needs == Needs()


def _divide(runs: Sequence[Run]) -> list[list[Run]]:
    """Divide by the time that they take; at most one in each part is the last that can happen to a house."""
    lasts = [run for run in runs if run.fault.last]
    others = sorted((run for run in runs if not run.fault.last), key=lambda run: -run.fault.takes_s)
    whole_s = sum(run.fault.takes_s for run in runs)
    parts: list[list[Run]] = [[run] for run in lasts]
    parts += [[] for _ in range(ceil(whole_s / ROW_S) - len(parts))]
    for run in others:
        min(parts, key=lambda part: sum(each.fault.takes_s for each in part)).append(run)
    return [sorted(part, key=lambda run: (run.fault.last, runs.index(run))) for part in parts if part]
