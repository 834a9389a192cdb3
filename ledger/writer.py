"""Whom requests hand their events to: it passes them to the process that writes them (`ledger.writing`).

That process is started anew whenever it ends. Whoever waits for it then is told to come again: his event may be on disk
or not, and nobody was told that it is.
"""

import asyncio
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Protocol, TypeAlias, cast

import structlog

from config.metrics import Metrics
from config.settings import CHECKOUT
from ledger.commits import Item, Outcome
from ledger.deadlines import Deadlines
from ledger.errors import LedgerUnavailable
from ledger.event import NewEvent, Receipt
from ledger.wire import pack, unpack_outcomes

MAX_WAITING = 4_096
MAX_WAITING_BYTES = 128 * 1024 * 1024
# Events handed in and not yet on disk. More are refused: an answer in time is worth more than a long queue. The bytes
# count here as well as in `receivers.body`, because a request that gave up waiting leaves its event behind.

HANGS_AFTER = 1.5
# Times as long as a request may wait: a process that owes answers and has given none for longer hangs. Less would turn
# away who comes just after somebody's lock is gone.

KILLED_AFTER_S = 30.0
# When it has owed answers and given none for so long, another one is tried: what it waits for may be itself. Whoever
# handed something in has been sent away by then.

LOOK_S = 1.0

BEGINS_S = 10.0
# How long `start` waits for it. It imports for half a second.

PAUSES_S = (0.0, 0.2, 1.0, 5.0)
SOON_S = 10.0
# Before it is started again, by how often in succession it has ended so soon after its start.

IGNORED = (signal.SIGINT, signal.SIGTERM)
# By the process that writes. They are sent to all of a group: the other end of its line says when it is over.

ENDED = "the process that writes has ended"

log = structlog.get_logger()

Answer: TypeAlias = "asyncio.Future[Any]"


class Hand(Protocol):
    """The process at the other end of a line, or what stands for one."""

    def kill(self) -> None:
        """End it at once."""

    def wait(self) -> int:
        """Wait for its end and give its exit status."""


Hire: TypeAlias = Callable[[socket.socket], Hand]
# Starts somebody who serves this end of a line (`ledger.writing.serve`).


def hire_process(environ: Mapping[str, str], line: socket.socket) -> "subprocess.Popen[bytes]":
    """Start the process that writes. Of all that is open here it inherits the line.

    It works in this process's directory, or a path that is not absolute (HOOKLINE_DATA_DIR, a file of DATABASE_URL)
    would lead it to another ledger than everybody else's. What it imports it finds without that.
    """
    found = os.pathsep.join(filter(None, [str(CHECKOUT), environ.get("PYTHONPATH")]))
    words = [sys.executable, "-P", "-m", "ledger.writing", str(line.fileno())]
    with _signals_put_off():
        return subprocess.Popen(  # noqa: S603  # our own words
            words, env={**environ, "PYTHONPATH": found}, stdin=subprocess.DEVNULL, pass_fds=[line.fileno()]
        )


@contextmanager
def _signals_put_off() -> Iterator[None]:
    """Keep what is sent to a whole group from who is started here: he ignores it when he has imported what he needs."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, IGNORED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Writer:
    """The only way for new events from this process into the ledger. All of its requests are in one event loop."""

    def __init__(self, hire: Hire, *, metrics: Metrics, killed_after_s: float = KILLED_AFTER_S) -> None:
        """Take what starts a process, and where it is counted how often one has ended."""
        self._hire = hire
        self._killed_after_s = killed_after_s
        self._metrics = metrics
        self._line: _Line | None = None
        self._deadlines: Deadlines | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._begun = asyncio.Event()
        self._hired: _Hired | None = None
        self._hired_by = 0  # the process's id

    def hire(self) -> None:
        """Start the first process before there is an event loop: it takes half a second until it can write.

        Where that cannot be done, `start` tries it again. A process that is forked before `start` has one of its own.
        """
        with suppress(OSError):
            self._hired, self._hired_by = _start(self._hire), os.getpid()

    @property
    def committed_at(self) -> float:
        """Monotonic seconds of the last commit of the process that there is."""
        return -math.inf if self._line is None else self._line.committed_at

    async def start(self) -> None:
        """Start a process and wait until it is ready; after BEGINS_S it is waited for by those who come."""
        self._keeping = asyncio.create_task(self._keep())
        with suppress(TimeoutError):
            async with asyncio.timeout(BEGINS_S):
                await self._begun.wait()

    async def stop(self, timeout_s: float = 5.0) -> None:
        """Have it write what was handed in and ring for it, and wait for its end. Kill it if that takes longer."""
        if self._keeping is not None:
            self._keeping.cancel()
        if hired := self._take_hired():  # it was not begun with
            await asyncio.to_thread(_dismiss, *hired)
        line, self._line = self._line, None
        if line is not None:
            await line.end(timeout_s)

    async def append(self, event: NewEvent, *, timeout_s: float) -> Receipt:
        """Make an event durable. When this returns, it is on disk.

        Raises:
            LedgerUnavailable: it cannot be said that the event is on disk. It may be all the same: then the
                sender's next try is a duplicate.

        """
        try:
            receipt: Receipt = await self._hand_in(event, timeout_s)
        except asyncio.CancelledError:  # uvicorn, at the end of its graceful shutdown: it would answer 500
            raise LedgerUnavailable("this process ends") from None
        return receipt

    async def probe(self, *, timeout_s: float) -> None:
        """Commit something of no importance, to see that it can be done. Raises LedgerUnavailable."""
        try:
            await self._hand_in(None, timeout_s)
        except asyncio.CancelledError:
            raise LedgerUnavailable("this process ends") from None

    def _hand_in(self, item: Item, timeout_s: float) -> Answer:
        """Give what will be answered: a receipt, or none for a probe, or LedgerUnavailable."""
        line = self._line
        if line is None:
            raise LedgerUnavailable("the process that writes is not there")
        if line.silent_s() > HANGS_AFTER * timeout_s:
            # Whoever joins that queue would wait as long for nothing, and hear what can be said at once.
            raise LedgerUnavailable("the ledger does not answer")
        answer = line.send(item)
        deadlines = self._deadlines
        if deadlines is None or deadlines.timeout_s != timeout_s:
            # Those that were there till now go on: their loop knows them.
            deadlines = self._deadlines = Deadlines(line.loop, timeout_s)
        deadlines.mind(answer)
        return answer

    async def _keep(self) -> None:
        """Have one process after the other, each as long as it lives."""
        ended_soon = 0
        while True:
            began = time.monotonic()
            try:
                self._line = await _open(self._take_hired() or _start(self._hire), self._begun)
                await self._mind(self._line)
            except OSError as error:
                log.critical("writer cannot be started", error=str(error))
            except Exception:  # no thread is left, for one; without another try, nothing would be accepted ever again
                log.critical("writer cannot be minded", exc_info=True)
            ended_soon = ended_soon + 1 if time.monotonic() - began < SOON_S else 0
            await asyncio.sleep(PAUSES_S[min(ended_soon, len(PAUSES_S) - 1)])

    def _take_hired(self) -> "_Hired | None":
        hired, self._hired = self._hired, None
        if hired is None or self._hired_by == os.getpid():
            return hired
        # We were forked: two at one line would each take the other's answers for its own.
        ours, _ = hired
        ours.close()
        return None

    async def _mind(self, line: "_Line") -> None:
        while not await line.ends_within(LOOK_S):
            if line.silent_s() > self._killed_after_s:
                log.critical("writer killed", reason=f"it has not answered for {self._killed_after_s:g} s")
                line.kill()
                await line.ended()  # not before the disk lets go of it, if that is what hangs
        self._line = None
        self._metrics.writer_ended()
        log.critical("writer ended", exit_status=await line.exit_status(), left="it is started again")


_Hired: TypeAlias = tuple[socket.socket, Hand]
# Our end of a line, and who has the other.


def _start(hire: Hire) -> _Hired:
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            return ours, hire(theirs)
        except BaseException:
            ours.close()
            raise


def _dismiss(ours: socket.socket, hand: Hand) -> None:
    hand.kill()
    hand.wait()
    ours.close()


async def _open(hired: _Hired, begun: asyncio.Event) -> "_Line":
    loop = asyncio.get_running_loop()
    ours, hand = hired
    _, line = await loop.create_unix_connection(lambda: _Line(loop, hand, begun), sock=ours)
    return line


class _Line(asyncio.Protocol):
    """A line to one process, as the event loop sees it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, hand: Hand, begun: asyncio.Event) -> None:
        self.loop = loop
        self.committed_at = -math.inf  # monotonic seconds
        self._hand = hand
        self._silent_since = math.inf  # it owes an answer, and has given none since then (monotonic seconds)
        self._waiting: deque[tuple[int, Answer]] = deque()  # each with its size in bytes
        self._waiting_bytes = 0
        self._received = bytearray()
        self._begun = begun  # set when it says something: that it is there, at first
        self._closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, item: Item) -> Answer:
        """Hand something in. Give what will be answered. Raises LedgerUnavailable."""
        if self._closed.is_set() or self._transport.is_closing():
            raise LedgerUnavailable(ENDED)
        size = 0 if item is None else len(item.body)
        if len(self._waiting) >= MAX_WAITING or self._waiting_bytes + size > MAX_WAITING_BYTES:
            raise LedgerUnavailable("too much is waiting to be written")
        try:
            self._transport.writelines(pack(item))
        except ValueError as error:
            log.exception("event cannot be handed over")
            raise LedgerUnavailable(type(error).__name__) from error
        if not self._waiting:
            self._silent_since = time.monotonic()
        answer = self.loop.create_future()
        self._waiting.append((size, answer))
        self._waiting_bytes += size
        return answer

    def silent_s(self) -> float:
        """Say for how many seconds it has owed answers and given none."""
        return time.monotonic() - self._silent_since

    def data_received(self, data: bytes) -> None:
        """Wake those of whom there is news."""
        self._begun.set()
        self._received += data
        for outcome in unpack_outcomes(self._received):
            size, answer = self._waiting.popleft()
            self._waiting_bytes -= size
            if not isinstance(outcome, LedgerUnavailable):
                self.committed_at = time.monotonic()
            _settle(answer, outcome)
        self._silent_since = time.monotonic() if self._waiting else math.inf

    def connection_lost(self, _error: Exception | None) -> None:
        """Send away all who wait: nothing more is known of their events."""
        self._closed.set()
        for _, answer in self._waiting:
            _settle(answer, LedgerUnavailable(ENDED))
        self._waiting.clear()

    async def ends_within(self, timeout_s: float) -> bool:
        """Wait until it has ended, but not for longer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._closed.wait()
        return self._closed.is_set()

    async def ended(self) -> None:
        """Wait until it has ended."""
        await self._closed.wait()

    def kill(self) -> None:
        """End it at once."""
        self._hand.kill()

    async def exit_status(self) -> int:
        """Wait until it is gone, which it is soon."""
        return await asyncio.to_thread(self._hand.wait)

    async def end(self, timeout_s: float) -> None:
        """Tell it that nothing more comes, and wait for its end; after `timeout_s` it is killed."""
        if not self._transport.is_closing():
            self._transport.write_eof()
        if not await self.ends_within(timeout_s):
            self.kill()
        await self.exit_status()


def _settle(answer: Answer, outcome: Outcome) -> None:
    if answer.done():  # its request has stopped waiting
        return
    if isinstance(outcome, LedgerUnavailable):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)
