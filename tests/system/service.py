"""The service on this machine: the real processes of the Procfile and the real Valkey, each to start, kill, start."""

import logging
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

import httpx

from cli.dev.procfile import read_procfile
from cli.dev.valkey import accepts, prepare_valkey
from config.database import database_url
from config.settings import CHECKOUT, load_settings
from tests.cli.dev.waiting import groups_below, members, wait_until
from tests.cli.shell import standing_for
from tests.engines import SQLITE
from tests.ledger.making import lay_out, migrate
from tests.servers.http import get
from tests.servers.ports import unused_port
from tests.system.ledger_file import LedgerFile
from tests.system.process import Process
from tests.system.secrets import SECRETS

START_S = 60.0
# Several Pythons start at once on two cores that other tests keep busy; two seconds when they do not.

CLI_S = 60.0

VALKEY = "valkey"
DEV = "dev"  # `hookline dev`, which starts all others by itself
OURS = ("web", "worker", "sweeper")


log = logging.getLogger(__name__)


class Service:
    """One Hookline in one directory. What is not started is not there."""

    def __init__(
        self,
        place: Path,
        *,
        checkout: Path = CHECKOUT,
        environ: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] = SECRETS,
        nursery: Path | None = None,
    ) -> None:
        """Say how it is to run; with a nursery, its processes are forked there."""
        self.place = place
        self.checkout = checkout
        self._nursery = nursery
        self.port = unused_port()
        self.environ = clean_environ() | {
            **secrets,
            "HOOKLINE_DATA_DIR": str(place / "var"),
            "PORT": str(self.port),
            **(environ or {}),
        }
        self.settings = load_settings(self.environ)
        self.ledger = LedgerFile(database_url(self.settings))
        self._commands = {**read_procfile(checkout / "Procfile"), DEV: f"{shlex.quote(sys.executable)} -m cli dev"}
        self._processes: dict[str, Process] = {}
        self._ports = {"web": self.port}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Make the data directory, the ledger and its tables: what the Procfile's release command does."""
        self.settings.hookline_data_dir.mkdir(parents=True, exist_ok=True)
        if self.ledger.url.get_backend_name() != SQLITE:
            migrate(self.ledger.url)
        elif not self.ledger.path.exists():
            lay_out(self.ledger.path)
        password = redis_password(self.settings.resolved_redis_url)
        asks = f" --requirepass {shlex.quote(password)}" if password else ""
        self._commands[VALKEY] = prepare_valkey(self.settings) + asks

    def port_of(self, name: str) -> int:
        """Give the port of a web process: `web.2` has one of its own."""
        return self._ports.setdefault(name, unused_port())

    def start(self, *names: str) -> None:
        """Start these (`sweeper.2` is another sweeper), or all of them, and wait until they are ready."""
        if VALKEY not in self._commands and names != (DEV,):
            self.prepare()
        processes = [self._make(name) for name in names or self._all()]
        for process in processes:
            process.start()
        for process in processes:
            self._wait_until_ready(process)

    def __getitem__(self, name: str) -> Process:
        return self._processes[name]

    def logs(self) -> dict[str, str]:
        """Give all that each process printed."""
        return {name: process.printed() for name, process in self._processes.items()}

    def cli(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the `hookline` command in another shell, as a person would."""
        command = [sys.executable, "-m", "cli"] if self._nursery is None else [*standing_for(self._nursery), "hookline"]
        return subprocess.run(
            [*command, *words],
            cwd=self.checkout,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=CLI_S,
            check=False,
        )

    def is_ready(self, name: str = "web") -> bool:
        """Ask /readyz."""
        try:
            return get(f"http://127.0.0.1:{self.port_of(name)}/readyz").is_success
        except httpx.HTTPError:
            return False

    def wait_until_idle(self, *, timeout_s: float = 60.0) -> float:
        """Wait until nothing is left to do. Give how long it took."""
        return self.wait_for(lambda: self.ledger.unfinished() == 0, timeout_s=timeout_s)

    def wait_for(self, condition: Callable[[], bool], *, timeout_s: float = 60.0) -> float:
        """Wait for a condition. Give how long it took; show the logs when it does not come true."""
        began = time.monotonic()
        try:
            wait_until(condition, timeout_s=timeout_s)
        except AssertionError:
            for name, printed in self.logs().items():
                log.exception("%s printed:\n%s", name, printed[-20_000:])
            raise
        return time.monotonic() - began

    def wipe_valkey(self) -> None:
        """Delete all that Valkey has on disk, as if it had never been."""
        directory = self.settings.hookline_data_dir / "valkey"
        shutil.rmtree(directory)
        directory.mkdir()

    def close(self) -> None:
        """End everything that was started."""
        if DEV in self._processes and self[DEV].runs():
            groups = groups_below(self[DEV].pid)
            self[DEV].stop()
            wait_until(lambda: not members(groups))
        for process in self._processes.values():
            process.close()
        directory = self.settings.valkey_socket.parent
        if directory != self.settings.hookline_data_dir:
            shutil.rmtree(directory, ignore_errors=True)

    def _all(self) -> tuple[str, ...]:
        """Name all processes; Valkey among them, unless the environment names a server that a test started."""
        broker = self.settings.rabbitmq_url or self.settings.resolved_redis_url
        return (VALKEY, *OURS) if str(self.settings.valkey_socket) in broker else OURS

    def _make(self, name: str) -> Process:
        if name not in self._processes:
            kind = name.partition(".")[0]
            port = {"PORT": str(self.port_of(name))} if kind == "web" else {}
            self._processes[name] = Process(
                name,
                self._commands[kind],
                directory=self.checkout,
                environ=self.environ | port,
                log=self.place / f"{name}.log",
                nursery=self._nursery if kind in OURS else None,
            )
        return self._processes[name]

    def _wait_until_ready(self, process: Process) -> None:
        kind = process.name.partition(".")[0]
        if kind == "web":
            wait_until(lambda: self.is_ready(process.name) or not process.runs(), timeout_s=START_S)
        elif kind == "worker":
            process.wait_for_line("Worker process is ready for action", timeout_s=START_S)
        elif kind == "sweeper":
            process.wait_for_line("sweeper started", timeout_s=START_S)
        elif kind == DEV:
            process.wait_for_line("ready in", timeout_s=START_S)
        elif kind == VALKEY:
            wait_until(lambda: accepts(self.settings.valkey_socket) or not process.runs(), timeout_s=START_S)
        assert process.runs(), f"{process.name} ended: {process.printed_since_start()}"


def clean_environ() -> dict[str, str]:
    """Give an environment with nothing in it that Hookline reads, and its commands on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}


def redis_password(url: str) -> str | None:
    return urlsplit(url).password


def copy_checkout(
    place: Path, handlers: Mapping[str, str], migrations: Mapping[str, str] = MappingProxyType({})
) -> Path:
    """Copy the product and add files: a handler under handlers/, the next migration under ledger/migrations/."""
    copy = place / "checkout"
    for folder in ("cli", "config", "handlers", "ledger", "receivers", "workers"):
        shutil.copytree(CHECKOUT / folder, copy / folder)
    shutil.copy(CHECKOUT / "Procfile", copy)
    for name, code in handlers.items():
        (copy / "handlers" / f"{name}.py").write_text(code)
    for name, code in migrations.items():
        (copy / "ledger" / "migrations" / "versions" / f"{name}.py").write_text(code)
    return copy
