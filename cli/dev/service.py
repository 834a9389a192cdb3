"""A command that is kept running: whenever it ends it is started again, later and later while it keeps failing."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.dev.guardian import Guardian
from cli.dev.output import Output
from cli.dev.process import Process, how_it_ended, start_process

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0
STEADY_S = 30.0
# A process that ran this long had started well: what ended it has nothing to do with the times before.


@dataclass(slots=True)
class Backoff:
    """How long to wait before the next start."""

    pause_s: float = 0.0

    def after(self, ran_s: float) -> float:
        """Give the pause in seconds after a run of `ran_s` seconds."""
        failing = self.pause_s and ran_s < STEADY_S
        self.pause_s = min(self.pause_s * 2, LONGEST_PAUSE_S) if failing else FIRST_PAUSE_S
        return self.pause_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every process of one `hookline dev` has in common."""

    directory: Path
    environ: Mapping[str, str]
    guardian: Guardian
    output: Output


class Service:
    """One command of the Procfile, or the embedded Valkey."""

    def __init__(self, name: str, command: str, around: Surroundings) -> None:
        self.name = name
        self._command = command
        self._around = around
        self._process: Process | None = None
        self._stopping = asyncio.Event()

    async def keep_running(self, on_end: Callable[[int], None] = lambda _: None) -> None:
        """Start it, and again whenever it ends, until it is told to stop.

        Args:
            on_end: called after each end that nobody asked for, with the number of starts so far.

        """
        backoff = Backoff()
        starts = 0
        while not self._stopping.is_set():
            starts += 1
            started = time.monotonic()
            status = await self._run_once()
            if self._stopping.is_set():
                return
            pause_s = backoff.after(time.monotonic() - started)
            self._around.output.warn(f"{self.name} {how_it_ended(status)}; it is started again in {pause_s:.1f} s")
            on_end(starts)
            await self._pause(pause_s)

    def stop(self) -> None:
        """Ask it to end, and do not start it again."""
        self._stopping.set()
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> bool:
        """End it and all it started at once, and do not start it again. Give whether it was still there."""
        self._stopping.set()
        if self._process is None:
            return False
        self._process.kill()
        return True

    async def _run_once(self) -> int:
        around = self._around
        self._process = process = await start_process(
            self._command,
            directory=around.directory,
            environ=around.environ,
            guardian=around.guardian,
            print_line=lambda line: around.output.line(self.name, line),
        )
        if self._stopping.is_set():  # told to stop while it was being started: it has done nothing yet
            process.kill()
        status = await process.ended()
        self._process = None
        return status

    async def _pause(self, pause_s: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), pause_s)
        except TimeoutError:
            return
