"""One Hookline of several processes on real servers: two webs, two workers, two sweepers, and somebody who keeps them.

The processes are the Procfile's. A thread of the harness starts again what ends, as a process manager does.
"""

import logging
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from random import Random

import psycopg

from cli.dev.procfile import read_procfile
from config.rules import KINDS
from tests.cli.dev.waiting import wait_until
from tests.faults import clock
from tests.faults.books import Books, Database, Postgres, Sqlite, count_unfinished, read_books
from tests.faults.disks import Disk
from tests.faults.engines import Engine, make_broker, make_postgresql
from tests.faults.journal import Journal
from tests.faults.keeper import Keeper
from tests.faults.meter import Meter
from tests.faults.needs import Needs
from tests.faults.proxy import Proxy
from tests.faults.record import Facts, read_facts
from tests.faults.sending import Sending
from tests.faults.verdict import Post
from tests.servers.ports import unused_port
from tests.servers.postgresql import PostgresServer
from tests.servers.redis import RedisServer
from tests.system.process import Process
from tests.system.secrets import SECRETS
from tests.system.service import clean_environ, copy_checkout
from tests.system.slack_stand_in import SlackStandIn

WEBS, WORKERS, SWEEPERS = ("web.1", "web.2"), ("worker.1", "worker.2"), ("sweeper.1", "sweeper.2")
ALL = (*WEBS, *WORKERS, *SWEEPERS)
THIRD = "sweeper.3"
# Only started where a fault wants it.

CLOCKS = ("web.1", "worker.1", "sweeper.1")
# Whose clocks can be moved, in a house that needs it.

START_S = 90.0
END_S = 30.0
QUIET_S = 180.0

QUIET_POLL_S = 0.7
# To ask PostgreSQL is a process of its own each time.

SOURCES = {
    "STRIPE_WEBHOOK_SECRET": "stripe",
    "GITHUB_WEBHOOK_SECRET": "github",
    "SLACK_SIGNING_SECRET": "slack",
}

CHANNELS = {f"#{kind}": f"C0QK{number:06}" for number, kind in enumerate(KINDS)}
# Of each kind of alert: a channel gets a message a second, and all kinds in one would keep each fault waiting for that.

RULES = "[digest]\npost = false\n[alerts.health]\npost = false\n"
# What Hookline says of itself is switched off: what a fault leaves is counted here, message by message.

log = logging.getLogger(__name__)


class House:
    """Everything, each part to start, kill and start."""

    def __init__(self, engine: Engine, *, needs: Needs, seed: str) -> None:
        self.engine = engine
        self.needs = needs
        self.place = Path(tempfile.mkdtemp(prefix=f"hookline-faults-{engine}-"))
        self.journal = Journal(self.place / "journal.txt")
        self.secrets = dict(SECRETS)
        self.checkouts = dict.fromkeys((*ALL, THIRD), self._checkout())
        self.ports = {name: unused_port() for name in WEBS}
        self.keeper = Keeper(self._make, self.journal)
        self.meter = Meter(self._groups)
        self._stack = ExitStack()
        self._draw = Random(seed)  # noqa: S311  # repeats a run, guards nothing
        self._sendings: list[Sending] = []
        self._servers: list[RedisServer | PostgresServer] = []
        self.data = self.place / "var"
        self.disk: Disk | None = None
        self.postgresql: PostgresServer | None = None

    def open(self) -> None:
        """Build it and start all that is in it."""
        try:
            self._build()
        except BaseException:
            self.close(keep=True)
            raise

    def _checkout(self) -> Path:
        # A copy, so that whoever edits the code during a long run does not mix two versions.
        copy = copy_checkout(self.place, dict(self.needs.plugins))
        for change in self.needs.changes:
            change.make(copy)
        return copy

    def _build(self) -> None:
        if self.needs.disk_bytes:
            self.disk = Disk(self.needs.disk_bytes)
            self._stack.callback(self.disk.close)
            self.data = self.disk.path / "var"
        self.data.mkdir()
        self.broker = make_broker(self.engine)
        self._stack.callback(self.broker.close)
        self.broker.start()
        self._servers.append(self.broker)
        self.slack = SlackStandIn(channels=CHANNELS)
        self.slack.start()
        self._stack.callback(self.slack.stop)
        self.proxies: dict[str, Proxy] = {}
        self.database = self._make_database()
        self.meter.start()
        self._stack.callback(self.meter.close)
        self._environ = self._make_environ()
        self.senders_ports = [self._in_front(name, self.ports[name]) for name in WEBS]
        if self.needs.clocks:
            self._clock_library = clock.build(self.place)
        self.migrate()
        self.keeper.start()
        self.start(*ALL)

    def _make_database(self) -> Database:
        if self.engine is Engine.SQLITE:
            return Sqlite(self.data / "ledger.db")
        self.postgresql = make_postgresql(self.disk.path if self.disk else None)
        self.postgresql.start()
        self._servers.append(self.postgresql)
        return Postgres(self.postgresql.create_database("ledger"))

    def _write_rules(self) -> Path:
        own = [f'[alerts.{kind}]\nchannel = "#{kind}"\n' for kind in KINDS if kind != "health"]
        path = self.place / "alerts.toml"
        path.write_text(RULES + "".join(own))
        return path

    def _make_environ(self) -> dict[str, str]:
        environ = clean_environ() | self.secrets | {"HOOKLINE_DATA_DIR": str(self.data)}
        environ["REDIS_URL"] = f"redis://127.0.0.1:{self._in_front('broker', self.broker.port)}/0"
        environ["HOOKLINE_ALERTS"] = str(self._write_rules())
        environ["SLACK_BOT_TOKEN"] = self.slack.token
        environ["SLACK_API_URL"] = f"http://127.0.0.1:{self._in_front('slack', self.slack.port)}/api/"
        if self.postgresql is not None:
            port = self._in_front("database", self.postgresql.port)
            environ["DATABASE_URL"] = f"postgresql://hookline@127.0.0.1:{port}/ledger"
        return environ

    def _in_front(self, name: str, port: int) -> int:
        if not self.needs.proxies:
            return port
        proxy = self.proxies[name] = Proxy(port, self._draw)
        proxy.start()
        self._stack.callback(proxy.close)
        return proxy.port

    def _groups(self) -> set[int]:
        servers = [server.pid for server in self._servers]
        return {*servers, *self.keeper.groups, *(sending.pid for sending in self._sendings)}

    def note(self, text: str) -> None:
        """Write into the journal."""
        self.journal.note(f"{text} [{self.meter.used_s():.1f} s of CPU]")

    def __getitem__(self, name: str) -> Process:
        return self.keeper[name]

    def migrate(self, checkout: Path | None = None) -> None:
        """Run the Procfile's release command."""
        place = checkout or self.checkouts["web.1"]
        command = read_procfile(place / "Procfile")["release"]
        # The `hookline` command belongs to the checkout that it was installed from; this is another one.
        environ = {**self._environ, "PYTHONPATH": str(place)}
        subprocess.run(["sh", "-c", command], cwd=place, env=environ, check=True, capture_output=True)

    def start(self, *names: str) -> None:
        """Start these and wait until they are ready; from then on they are kept running."""
        for name in names:
            self.keeper.launch(name)
        for name in names:
            self.wait_until_ready(name)

    def stop(self, name: str, *, timeout_s: float = END_S) -> float:
        """Send SIGTERM and wait for the end; it is not started again. Give how long it took."""
        self.keeper.leave(name)
        return self[name].stop(timeout_s=timeout_s)

    def wait_until_ready(self, name: str) -> None:
        """Wait until a process does its work, however often it has to be started for that."""
        kind = name.partition(".")[0]
        if kind == "web":
            wait_until(lambda: self._is_ready(name), timeout_s=START_S)
        else:
            line = {"worker": "Worker process is ready for action", "sweeper": "sweeper started"}[kind]
            wait_until(lambda: line in self[name].printed_since_start(), timeout_s=START_S)

    def wait_until_all_are_ready(self) -> None:
        """Wait until everything works that should."""
        for name in self.keeper.kept:
            self.wait_until_ready(name)

    def wait_for(self, condition: Callable[[], bool], *, timeout_s: float = 60.0) -> None:
        wait_until(condition, timeout_s=timeout_s)

    def set_clock(self, name: str, off_s: float) -> None:
        """Move the clock of one process, of those whose clocks can be moved."""
        self.note(f"the clock of {name} goes {off_s:+.0f} s off")
        clock.set_offset(self._clock_of(name), off_s)

    def _clock_of(self, name: str) -> Path:
        return self.place / f"{name}.clock"

    def wait_until_quiet(self, *, left: Collection[str] = (), timeout_s: float = QUIET_S) -> float | None:
        """Wait until nothing is left to do, but for the deliveries of some handlers. Give how long; None: too long."""
        began = time.monotonic()
        while time.monotonic() - began < timeout_s:
            if self._is_quiet(left):
                return time.monotonic() - began
            time.sleep(QUIET_POLL_S)
        return None

    def _is_quiet(self, left: Collection[str]) -> bool:
        try:
            return count_unfinished(self.database, left) == 0
        except psycopg.OperationalError:  # it has just been started again
            return False

    def send(self, name: str, seed: str) -> Sending:
        """Start senders for one run."""
        secrets = {SOURCES[variable]: secret.partition(",")[0] for variable, secret in self.secrets.items()}
        sending = Sending(self.place / f"{name}.jsonl", ports=self.senders_ports, secrets=secrets, seed=seed)
        self._sendings.append(sending)
        return sending

    def facts(self) -> Facts:
        """All that the senders know, of all runs."""
        return read_facts([line for sending in self._sendings for line in sending.tail.refresh()])

    def books(self) -> Books:
        """All that the ledger says."""
        return read_books(self.database)

    def posts(self) -> list[Post]:
        """All that Slack has."""
        return [Post(key=post.key, says=post.says) for post in self.slack.posts]

    def close(self, *, keep: bool = False) -> None:
        """End everything that was started, and delete what it left, unless it is to be kept."""
        for sending in self._sendings:
            sending.close()
        self.keeper.close(f"HOOKLINE_DATA_DIR={self.data}")
        if self.postgresql is not None:
            self._close_postgresql(self.postgresql, keep=keep and self.disk is None)
        try:
            if keep and self.disk is not None:
                shutil.copytree(self.data, self.place / "var")
        finally:
            self._stack.close()
        if not keep:
            shutil.rmtree(self.place, ignore_errors=True)

    def _close_postgresql(self, server: PostgresServer, *, keep: bool) -> None:
        if not keep:
            server.close()
        elif server.runs():
            server.stop()
            self.note(f"PostgreSQL's directory is {server.data}")

    def _make(self, name: str) -> Process:
        kind, checkout = name.partition(".")[0], self.checkouts[name]
        command = read_procfile(checkout / "Procfile")[kind]
        if self.needs.memory_bytes and kind == "worker":
            command = f"prlimit --as={self.needs.memory_bytes} {command}"
        return Process(
            name,
            command,
            directory=checkout,
            environ=self._environ_of(name),
            log=self.place / f"{name}.log",
        )

    def _environ_of(self, name: str) -> dict[str, str]:
        environ = {**self._environ, **self.secrets, **dict(self.needs.environ)}
        if name in self.ports:
            environ["PORT"] = str(self.ports[name])
        if self.needs.clocks and name in CLOCKS:
            clock.set_offset(self._clock_of(name), 0)
            environ |= clock.environ(self._clock_library, self._clock_of(name))
        return environ

    def _is_ready(self, name: str) -> bool:
        connection = HTTPConnection("127.0.0.1", self.ports[name], timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == HTTPStatus.OK
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()
