"""The supervisor: starts everything in order, keeps it running, and ends it within ten seconds."""

import asyncio
import os
import signal
import time
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.dev.errors import ProcessFailed
from cli.dev.guardian import Guardian, start_guardian
from cli.dev.output import Output
from cli.dev.readiness import until_ready
from cli.dev.service import Service, Surroundings
from cli.dev.valkey import wait_for_socket

GRACE_S = 8.0
BACKEND_GRACE_S = 1.0
# Nine seconds in all, of the ten that are promised.

BACKEND_START_S = 5.0

WEB = "web"
BACKEND = "valkey"

WEB_TRIES = 5

ECHO_S = 0.5
# One Ctrl-C can arrive twice, as when make passes on what the terminal sent to both; a second one comes later.

POLL_S = 0.25

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run.

    Attributes:
        commands: the Procfile's processes, by name, without its release command.
        backend: the embedded Valkey's command, or None when the environment names another broker.
        backend_socket: where it listens.
        environ: the environment of every process.
        directory: where they run.
        web_url: where the web process can be asked whether it is ready.
        web_first_s: the others start when it is ready, or after so long.
        hint: what to try next.
        parent: stop when this process is no longer our parent; None to outlive it.
        keep_open: file descriptors that the guardian holds as long as a process is left.
        started: `time.monotonic()` when the person pressed return, as near as we know.

    """

    commands: Mapping[str, str]
    backend: str | None
    backend_socket: Path
    environ: Mapping[str, str]
    directory: Path
    web_url: str
    web_first_s: float
    hint: str
    parent: int | None
    keep_open: tuple[int, ...]
    started: float


class Stop:
    """The wish to stop: asked for once, and a second time by who will not wait."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.impatient = asyncio.Event()
        self._asked_at = 0.0

    def ask(self) -> None:
        """Stop; asked again, at once."""
        if not self.asked.is_set():
            self._asked_at = time.monotonic()
            self.asked.set()
        elif time.monotonic() - self._asked_at > ECHO_S:
            self.impatient.set()


class Services:
    """Everything that is kept running: the embedded Valkey and the web process first, then the Procfile's others."""

    def __init__(self, plan: Plan, around: Surroundings) -> None:
        self._plan = plan
        self._around = around
        self._ready = False
        self._web_failed = asyncio.Event()
        self._tasks: dict[Service, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Start everything, say when it is ready, and stay until a part of this program itself fails.

        Raises:
            ProcessFailed: the web process ended again and again before it was ready.

        """
        plan = self._plan
        others = dict(plan.commands)
        if plan.backend is not None:
            self._start(BACKEND, plan.backend)
        self._start(WEB, others.pop(WEB))
        if plan.backend is not None:
            await wait_for_socket(plan.backend_socket, timeout_s=BACKEND_START_S)
        await first_of(self._web_first(), self._web_given_up(), self._a_task_failed())
        for name, command in others.items():
            self._start(name, command)
        await first_of(self._stay(), self._web_given_up(), self._a_task_failed())

    async def stop(self, impatient: asyncio.Event) -> None:
        """End everything: Valkey last, because the others still write to it."""
        backend = [service for service in self._tasks if service.name == BACKEND]
        others = [service for service in self._tasks if service.name != BACKEND]
        await self._end(others, GRACE_S, impatient)
        await self._end(backend, BACKEND_GRACE_S, impatient)

    def _start(self, name: str, command: str) -> None:
        service = Service(name, command, self._around)
        on_end = self._count_web_failure if name == WEB else lambda _: None
        self._tasks[service] = asyncio.create_task(service.keep_running(on_end))

    def _count_web_failure(self, starts: int) -> None:
        if not self._ready and starts >= WEB_TRIES:
            self._web_failed.set()

    async def _web_first(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._plan.web_first_s):
                await until_ready(self._plan.web_url)

    async def _stay(self) -> None:
        """Say when it is ready, and stay."""
        plan = self._plan
        await until_ready(plan.web_url)
        self._ready = True
        took_s = time.monotonic() - plan.started
        self._around.output.announce(f"ready in {took_s:.1f} s — {plan.web_url} — next, in another shell: {plan.hint}")
        await asyncio.Event().wait()

    async def _a_task_failed(self) -> None:
        """Watch for a mistake of our own: the services' ends are not exceptions."""
        done, _ = await asyncio.wait(self._tasks.values(), return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()

    async def _web_given_up(self) -> None:
        await self._web_failed.wait()
        raise ProcessFailed(f"the web process ended {WEB_TRIES} times before it was ready: its lines above say why")

    async def _end(self, services: Sequence[Service], grace_s: float, impatient: asyncio.Event) -> None:
        tasks = [self._tasks[service] for service in services]
        if not tasks:
            return
        for service in services:
            service.stop()
        await first_of(asyncio.wait(tasks), asyncio.sleep(grace_s), impatient.wait())
        for service in services:
            if service.kill():
                self._around.output.warn(f"{service.name} did not end in time and was killed")
        await asyncio.wait(tasks)


async def supervise(plan: Plan, output: Output) -> None:
    """Run everything until a signal says stop. When this returns or raises, nothing is left running.

    Raises:
        ProcessFailed: something that nothing works without does not stay up.

    """
    stop = Stop()
    output.when_lost(stop.ask)
    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.ask)
    guardian = start_guardian(keep_open=plan.keep_open)
    services = Services(
        plan, Surroundings(directory=plan.directory, environ=plan.environ, guardian=guardian, output=output)
    )
    try:
        await first_of(stop.asked.wait(), services.run(), _guardian_lost(guardian), _parent_lost(plan.parent))
    finally:
        output.say("stopping")
        await services.stop(stop.impatient)
        guardian.dismiss()


async def first_of(*waits: Coroutine[Any, Any, object]) -> None:
    """Wait until one of these is done or has failed, and cancel the others."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in done:
        task.result()


async def _guardian_lost(guardian: Guardian) -> None:
    """Watch who watches us: without it, a kill -9 would leave processes behind."""
    while guardian.process.poll() is None:  # noqa: ASYNC110  # another process sets no Event
        await asyncio.sleep(POLL_S)
    raise ProcessFailed("the guardian process is gone, so nothing would end the others after a kill -9: start again")


async def _parent_lost(parent: int | None) -> None:
    """Return when `parent` is no longer our parent: it was killed, and nobody else will stop us."""
    while parent is None or os.getppid() == parent:  # noqa: ASYNC110  # another process sets no Event
        await asyncio.sleep(POLL_S)
