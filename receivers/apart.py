"""Read large bodies in a process of their own.

To parse 25 MB of JSON takes a quarter of a second, during which no other thread of the process gets the interpreter's
lock: everybody would wait for one sender. The process starts with the first large body and is ended when none has come
for a while; it reads one at a time, and a body that takes more memory or time than any real one ends it.
"""

import asyncio
import os
import resource
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe

import structlog

from config.settings import CHECKOUT
from ledger.errors import LedgerUnavailable
from receivers.provider import MIB, Handshake, Incoming, Provider, Request
from receivers.providers import load_providers

IDLE_S = 60.0
# It holds 50 MB while it waits.

TRIES = 2
# Somebody may have ended it, and it was not the body's fault.

ANSWER_S = 10.0
# It answers in under a second. One that hangs would keep all who come after from their answers.

PATIENCE_S = 30.0
# For the answer, and those before it. GitHub waits no longer than 10 s, but does not send again by itself what it was
# refused: an event that is kept late is worth more.

MEMORY_BYTES = 512 * MIB
# 25 MB of GitHub's take 150 to 200. As many brackets take 4 GB and 20 s.

TOO_MUCH_MEMORY = f"it takes more than {MEMORY_BYTES // MIB} MiB of memory to read"

NO_TRACE = {"RUST_BACKTRACE": "0"}
# The parser would hang over its own obituary, for which there is no memory either.

END_S = 10.0
# For a process that has let go of the connection.

NICENESS = 5
# Small events go first.

log = structlog.get_logger()


class Apart:
    """The process, as whoever has something to read sees it. One thread starts it, asks it and ends it."""

    def __init__(self, *, answer_s: float = ANSWER_S, idle_s: float = IDLE_S) -> None:
        """Take how long one body may take, and how long the process waits for another one; starts nothing yet."""
        self._answer_s = answer_s
        self._idle_s = idle_s
        self._thread = ThreadPoolExecutor(1, "apart")  # starts it when there is something to do
        self._child: _Child | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._stopping = False

    async def read(self, provider: Provider, request: Request) -> Incoming | Handshake:
        """Give what `provider.read` says of a request. It is read here where there cannot be another process.

        A body that takes more than MEMORY_BYTES to read is an event all the same: it is named by its headers and its
        hash, and its flaw says so.

        Raises:
            LedgerUnavailable: it was not read in time, or this process ends. Here it would take as long, and nobody
                else would be answered.

        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await loop.run_in_executor(self._thread, self._read, provider, request)
        except TimeoutError:
            raise LedgerUnavailable("too many large bodies were to be read before this one") from None
        except (asyncio.CancelledError, RuntimeError):  # uvicorn, at the end of its graceful shutdown, or stop()
            raise LedgerUnavailable("this process ends") from None
        finally:
            self._end_when_idle(loop)

    def stop(self) -> None:
        """End the process, if there is one. Who still waits for an answer gets LedgerUnavailable."""
        self._stopping = True
        if self._idle is not None:
            self._idle.cancel()
        if child := self._child:
            child.kill()
        self._thread.submit(self._end)
        self._thread.shutdown()

    def _end_when_idle(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = None if self._stopping else loop.call_later(self._idle_s, self._thread.submit, self._end)

    # All that follows runs in the one thread.

    def _read(self, provider: Provider, request: Request) -> Incoming | Handshake:
        for _ in range(TRIES):
            try:
                return self._ask(provider.path, request)
            except TimeoutError:
                raise LedgerUnavailable(f"a large body was not read within {self._answer_s:g} s") from None
            except _Ended as ended:
                log.info("large body not read apart", exit_status=ended.status)
                status = ended.status
            except OSError as error:
                log.warning("large bodies cannot be read apart", error=type(error).__name__)
                return provider.read(request)
            if status == -signal.SIGABRT:
                return _named_only(provider, request)
        if status == -signal.SIGKILL:
            raise LedgerUnavailable("what reads large bodies is killed")
        return provider.read(request)

    def _ask(self, path: str, request: Request) -> Incoming | Handshake:
        if not (self._child or self._stopping):
            self._child = _Child()
        child = self._child
        if child is None or self._stopping:
            raise LedgerUnavailable("this process ends")
        try:
            return child.ask(path, request, self._answer_s)
        except (_Ended, TimeoutError):
            self._child = None
            raise

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.end()


def _named_only(provider: Provider, request: Request) -> Incoming | Handshake:
    """Name what nobody can read as what comes with nothing in it, but for its hash."""
    named = provider.read(request._replace(body=b""))
    return named._replace(flaw=TOO_MUCH_MEMORY) if isinstance(named, Incoming) else named


class _Ended(Exception):
    """The process ended over a body."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status  # or -(the signal)


class _Child:
    def __init__(self) -> None:
        self._given_up = False
        self._connection, theirs = Pipe()
        with theirs:
            words = [sys.executable, "-m", "receivers.apart", str(theirs.fileno())]
            self._process = subprocess.Popen(  # noqa: S603  # our own words
                words, cwd=CHECKOUT, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], env=os.environ | NO_TRACE
            )

    def ask(self, path: str, request: Request, answer_s: float) -> Incoming | Handshake:
        """Have it read. Raises _Ended or TimeoutError, and is over then."""
        patience = threading.Timer(answer_s, self._give_up)
        patience.start()
        try:
            self._connection.send((path, request._replace(body=b"")))
            self._connection.send_bytes(request.body)
            answer: Incoming | Handshake = self._connection.recv()
        except (OSError, EOFError):
            status = self._status()
            raise TimeoutError if self._given_up else _Ended(status) from None
        finally:
            patience.cancel()
        return answer

    def _give_up(self) -> None:
        self._given_up = True
        self.kill()

    def _status(self) -> int:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        return self.end()

    def kill(self) -> None:
        """Have whoever waits for its answer wait no longer. Any thread may."""
        self._process.kill()

    def end(self) -> int:
        """End it, and say how it ended."""
        self.kill()
        status = self._process.wait()
        self._connection.close()
        return status


def main() -> None:
    """Read what comes until nobody is there any more."""
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to all of a group: the other end says when it is over
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICENESS)
    _bound(resource.RLIMIT_DATA, MEMORY_BYTES)
    _bound(resource.RLIMIT_CORE, 0)
    providers = {provider.path: provider for provider in load_providers()}
    with Connection(int(sys.argv[1])) as connection:
        while True:
            try:
                path, request = connection.recv()
                body = connection.recv_bytes()
                connection.send(_read_within_bounds(providers[path], request._replace(body=body)))
            except (EOFError, OSError):
                return


def _bound(limit: int, value: int) -> None:
    _, most = resource.getrlimit(limit)
    resource.setrlimit(limit, (value if most == resource.RLIM_INFINITY else min(value, most), most))


def _read_within_bounds(provider: Provider, request: Request) -> Incoming | Handshake:
    """Read, and end as the parser ends when there is no memory left for it: some of it raises instead."""
    try:
        return provider.read(request)
    except BaseException as error:  # a panic of the parser's is no Exception
        if isinstance(error, Exception) and not isinstance(error, MemoryError):
            raise
        os.abort()


if __name__ == "__main__":
    main()
