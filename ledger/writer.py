"""Group commit: one thread writes what concurrent requests hand in, so that they share the price of one fsync."""

import asyncio
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import structlog
from sqlalchemy import Connection

from config.metrics import Metrics
from ledger.append import Appended, Doorbells, Room, append
from ledger.deadlines import Deadlines
from ledger.errors import LedgerUnavailable
from ledger.event import NewEvent, Receipt
from ledger.store import Ledger, insert_or_ignore
from ledger.tables import probes

MAX_BATCH_EVENTS = 256
MAX_BATCH_BYTES = 32 * 1024 * 1024
# A batch is held up by its largest bodies; the bound keeps small events from waiting behind many of those.

MAX_WAITING = 4_096
MAX_WAITING_BYTES = 128 * 1024 * 1024
# Events handed in and not yet on disk. More are refused: an answer in time is worth more than a long queue. The bytes
# count here as well as in `receivers.body`, because a request that gave up waiting leaves its event behind.

WRITE, END = "write", "end"
# What the thread is called for.

MAX_GATHER_S = 0.01
# While each round of the event loop brings more, they wait for each other so long: on a fast disk a commit is over
# before the next request is verified, and every one of them would pay for its own.

HANGS_AFTER = 1.5
# Times as long as a request may wait: a batch that is under way for longer hangs. Less would turn away who comes just
# after somebody's lock is gone.

log = structlog.get_logger()

Outcome = Receipt | LedgerUnavailable
Answer: TypeAlias = "asyncio.Future[Any]"


class _Waiter(NamedTuple):
    event: NewEvent | None  # None: only asks whether a commit is possible
    size: int  # bytes
    future: Answer


class Writer:
    """The only writer of new events in its process, whose requests are all in one event loop."""

    def __init__(self, ledger: Ledger, on_commit: Callable[[Doorbells], None], *, metrics: Metrics) -> None:
        """Take what is needed.

        Args:
            ledger: where to write.
            on_commit: told which deliveries to announce, after each commit, in the writer's thread.
            metrics: where commits are counted.

        """
        self._ledger = ledger
        self._on_commit = on_commit
        self._metrics = metrics
        self._room = Room()
        self._waiting: deque[_Waiter] = deque()
        self._waiting_bytes = 0
        self._calls: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._called = False  # the thread was, or will be: until that batch is answered, what comes is the next one
        self._deadlines: Deadlines | None = None
        self._writing_since = math.inf  # monotonic seconds
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self.committed_at = float("-inf")  # monotonic seconds of the last commit

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Write what was handed in, then end."""
        self._calls.put(END)
        self._thread.join(timeout_s)

    async def append(self, event: NewEvent, *, timeout_s: float) -> Receipt:
        """Make an event durable. When this returns, it is on disk.

        Raises:
            LedgerUnavailable: it cannot be said that the event is on disk. It may be all the same: then the
                sender's next try is a duplicate.

        """
        try:
            receipt: Receipt = await self._hand_in(event, len(event.body), timeout_s)
        except asyncio.CancelledError:  # uvicorn, at the end of its graceful shutdown: it would answer 500
            raise LedgerUnavailable("this process ends") from None
        return receipt

    async def probe(self, *, timeout_s: float) -> None:
        """Commit something of no importance, to see that it can be done. Raises LedgerUnavailable."""
        try:
            await self._hand_in(None, 0, timeout_s)
        except asyncio.CancelledError:
            raise LedgerUnavailable("this process ends") from None

    def _hand_in(self, event: NewEvent | None, size: int, timeout_s: float) -> Answer:
        """Give what will be answered: a receipt, or none for a probe, or LedgerUnavailable."""
        loop = asyncio.get_running_loop()
        if len(self._waiting) >= MAX_WAITING or self._waiting_bytes + size > MAX_WAITING_BYTES:
            raise LedgerUnavailable("too much is waiting to be written")
        if time.monotonic() - self._writing_since > HANGS_AFTER * timeout_s:
            # Whoever joins that queue would wait as long for nothing, and hear what can be said at once.
            raise LedgerUnavailable("the ledger does not answer")
        self._loop = loop
        answer = loop.create_future()
        self._waiting_bytes += size
        self._waiting.append(_Waiter(event, size, answer))
        self._call_soon(loop)
        self._deadlines_of(loop, timeout_s).mind(answer)
        return answer

    def _deadlines_of(self, loop: asyncio.AbstractEventLoop, timeout_s: float) -> Deadlines:
        deadlines = self._deadlines
        if deadlines is None or deadlines.loop is not loop or deadlines.timeout_s != timeout_s:
            # Those that were there till now go on: their loop knows them.
            deadlines = self._deadlines = Deadlines(loop, timeout_s)
        return deadlines

    def _call_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        """Call the thread when the loop has gone round without bringing anything more.

        Who comes alone is written at once. Of several, each would wake the thread and pay for a commit of its own. A
        thread that is at work is not called: each call would make it fight the loop for the interpreter's lock.
        """
        if self._called:
            return
        self._called = True
        loop.call_soon(self._call, loop, 0, loop.time() + MAX_GATHER_S)

    def _call(self, loop: asyncio.AbstractEventLoop, seen: int, until: float) -> None:
        if seen < len(self._waiting) < MAX_BATCH_EVENTS and loop.time() < until:
            loop.call_soon(self._call, loop, len(self._waiting), until)
            return
        self._calls.put(WRITE)

    def _run(self) -> None:
        while self._calls.get() != END:
            self._write(self._collect())
        while batch := self._collect():
            self._write(batch)

    def _collect(self) -> list[_Waiter]:
        batch: list[_Waiter] = []
        size = 0
        while self._waiting and len(batch) < MAX_BATCH_EVENTS and size < MAX_BATCH_BYTES:
            batch.append(self._waiting.popleft())
            size += batch[-1].size
        return batch

    def _write(self, batch: Sequence[_Waiter]) -> None:
        self._writing_since = time.monotonic()
        events = [waiter.event for waiter in batch if waiter.event is not None]
        try:
            outcomes = self._commit(events, probe=len(events) < len(batch))
        except LedgerUnavailable as error:
            log.warning("commit failed", error=str(error), events=len(events))
            outcomes = [error] * len(events)
            failed_probe: LedgerUnavailable | None = error
        else:
            failed_probe = None
        remaining = iter(outcomes)
        self._writing_since = math.inf
        answers = [(waiter, failed_probe if waiter.event is None else next(remaining)) for waiter in batch]
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._settle, self._loop, answers)

    def _commit(self, events: Sequence[NewEvent], *, probe: bool) -> Sequence[Outcome]:
        began = time.monotonic()
        try:
            appended = self._transact(events, probe=probe)
        except LedgerUnavailable:
            raise
        except Exception as error:
            # Not the database but one of the rows: find it, so that its neighbours get in. Nothing may end this
            # thread: a process that cannot write and goes on listening is worse than a refused event.
            if not events:  # a probe alone: there is no row to blame
                raise LedgerUnavailable(type(error).__name__) from error
            if len(events) == 1 and not probe:
                log.exception("event cannot be written")
                return [LedgerUnavailable(type(error).__name__)]
            outcomes = [outcome for event in events for outcome in self._commit([event], probe=False)]
            if probe:
                self._commit([], probe=True)
            return outcomes
        self.committed_at = time.monotonic()
        if events:
            self._metrics.committed(events=len(events), seconds=self.committed_at - began)
        if appended.doorbells:
            self._on_commit(appended.doorbells)
        return appended.receipts

    def _transact(self, events: Sequence[NewEvent], *, probe: bool) -> Appended:
        with self._ledger.write() as db:
            appended = append(db, events, self._room) if events else Appended([], {})
            if probe:
                touch(db)
        return appended

    def _settle(self, loop: asyncio.AbstractEventLoop, answers: Sequence[tuple[_Waiter, Outcome | None]]) -> None:
        """Wake the waiters of a batch, and have written what came meanwhile. In the event loop."""
        for waiter, outcome in answers:
            self._waiting_bytes -= waiter.size
            if waiter.future.done():  # its request has stopped waiting
                continue
            if isinstance(outcome, LedgerUnavailable):
                waiter.future.set_exception(outcome)
            else:
                waiter.future.set_result(outcome)
        self._called = False
        if self._waiting:
            self._call_soon(loop)


def touch(db: Connection) -> None:
    """Write something of no importance."""
    statement = insert_or_ignore(db, probes).values(id=1, at=0)
    db.execute(statement)
    db.execute(probes.update().values(at=time.time()))
