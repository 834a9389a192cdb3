"""The process that writes new events, `python -m ledger.writing`: each web process starts one (`ledger.writer`).

It commits what the web process hands in, rings for it, and copies SQLite's log: in the web process all three would wait
for the interpreter's lock, and who answers would wait for them. It ends when the other end of its line is closed,
whatever closed it.
"""

import gc
import os
import select
import signal
import socket
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import structlog

from config.database import make_engine
from config.logs import configure_logs
from config.metrics import make_metrics
from config.settings import Settings, load_settings
from ledger.announce import Announcer
from ledger.checkpoints import Checkpointer
from ledger.commits import Commits, Item
from ledger.store import Ledger
from ledger.wire import pack_outcomes, unpack
from ledger.writer import IGNORED

if TYPE_CHECKING:
    from dramatiq import Broker

PATIENCE_S = 5.0
# For one statement. Its senders have been answered 503 by then; who comes next should not have to wait for it too.

MAX_BATCH_EVENTS = 256

RECEIVED_AT_ONCE = 64 * 1024
# Bytes. For a buffer of 128 KB and more the C library asks the kernel, page by page as it is filled, and gives it back:
# 60 us each time, ten times what it takes to receive a batch. More than this comes in several parts.

MANY = 12
FEW = 4
GATHER_S = 0.0005
# While more than a few come at a time, a commit waits so long for many: each costs as much as ten events more. Whoever
# comes alone is written at once.

SWITCH_S = 0.0005
# Whoever commits comes back from the disk often, and after so long takes the interpreter's lock from the other threads:
# they have time.

STOP_S = 1.0
# For each thread.

LATEST_S = 4.0
# For all that is left to do when the web process is gone. It may wait for a lock that nobody gives back.

EXIT_STATUS = 70

log = structlog.get_logger()


class Inbox:
    """What comes over the line."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._received = bytearray()
        self._items: list[Item] = []
        self._lately = 0  # so many came at a time

    def take(self) -> list[Item]:
        """Wait for events, and give a batch. An empty one: the other end is closed, and nothing is left."""
        while not self._items:
            if not self._receive():
                return []
        if self._lately > FEW:
            self._gather(time.monotonic() + GATHER_S)
        batch, self._items = self._items[:MAX_BATCH_EVENTS], self._items[MAX_BATCH_EVENTS:]
        self._lately = max(self._lately // 2, len(batch))
        return batch

    def _gather(self, until: float) -> None:
        while len(self._items) < MANY and (left_s := until - time.monotonic()) > 0:
            if not select.select([self._line], [], [], left_s)[0] or not self._receive():
                return

    def _receive(self) -> bool:
        some = self._line.recv(RECEIVED_AT_ONCE)
        self._received += some
        self._items += unpack(self._received)
        return bool(some)


def serve(line: socket.socket, commits: Commits) -> None:
    """Say that there is somebody; commit what comes, and say what became of it, until the other end is closed."""
    inbox = Inbox(line)
    try:
        line.sendall(pack_outcomes([]))
        while batch := inbox.take():
            line.sendall(pack_outcomes(commits.write(batch)))
    except ConnectionError:  # the web process was killed: nobody wants to know
        return


def _make_broker(settings: Settings) -> "Broker":
    from config.broker import make_broker  # noqa: PLC0415  # see Announcer

    return make_broker(settings)


def _end_with(line: socket.socket) -> None:
    """End this process soon after the other end is gone, whatever it waits for. What is not committed is undone."""
    hung_up = select.poll()
    hung_up.register(line, 0)  # to hear of POLLHUP only

    def end() -> None:
        hung_up.poll()
        time.sleep(LATEST_S)
        log.critical("writer ends", reason="something hangs at its end")
        os._exit(EXIT_STATUS)

    threading.Thread(target=end, name="end", daemon=True).start()


def _take_line(number: int) -> socket.socket:
    """Give the line the first number that is free: `select` takes none above 1023, and a web process has as many."""
    with socket.socket(fileno=number) as handed:
        return handed.dup()


def main() -> None:
    """Write until nobody is there any more."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, IGNORED)
    sys.setswitchinterval(SWITCH_S)
    settings = load_settings(os.environ)
    configure_logs(development=settings.hookline_dev)
    with _take_line(int(sys.argv[1])) as line:
        _end_with(line)
        metrics = make_metrics(settings)
        ledger = Ledger(make_engine(settings, patience_s=PATIENCE_S))
        checkpointer, announcer = Checkpointer(ledger), Announcer(partial(_make_broker, settings), metrics=metrics)
        checkpointer.start()
        announcer.start()
        gc.freeze()
        commits = Commits(ledger, announcer.ring, metrics=metrics)
        serve(line, commits)
        commits.close()
        checkpointer.stop(STOP_S)
        announcer.stop(STOP_S)
        ledger.close()


if __name__ == "__main__":
    main()
