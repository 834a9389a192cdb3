"""The process that writes, as it is started."""

import fcntl
import os
import resource
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.event import Receipt
from ledger.wire import pack, unpack_outcomes
from ledger.writer import hire_process
from tests.ledger.making import lay_out, new_event

HIGH = 1_100
ANSWER_S = 60.0


@pytest.fixture
def line() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Give both ends of a line; the second one has a number as in a web process with a thousand connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * HIGH), hard))
    ours, theirs = socket.socketpair()
    ours.settimeout(ANSWER_S)
    with ours, theirs, socket.socket(fileno=fcntl.fcntl(theirs, fcntl.F_DUPFD, HIGH)) as high:
        yield ours, high
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_whatever_meets_it_at_its_start_it_writes_into_the_ledger_of_who_started_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: tuple[socket.socket, socket.socket]
) -> None:
    """A directory that is not the checkout, Ctrl-C, and a line with a high number."""
    ours, theirs = line
    monkeypatch.chdir(tmp_path)
    (tmp_path / "var").mkdir()
    lay_out(tmp_path / "var" / "ledger.db")
    environ = {"HOOKLINE_DATA_DIR": "var", "REDIS_URL": "redis://127.0.0.1:1/0", "PATH": os.environ["PATH"]}
    process = hire_process(environ, theirs)
    theirs.close()
    for number in (signal.SIGINT, signal.SIGTERM):
        process.send_signal(number)
    assert [_receipts_of(ours, count) for count in (20, 5)] == [20, 5]  # many at a time, and after them a few
    ours.close()
    assert process.wait() == 0


def _receipts_of(line: socket.socket, count: int) -> int:
    """Hand so many events in. Say how many receipts came back."""
    line.sendall(b"".join(part for _ in range(count) for part in pack(new_event(handlers=()))))
    received, outcomes = bytearray(), list[object]()
    while len(outcomes) < count and (some := line.recv(65_536)):
        received += some
        outcomes += unpack_outcomes(received)
    return sum(isinstance(each, Receipt) for each in outcomes)
