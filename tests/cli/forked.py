"""A program that was forked from the nursery, to wait for and to end as one does with what `subprocess` started."""

import contextlib
import os
import select
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.cli import nursery


class Forked:
    """A process of its own, in a process group of its own. It ends with whoever ordered it."""

    def __init__(
        self, place: Path, words: Sequence[str], *, directory: Path, environ: Mapping[str, str], streams: Sequence[int]
    ) -> None:
        """Have it forked from the nursery at `place`. The three streams remain the caller's to close."""
        self._words = list(words)
        self._connection = socket.socket(socket.AF_UNIX)
        nursery.order(self._connection, place, (self._words, str(directory), dict(environ)), streams)
        self._answers = self._connection.makefile("rb")
        self.pid = int(self._answers.readline())
        self._status: int | None = None

    def poll(self) -> int | None:
        """Give its exit status, negative for a signal; None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; give its exit status. Raises subprocess.TimeoutExpired after so many seconds."""
        if self._status is None:
            ready, _, _ = select.select([self._connection], [], [], timeout)
            if not ready:
                raise subprocess.TimeoutExpired(self._words, timeout or 0)
            self._status = int(self._answers.readline())
            self._answers.close()
            self._connection.close()
        return self._status

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send it SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send it SIGKILL."""
        self.send_signal(signal.SIGKILL)
