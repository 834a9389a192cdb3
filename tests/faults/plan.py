"""Which runs there are, which of them share a house, and who runs them."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby

from tests.faults.engines import Engine, missing
from tests.faults.fault import Fault
from tests.faults.house import QUIET_S, House
from tests.faults.needs import Needs
from tests.faults.run import Result, run
from tests.faults.seeds import SEEDS

IN_A_ROW = 6
# Faults that happen to one house, one after the other, each judged for itself.

Report = Callable[[Result], None]


@dataclass(frozen=True, slots=True)
class Row:
    """Faults for one house, each with its seed."""

    engine: Engine
    needs: Needs
    faults: Sequence[tuple[Fault, int]]


def make_rows(engines: Sequence[Engine], runs: Sequence[tuple[Fault, int]]) -> list[Row]:
    """Put the faults that need the same kind of house into rows; the long ones come first."""
    rows: list[Row] = []
    for engine in engines:
        ours = sorted((each for each in runs if engine in each[0].engines), key=_kind_of_house)
        for _, group in groupby(ours, key=_kind_of_house):
            alike = list(group)
            parts = (alike[start : start + IN_A_ROW] for start in range(0, len(alike), IN_A_ROW))
            rows += [Row(engine, part[0][0].needs, part) for part in parts]
    return sorted(rows, key=lambda row: (not row.needs.plugins, -len(row.faults)))


def _kind_of_house(run_: tuple[Fault, int]) -> str:
    return repr(run_[0].needs)


def make_old_rows(engines: Sequence[Engine], faults: Sequence[Fault]) -> list[Row]:
    """Put the seeds that failed once (`tests.faults.seeds`) into rows, of those that were asked for."""
    known = {fault.name: fault for fault in faults}
    ours = [(old.engine, known[old.fault], old.seed) for old in SEEDS if old.fault in known and old.engine in engines]
    return [Row(engine, fault.needs, [(fault, seed)]) for engine, fault, seed in ours]


class Lanes:
    """Runs rows, several at a time, and leaves nothing running when it is interrupted."""

    def __init__(self, count: int, report: Report, *, patience_s: float = QUIET_S) -> None:
        self._patience_s = patience_s
        self._count = count
        self._report = report
        self._lock = threading.Lock()
        self._open: set[House] = set()
        self.results: list[Result] = []  # as they came

    def run(self, rows: Sequence[Row]) -> list[Result]:
        """Run all rows. `report` is told of each result as it comes."""
        with ThreadPoolExecutor(self._count, thread_name_prefix="lane") as pool:
            return [result for results in pool.map(self._run_row, rows) for result in results]

    def end(self) -> None:
        """End all processes of all houses at once, to be called before this process ends."""
        for house in list(self._open):
            house.close()

    def _run_row(self, row: Row) -> list[Result]:
        results = []
        for result in self._results(row):
            results.append(result)
            with self._lock:
                self.results.append(result)
                self._report(result)
        return results

    def _results(self, row: Row) -> Iterator[Result]:
        house: House | None = None
        try:
            for fault, seed in row.faults:
                lacking = missing(row.engine) or fault.missing()
                if lacking:
                    yield Result(engine=row.engine, fault=fault.name, seed=seed, skipped=lacking)
                    continue
                house = house or self._build(row, seed)
                result = run(house, fault, seed=seed, patience_s=self._patience_s)
                if result.complaints:  # what is wrong in it would be held against the next
                    self._close(house, keep=True)
                    house = None
                yield result
        finally:
            if house is not None:
                self._close(house)

    def _build(self, row: Row, seed: int) -> House:
        house = House(row.engine, needs=row.needs, seed=str(seed))
        self._open.add(house)
        return house

    def _close(self, house: House, *, keep: bool = False) -> None:
        house.close(keep=keep)
        self._open.discard(house)
