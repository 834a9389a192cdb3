"""Who runs the rows: several houses side by side, and alone what needs the machine for itself."""

import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from tests.faults.engines import missing
from tests.faults.house import QUIET_S, House
from tests.faults.plan import Row, Run, make_row
from tests.faults.run import Result, run
from tests.faults.verdict import Complaint

TURNS = 3
# So many houses are built, or have something happen to them, at a time; all others wait for what is left to do: for
# leases of 30 s, and for channels that take a message a second. Many Pythons that start at once on two cores are a
# fault that nobody asked for.

Report = Callable[[Result], None]


class Lanes:
    """Runs rows, several at a time, and leaves nothing running when it is interrupted."""

    def __init__(self, count: int, report: Report, *, patience_s: float = QUIET_S) -> None:
        self._patience_s = patience_s
        self._count = count
        self._report = report
        self._lock = threading.Lock()
        self._turns = threading.Semaphore(TURNS)
        self._open: set[House] = set()
        self.results: list[Result] = []  # as they came

    def run(self, rows: Iterable[Row], *, for_s: float = float("inf")) -> list[Result]:
        """Run all rows, or as much of them as begins within a time. `report` is told of each result as it comes."""
        until, waiting = time.monotonic() + for_s, enumerate(rows)
        heavy: list[tuple[int, Row]] = []
        done: list[tuple[int, list[Result]]] = []

        def go() -> None:
            while time.monotonic() < until:
                with self._lock:
                    number, row = next(waiting, (0, None))
                    if row is not None and row.heavy:
                        heavy.append((number, row))
                        continue
                if row is None:
                    return
                done.append((number, self._run_row(row, until)))

        with ThreadPoolExecutor(self._count, thread_name_prefix="lane") as pool:
            for lane in [pool.submit(go) for _ in range(self._count)]:
                lane.result()
        done += [(number, self._run_row(row, until)) for number, row in heavy]
        return [result for _, results in sorted(done, key=lambda each: each[0]) for result in results]

    def run_alone(self, runs: Iterable[Run]) -> list[Result]:
        """Run each in a house of its own, with nothing beside it."""
        return [result for run_ in runs for result in self._run_row(make_row([run_]), alone=True)]

    def end(self) -> None:
        """End all processes of all houses at once, to be called before this process ends."""
        for house in list(self._open):
            house.close()

    def _run_row(self, row: Row, until: float = float("inf"), *, alone: bool = False) -> list[Result]:
        results = []
        for each in self._results(row, until):
            result = replace(each, alone=alone)
            results.append(result)
            with self._lock:
                self.results.append(result)
                self._report(result)
        return results

    def _results(self, row: Row, until: float) -> Iterator[Result]:
        house: House | None = None
        try:
            for each in row.runs:
                if time.monotonic() > until:
                    return
                about = Result(engine=row.engine, fault=each.fault.name, seed=each.seed)
                if lacking := missing(row.engine) or each.fault.missing():
                    yield replace(about, skipped=lacking)
                    continue
                try:
                    house = house or self._build(row, each.seed)
                except Exception:  # noqa: BLE001  # the verdict of this run, not the end of all
                    yield replace(about, complaints=[Complaint("the house", traceback.format_exc())])
                    continue
                result = run(house, each.fault, seed=each.seed, patience_s=self._patience_s, turn=self._turns)
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
        try:
            with self._turns:
                house.open()
        except BaseException:
            self._open.discard(house)
            raise
        return house

    def _close(self, house: House, *, keep: bool = False) -> None:
        house.close(keep=keep)
        self._open.discard(house)
