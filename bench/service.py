"""What is measured: Hookline's own processes by their lines of the Procfile, and peers under the same server."""

import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from cli.dev.procfile import read_procfile
from config.settings import CHECKOUT
from tests.cli.dev.waiting import wait_until
from tests.servers.ports import unused_port
from tests.system.process import Process
from tests.system.service import START_S, VALKEY, Service, clean_environ

APP = "receivers.app:create_app"
SETUP = "workers.main:setup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A peer's web process."""

    port: int
    pid: int


@contextmanager
def directory(place: Path, name: str) -> Iterator[Path]:
    """Make a directory for one benchmark, on the disk that is measured, and delete it at the end."""
    made = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=place))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def hookline(
    place: Path,
    *names: str,
    checkout: Path = CHECKOUT,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Service]:
    """Run these processes of Hookline (`web`, `worker`, `sweeper`) and the embedded Valkey."""
    service = Service(place, checkout=checkout, environ=environ)
    try:
        service.start(VALKEY, *names)
        yield service
    finally:
        service.close()


@contextmanager
def web_peer(place: Path, app: str, environ: Mapping[str, str]) -> Iterator[Peer]:
    """Run another app under the very command line of our web process."""
    port = unused_port()
    command = read_procfile(CHECKOUT / "Procfile")["web"].replace(APP, app)
    name = app.partition(":")[0].rpartition(".")[2]
    with process(place, name, command, {**environ, "PORT": str(port)}) as running:
        wait_until(lambda: listens(port) or not running.runs(), timeout_s=START_S)
        yield Peer(port=port, pid=running.pid)


@contextmanager
def worker_peer(place: Path, setup: str, environ: Mapping[str, str]) -> Iterator[Process]:
    """Run another Dramatiq worker under the very command line of ours."""
    command = read_procfile(CHECKOUT / "Procfile")["worker"].replace(SETUP, setup)
    with process(place, setup.partition(":")[0], command, environ) as running:
        yield running


@contextmanager
def process(place: Path, name: str, command: str, environ: Mapping[str, str] | None = None) -> Iterator[Process]:
    """Run a command and end it, with all that it started, at the end."""
    running = Process(
        name,
        command,
        directory=CHECKOUT,
        environ=clean_environ() | dict(environ or {}),
        log=place / f"{name}.log",
    )
    running.start()
    try:
        yield running
    finally:
        running.close()


def end_in_order() -> None:
    """Let SIGTERM end this process as Ctrl-C does, so that whatever it started is ended as well."""
    signal.signal(signal.SIGTERM, _end)


def _end(number: int, _frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second one would cut off what ends the others
    sys.exit(128 + number)


def listens(port: int) -> bool:
    """Say whether somebody accepts connections here."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def valkey(service: Service) -> redis.Redis:
    """Connect to a service's broker."""
    return redis.Redis.from_url(service.settings.resolved_redis_url)
