"""Read large bodies in a process of their own.

To parse 25 MB of JSON takes a quarter of a second, during which no other thread of the process gets the interpreter's
lock: everybody would wait for one sender. The process starts with the first large body and ends when none has come for
a while; it reads one at a time.
"""

import os
import signal
import subprocess
import sys
import threading
from multiprocessing.connection import Connection, Pipe

import structlog

from config.settings import CHECKOUT
from ledger.errors import LedgerUnavailable
from receivers.provider import Handshake, Incoming, Provider, Request
from receivers.providers import load_providers

IDLE_S = 60.0
# It holds 50 MB while it waits.

TRIES = 2
# It may have ended for want of something to do in the very moment when something came.

ANSWER_S = 10.0
# It answers in under a second. One that hangs would keep all who come after from their answers. GitHub waits no longer.

NICENESS = 5
# Small events go first.

log = structlog.get_logger()


class Apart:
    """The process, as whoever has something to read sees it. Threads may share it."""

    def __init__(self, answer_s: float = ANSWER_S) -> None:
        self._answer_s = answer_s
        self._turn = threading.Lock()
        self._child: _Child | None = None

    def read(self, provider: Provider, request: Request) -> Incoming | Handshake:
        """Give what `provider.read` says of a request. It is read here where there cannot be another process.

        Raises:
            LedgerUnavailable: it was not read in time. Here it would take as long, and nobody else would be answered.

        """
        for _ in range(TRIES):
            try:
                return self._ask(provider.path, request)
            except TimeoutError:
                raise LedgerUnavailable(f"a large body was not read within {self._answer_s:g} s") from None
            except (OSError, EOFError) as error:
                log.info("large body not read apart", error=type(error).__name__)
        return provider.read(request)

    def stop(self) -> None:
        """End the process, if there is one."""
        child, self._child = self._child, None
        if child is not None:
            child.end()

    def _ask(self, path: str, request: Request) -> Incoming | Handshake:
        with self._turn:
            self._child = self._child or _Child()
            try:
                return self._child.ask(path, request, self._answer_s)
            except (OSError, EOFError):
                self.stop()
                raise


class _Child:
    def __init__(self) -> None:
        self._given_up = False
        self._connection, theirs = Pipe()
        with theirs:
            words = [sys.executable, "-m", "receivers.apart", str(theirs.fileno())]
            self._process = subprocess.Popen(  # noqa: S603  # our own words
                words, cwd=CHECKOUT, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )

    def ask(self, path: str, request: Request, answer_s: float) -> Incoming | Handshake:
        patience = threading.Timer(answer_s, self._give_up)
        patience.start()
        try:
            self._connection.send((path, request._replace(body=b"")))
            self._connection.send_bytes(request.body)
            answer: Incoming | Handshake = self._connection.recv()
        except (OSError, EOFError):
            if self._given_up:
                raise TimeoutError from None
            raise
        finally:
            patience.cancel()
        return answer

    def _give_up(self) -> None:
        self._given_up = True
        self._process.kill()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._connection.close()


def main() -> None:
    """Read what comes until nobody is there any more, or nothing has come for a while."""
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to all of a group: the other end says when it is over
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICENESS)
    providers = {provider.path: provider for provider in load_providers()}
    with Connection(int(sys.argv[1])) as connection:
        while connection.poll(IDLE_S):
            try:
                path, request = connection.recv()
                connection.send(providers[path].read(request._replace(body=connection.recv_bytes())))
            except (EOFError, OSError):
                return


if __name__ == "__main__":
    main()
