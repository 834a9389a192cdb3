"""Processor time, which a busy machine disturbs far less than it does clocks."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")

REPEATS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one piece of work costs, in microseconds."""

    cpu_us: float
    wall_us: float


def cost(work: Callable[[], object], *, times: int, pieces: int = 1) -> Cost:
    """Measure work that is done over and over in this thread; `pieces`: how many events one call works on.

    The least of several tries counts: whatever else goes on can only add to it.
    """
    found = [_once(work, times) for _ in range(REPEATS)]
    share = 1e6 / times / pieces
    return Cost(cpu_us=min(each[0] for each in found) * share, wall_us=min(each[1] for each in found) * share)


def _once(work: Callable[[], object], times: int) -> tuple[float, float]:
    cpu, wall = time.thread_time(), time.perf_counter()
    for _ in range(times):
        work()
    return time.thread_time() - cpu, time.perf_counter() - wall


class Stopwatch:
    """Times what lies between one lap and the next, in this thread; laps of one name add up."""

    def __init__(self) -> None:
        self.laps: dict[str, Cost] = {}
        self._cpu, self._wall = time.thread_time(), time.perf_counter()

    def lap(self, what: str) -> None:
        """End a lap."""
        cpu, wall = time.thread_time(), time.perf_counter()
        before = self.laps.get(what, Cost(cpu_us=0.0, wall_us=0.0))
        self.laps[what] = Cost(
            cpu_us=before.cpu_us + (cpu - self._cpu) * 1e6,
            wall_us=before.wall_us + (wall - self._wall) * 1e6,
        )
        self._cpu, self._wall = time.thread_time(), time.perf_counter()


def threads_cpu_s(pid: int) -> dict[int, float]:
    """Give the processor time that each thread of a process has used so far."""
    return {int(task.name): _used_s(task / "stat") for task in Path(f"/proc/{pid}/task").iterdir()}


def _used_s(stat: Path) -> float:
    try:
        fields = stat.read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S
