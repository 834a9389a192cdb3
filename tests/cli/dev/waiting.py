"""Waiting for a condition, and looking at processes, for tests of real processes."""

import subprocess
import time
from collections.abc import Callable

SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 0.25
# Looking costs processor time that what is waited for may need: it is looked less often at what takes long.


def wait_until(condition: Callable[[], bool], *, timeout_s: float = 60.0) -> None:
    """Wait for a condition, and fail when it does not come true in time."""
    began = time.monotonic()
    while not condition():
        waited_s = time.monotonic() - began
        assert waited_s < timeout_s, f"still not so after {timeout_s} s"
        time.sleep(min(max(SHORTEST_PAUSE_S, waited_s / 10), LONGEST_PAUSE_S))


def members(groups: set[int]) -> set[int]:
    """Give the processes in these process groups; what has ended and only waits to be buried does not count."""
    return {pid for pid, _, group in processes() if group in groups}


def descendants(root: int) -> set[int]:
    """Give a process's children, their children, and so on."""
    found = {root}
    for pid, parent, _ in sorted(processes()):
        if parent in found:
            found.add(pid)
    return found - {root}


def groups_below(root: int) -> set[int]:
    """Give the process groups of a process's descendants."""
    below = descendants(root)
    return {group for pid, _, group in processes() if pid in below}


def processes() -> list[tuple[int, int, int]]:
    """Give every live process: its id, its parent's, its group."""
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=", "-o", "ppid=", "-o", "pgid=", "-o", "stat="],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = (line.split() for line in listing.stdout.splitlines())
    return [(int(pid), int(parent), int(group)) for pid, parent, group, state in rows if not state.startswith("Z")]
