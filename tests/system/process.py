"""One real process of the service: started by its line of the Procfile, ended by its id, its output in a file."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.cli.dev.waiting import descendants, wait_until
from tests.cli.forked import Forked

END_S = 60.0


class Process:
    """A command in a process group of its own. It may be started again after it has ended."""

    def __init__(
        self,
        name: str,
        command: str,
        *,
        directory: Path,
        environ: Mapping[str, str],
        log: Path,
        nursery: Path | None = None,
    ) -> None:
        """Say how it is to run; with a nursery, it is forked there, which takes a fifth of a start."""
        self.name = name
        self._command = command
        self._directory = directory
        self._environ = dict(environ)
        self._log = log
        self._nursery = nursery
        self._running: subprocess.Popen[bytes] | Forked | None = None
        self._mark = 0

    def start(self) -> None:
        """Start it; what it printed earlier stays in its file."""
        self._log.touch()
        self._mark = self._log.stat().st_size
        with self._log.open("ab") as log, Path(os.devnull).open("rb") as nothing:
            streams = (nothing.fileno(), log.fileno(), log.fileno())
            self._running = self._run(*streams) if self._nursery is None else self._fork(self._nursery, streams)

    def _run(self, nothing: int, out: int, err: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["sh", "-c", f"exec {self._command}"],
            cwd=self._directory,
            env=self._environ,
            stdin=nothing,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )

    def _fork(self, nursery: Path, streams: Sequence[int]) -> Forked:
        says = subprocess.run(
            ["sh", "-c", f"printf '%s\\n' {self._command}"], env=self._environ, stdout=subprocess.PIPE, check=True
        )
        words = says.stdout.decode().splitlines()
        return Forked(nursery, words, directory=self._directory, environ=self._environ, streams=streams)

    @property
    def pid(self) -> int:
        return self._started.pid

    @property
    def _started(self) -> subprocess.Popen[bytes] | Forked:
        assert self._running is not None, f"{self.name} was not started"
        return self._running

    def printed(self) -> str:
        """Give all that it ever printed."""
        return self._log.read_text() if self._log.exists() else ""

    def printed_since_start(self) -> str:
        """Give what it printed since it was started last."""
        return self._log.read_bytes()[self._mark :].decode()

    def runs(self) -> bool:
        return self._running is not None and self._running.poll() is None

    def wait_for_line(self, text: str, *, timeout_s: float) -> None:
        """Wait until it has printed something since its start; fail when it ends before that."""
        wait_until(lambda: text in self.printed_since_start() or not self.runs(), timeout_s=timeout_s)
        assert text in self.printed_since_start(), f"{self.name} ended: {self.printed_since_start()}"

    def wait_for_end(self, *, timeout_s: float = END_S) -> int:
        """Wait until it ends by itself; give its exit status, negative for a signal."""
        return self._started.wait(timeout_s)

    def kill(self) -> None:
        """Send kill -9 to the process and wait until it is gone. What it started is left as it is."""
        self._started.kill()
        self._started.wait()

    def kill_children(self) -> None:
        """Send kill -9 to all that it started, but not to itself."""
        for pid in descendants(self.pid):
            os.kill(pid, signal.SIGKILL)

    def terminate(self) -> None:
        """Send SIGTERM to the process, as a process manager does."""
        self._started.send_signal(signal.SIGTERM)

    def stop(self, *, timeout_s: float = END_S) -> float:
        """Send SIGTERM and wait. Give how long it took."""
        began = time.monotonic()
        self.terminate()
        self.wait_for_end(timeout_s=timeout_s)
        return time.monotonic() - began

    def close(self) -> None:
        """End it and all that it started, whatever state they are in."""
        if self._running is None:
            return
        with contextlib.suppress(ProcessLookupError):
            # The group is ours alone: its id is that of the process that we started.
            os.killpg(self._running.pid, signal.SIGKILL)
        self._running.wait()
