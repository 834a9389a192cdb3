"""Ends, stops and starts processes by their ids: children, masters, all of them."""

import os
import signal

from tests.cli.dev.waiting import descendants
from tests.faults.house import House


class Controller:
    """What can happen to the processes of a house. Each deed is in its journal."""

    def __init__(self, house: House) -> None:
        self._house = house

    def kill(self, name: str) -> None:
        """Send kill -9 to a process as it was started, and not to its children; the house starts it again."""
        self._house.note(f"kill -9 {name} (process {self._house[name].pid})")
        self._house[name].kill()

    def kill_children(self, name: str) -> None:
        """Send kill -9 to all that a process started, and not to itself."""
        pids = descendants(self._house[name].pid)
        self._house.note(f"kill -9 the children of {name} (processes {sorted(pids)})")
        for pid in pids:
            _send(pid, signal.SIGKILL)

    def kill_all(self, *names: str) -> None:
        """Send kill -9 to processes and all that they started, at once."""
        pids = [pid for name in names for pid in (self._house[name].pid, *descendants(self._house[name].pid))]
        self._house.note(f"kill -9 {', '.join(names)} with all children")
        for pid in pids:
            _send(pid, signal.SIGKILL)

    def freeze(self, pid: int) -> None:
        """Stop a process and its children where they are (SIGSTOP)."""
        self._house.note(f"SIGSTOP process {pid}")
        for each in (pid, *descendants(pid)):
            _send(each, signal.SIGSTOP)

    def thaw(self, pid: int) -> None:
        """Let it go on (SIGCONT)."""
        self._house.note(f"SIGCONT process {pid}")
        for each in (pid, *descendants(pid)):
            _send(each, signal.SIGCONT)

    def stop(self, name: str) -> float:
        """Send SIGTERM and wait for the end, as a process manager does. Give how long it took, in seconds."""
        took_s = self._house.stop(name)
        self._house.note(f"SIGTERM {name}: it ended after {took_s:.1f} s")
        return took_s

    def restart(self, name: str) -> float:
        """Stop in order, start again, wait until it is ready. Give how long the stop took, in seconds."""
        took_s = self.stop(name)
        self._house.start(name)
        return took_s


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:  # it was quicker
        return
