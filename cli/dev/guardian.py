"""The guardian: a small process that ends the others when `hookline dev` is gone, however it went.

It holds the read end of a pipe. The only write ends are `hookline dev`'s, and for a moment that of each process
being started, which writes its own process group there before it becomes what it is to run. So the end of the pipe
means that nobody is left to look after those groups, also after a `kill -9`, on Linux and macOS alike.

This file is run as a script, by itself, so that it starts in milliseconds: standard library only.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

GRACE_S = 5.0
# Between SIGTERM and SIGKILL, for groups that have lost their supervisor.

POLL_S = 0.05

FIRST_ORDINARY_PID = 2
# kill(2) reads 0, -1 and 1 as "my own group", "everything" and init.


@dataclass(frozen=True, slots=True)
class Guardian:
    """The supervisor's end: a pipe to say which process groups there are, and the process at its other end."""

    pipe: int
    process: subprocess.Popen[bytes]

    def forget(self, group: int) -> None:
        """Say that this process group is gone, so that its number may mean something else from now on."""
        os.write(self.pipe, f"-{group}\n".encode())

    def dismiss(self) -> None:
        """Close the pipe and wait until the guardian is gone with whatever was left."""
        os.close(self.pipe)
        self.process.wait()


def start_guardian(*, keep_open: Sequence[int] = ()) -> Guardian:
    """Start it in a session of its own, out of reach of the terminal's Ctrl-C.

    Args:
        keep_open: file descriptors that it is to hold until all groups are gone, such as a lock's.

    """
    read_end, write_end = os.pipe()
    try:
        process = subprocess.Popen(  # noqa: S603  # our own interpreter, this very file
            [sys.executable, "-I", "-S", os.path.abspath(__file__)],  # noqa: PTH100  # pathlib takes 20 ms to import
            stdin=read_end,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=keep_open,
            cwd="/",
            start_new_session=True,
        )
    finally:
        os.close(read_end)
    return Guardian(write_end, process)


def read_groups(lines: Iterable[bytes]) -> list[int]:
    """Give the process groups that are left after `+group` and `-group` lines, up to the end of the lines."""
    groups: dict[int, None] = {}
    for line in lines:
        sign, number = line[:1], line[1:].strip()
        if not number.isdigit() or int(number) < FIRST_ORDINARY_PID:
            continue
        if sign == b"+":
            groups[int(number)] = None
        else:
            groups.pop(int(number), None)
    return list(groups)


def end_groups(groups: Iterable[int], *, grace_s: float = GRACE_S) -> None:
    """Ask each group's leader to end, and kill what is left of a group when it has, or after `grace_s`."""
    left = [group for group in groups if is_alive(group)]
    for group in left:
        terminate(group)
    deadline = time.monotonic() + grace_s
    while left and time.monotonic() < deadline:
        for group in left:
            if not leader_is_alive(group):
                kill(group)
        time.sleep(POLL_S)
        left = [group for group in left if is_alive(group)]
    for group in left:
        kill(group)


def is_alive(group: int) -> bool:
    """Whether a process is left in this group."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):  # macOS says EPERM when only zombies are left
        return False
    return True


def terminate(group: int) -> None:
    """Ask a group's leader to end.

    Not the others: Dramatiq's master passes SIGTERM on to its children, and a child that gets it twice drops what it
    is doing.
    """
    if leader_is_alive(group):
        with suppress(ProcessLookupError):
            os.kill(group, signal.SIGTERM)


def leader_is_alive(group: int) -> bool:
    """Whether the process that the group is named after is still there."""
    try:
        return os.getpgid(group) == group
    except ProcessLookupError:
        return False


def kill(group: int) -> None:
    """End every process of a group at once."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def main() -> None:
    """Wait for the end of the pipe on standard input, then end the groups that are left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    end_groups(read_groups(sys.stdin.buffer))


if __name__ == "__main__":
    main()
