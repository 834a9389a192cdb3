"""Watches system calls with strace: when requests came, when the disk said yes, when answers left."""

import re
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults.engines import find_program

CALLS = "fdatasync,fsync,read,recvfrom,recvmsg,write,writev,sendto,sendmsg"

LINE = re.compile(r"^(?:\[pid +\d+\] |\d+ +)?(?P<at>\d+\.\d+) (?P<call>.*)$")
TOOK = re.compile(r"<(?P<took>\d+\.\d+)>$")
SYNC = re.compile(r"^(?:fdatasync|fsync)\(|^<\.\.\. (?:fdatasync|fsync) resumed>")
REQUEST = re.compile(r"^(?:<\.\.\. )?(?:read|recvfrom|recvmsg)\b.*POST /webhooks/")
ANSWER = re.compile(r"^(?:write|writev|sendto|sendmsg)\(.*HTTP/1\.1 200")


def missing() -> str | None:
    """Say what this machine lacks, or None."""
    return None if find_program("strace") else "strace is not installed (Debian package strace)"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer, by the system clock."""

    began: float
    answered: float


class Calls:
    """What strace has seen."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def answers(self) -> list[Exchange]:
        """Give each 200 with the latest request that was read before it: they are sent one at a time."""
        found: list[Exchange] = []
        request: float | None = None
        for at, call in self._lines():
            if REQUEST.search(call):
                request = at
            elif ANSWER.search(call) and request is not None:
                found.append(Exchange(request, at))
                request = None
        return found

    def synced_between(self, earliest: float, latest: float) -> bool:
        """Say whether a sync began and ended between two moments."""
        return any(earliest <= began and ended <= latest for began, ended in self._syncs())

    def _syncs(self) -> list[tuple[float, float]]:
        syncs = []
        for at, call in self._lines():
            took = TOOK.search(call)
            if SYNC.search(call) and took is not None:
                duration = float(took["took"])
                # A call that others interrupted is printed twice; its end is at the second line.
                began = at - duration if call.startswith("<...") else at
                syncs.append((began, began + duration))
        return syncs

    def _lines(self) -> list[tuple[float, str]]:
        found = [match for line in self.path.read_text(errors="replace").splitlines() if (match := LINE.match(line))]
        return sorted(((float(match["at"]), match["call"]) for match in found), key=lambda each: each[0])


@contextmanager
def watching(pids: Sequence[int], path: Path) -> Iterator[Calls]:
    """Watch these processes, and all their threads and children, while the block runs."""
    words = [word for pid in pids for word in ("-p", str(pid))]
    command = ["strace", "-f", "-ttt", "-T", "-s", "64", "-e", f"trace={CALLS}", "-o", str(path), *words]
    errors = path.with_suffix(".errors")
    with errors.open("wb") as log:
        strace = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _wait_until_attached(strace, errors, pids)
        yield Calls(path)
    finally:
        strace.send_signal(signal.SIGINT)
        strace.wait(30)


def _wait_until_attached(strace: "subprocess.Popen[bytes]", errors: Path, pids: Sequence[int]) -> None:
    deadline = time.monotonic() + 30
    while errors.read_text().count("attached") < len(pids):
        assert strace.poll() is None, errors.read_text()
        assert time.monotonic() < deadline, "strace does not attach"
        time.sleep(0.05)
