"""Keeps processes running, as a process manager does: what ends is started again, until it is to be left."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.cli.dev.waiting import members
from tests.faults.journal import Journal
from tests.system.process import Process

KEEP_S = 0.2
AGAIN_S = 0.5


class Keeper:
    """The processes of one house by name, and a thread that looks after them."""

    def __init__(self, make: Callable[[str], Process], journal: Journal) -> None:
        """Take what is needed; `make` makes a process of a name, not yet started."""
        self.restarts = 0
        self._make = make
        self._journal = journal
        self._processes: dict[str, Process] = {}
        self._groups: set[int] = set()
        self._kept: set[str] = set()
        self._ended_at: dict[str, float] = {}
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="keeper", daemon=True)

    def start(self) -> None:
        """Begin to look after them."""
        self._thread.start()

    def __getitem__(self, name: str) -> Process:
        return self._processes[name]

    @property
    def kept(self) -> list[str]:
        """Those that are to run."""
        return sorted(self._kept)

    @property
    def groups(self) -> frozenset[int]:
        """The process groups of all that was ever started."""
        return frozenset(self._groups)

    def launch(self, name: str) -> None:
        """Start one, and keep it running from now on. Raises AssertionError when all was ended in the meantime."""
        with self._lock:
            assert not self._stopping.is_set(), f"{name} is not started any more: its house is closed"
            if name not in self._processes:
                self._processes[name] = self._make(name)
            process = self._processes[name]
            if not process.runs():
                self._start(process)
            self._kept.add(name)

    def leave(self, name: str) -> None:
        """Let one stay as it ends."""
        with self._lock:
            self._kept.discard(name)

    def remake(self, name: str) -> None:
        """Let the next start of a process take its environment and checkout anew."""
        with self._lock:
            del self._processes[name]

    def close(self, mark: str) -> None:
        """End all that was ever started here and what that has started; `mark` is in their environment."""
        self._stopping.set()
        with self._lock:
            self._kept.clear()
            for group in self._groups:
                if _is_ours(group, mark.encode()):
                    os.killpg(group, signal.SIGKILL)
            for process in self._processes.values():
                process.close()

    def _start(self, process: Process) -> None:
        process.start()
        self._groups.add(process.pid)

    def _keep(self) -> None:
        while not self._stopping.wait(KEEP_S):
            with self._lock:
                for name in self._kept:
                    self._look_after(name, time.monotonic())

    def _look_after(self, name: str, now: float) -> None:
        process = self._processes[name]
        if process.runs():
            self._ended_at.pop(name, None)
        elif now - self._ended_at.setdefault(name, now) > AGAIN_S:
            self._journal.note(f"{name} had ended with status {process.wait_for_end()}; it is started again")
            self.restarts += 1
            self._start(process)


def _is_ours(group: int, mark: bytes) -> bool:
    """Say whether a process group still is what was started: ids are given again."""
    try:
        pids = members({group})
        return bool(pids) and all(mark in Path(f"/proc/{pid}/environ").read_bytes() for pid in pids)
    except OSError:
        return False
