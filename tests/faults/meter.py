"""How much of the processors a house uses: all its processes are looked at each second.

Who is killed tells nobody what it used, so that up to a second of each killed process is missing.
"""

import os
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

LOOK_S = 1.0

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """One process, as /proc/PID/stat has it; `began` is in ticks since boot, `ticks` of user and system time."""

    pid: int
    parent: int
    group: int
    began: int
    ticks: int


class Meter:
    """Adds up the CPU time of process groups, and of what they have started."""

    def __init__(self, groups: Callable[[], Collection[int]]) -> None:
        """Take what gives the ids of the groups that count."""
        self._groups = groups
        self._ticks: dict[tuple[int, int], int] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="meter", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._stopping.set()

    def used_s(self) -> float:
        """Give the seconds that were used until now."""
        with self._lock:
            self._look()
            return sum(self._ticks.values()) / TICKS_PER_S

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_S):
            with self._lock:
                self._look()

    def _look(self) -> None:
        groups, ours = set(self._groups()), set[int]()
        for each in sorted(_read(), key=lambda usage: usage.began):  # parents come first
            if each.group in groups or each.parent in ours:
                ours.add(each.pid)
                self._ticks[each.pid, each.began] = each.ticks


def _read() -> list[Usage]:
    processes = [path for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [usage for path in processes if (usage := _read_one(path))]


def _read_one(path: Path) -> Usage | None:
    try:
        stat = (path / "stat").read_bytes()
    except OSError:  # it has just ended
        return None
    fields = stat[stat.rindex(b")") + 2 :].split()
    return Usage(int(path.name), int(fields[1]), int(fields[2]), int(fields[19]), int(fields[11]) + int(fields[12]))
