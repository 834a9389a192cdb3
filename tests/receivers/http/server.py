"""The web process as the Procfile starts it, on a port and a ledger of its own; nothing answers at its REDIS_URL."""

import hashlib
import os
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
from sqlalchemy import Connection, Engine

from cli.dev.procfile import read_procfile
from config.database import make_engine
from config.settings import CHECKOUT, load_settings
from ledger.store import Ledger
from ledger.views import get_body, get_event
from tests.cli.dev.waiting import wait_until
from tests.cli.shell import standing_for
from tests.ledger.making import lay_out
from tests.receivers.http.webhooks import OLD_SECRETS, SECRETS, Webhook
from tests.servers.http import make_client
from tests.servers.ports import unused_port

T = TypeVar("T")

START_S = 60.0
ANSWER_S = 60.0
# How long a test waits before it calls something hung. No test claims that anything is as slow as this.


class Server:
    """One web process."""

    def __init__(
        self,
        directory: Path,
        environ: Mapping[str, str] | None = None,
        *,
        without: Collection[str] = (),
        nursery: Path | None = None,
    ) -> None:
        """Say how it is to run; with a nursery, it is forked there, which takes a tenth of a start."""
        self.ledger = directory / "ledger.db"
        self.port = unused_port()
        everything = web_environ(directory, self.ledger, self.port) | dict(environ or {})
        self.environ = {name: value for name, value in everything.items() if name not in without}
        self._command = web_command() if nursery is None else forked_web_command(nursery)
        self._printed = directory / "web.out"
        self._process: subprocess.Popen[bytes] | None = None
        self.http = self._client()

    def start(self) -> None:
        """Start it and return when it answers."""
        self.prepare()
        with self._printed.open("wb") as printed:
            self._process = subprocess.Popen(
                self._command,
                cwd=CHECKOUT,
                env=self.environ,
                stdout=printed,
                stderr=subprocess.STDOUT,
            )
        wait_until(
            lambda: self.answers() or self._process is None or self._process.poll() is not None, timeout_s=START_S
        )
        assert self.answers(), self.printed()

    def prepare(self) -> None:
        """Make its ledger."""
        if not self.ledger.exists():
            lay_out(self.ledger)

    def _engine(self) -> Engine:
        return make_engine(load_settings({"DATABASE_URL": f"sqlite:///{self.ledger}"}))

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def answers(self) -> bool:
        try:
            return self.http.get("/healthz").is_success
        except httpx.TransportError:
            return False

    def close(self) -> None:
        self.http.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def post(self, webhook: Webhook, *, content: bytes | Iterator[bytes] | None = None) -> httpx.Response:
        body = webhook.body if content is None else content
        return self.http.post(webhook.path, content=body, headers=webhook.headers)

    def post_at_once(self, webhooks: Sequence[Webhook]) -> list[httpx.Response]:
        """Post all of them at the same time. Give the answers in the same order.

        Each has a client of its own: one that threads share may close a connection that it has just handed to
        another thread, which then reads from a closed file descriptor (encode/httpcore#1110).
        """
        with ThreadPoolExecutor(len(webhooks)) as threads:
            return list(threads.map(self._post_alone, webhooks))

    def _post_alone(self, webhook: Webhook) -> httpx.Response:
        with self._client() as client:
            return client.post(webhook.path, content=webhook.body, headers=webhook.headers)

    def _client(self) -> httpx.Client:
        return make_client(f"http://127.0.0.1:{self.port}", timeout_s=ANSWER_S)

    def printed(self) -> str:
        return self._printed.read_text(encoding="utf-8")

    def rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:  # what SQLite can hold
        """Read the ledger."""
        with closing(sqlite3.connect(f"file:{self.ledger}?mode=ro", uri=True)) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(statement, values)]

    def count(self, table: str) -> int:
        return int(self.rows(f"SELECT count(*) AS number FROM {table}")[0]["number"])

    def newest(self) -> int:
        """Give the id of the newest event; 0 when there is none."""
        return int(self.rows("SELECT coalesce(max(id), 0) AS id FROM events")[0]["id"])

    def find(self, body: bytes) -> int:
        """Give the id of the newest event with this body."""
        digest = hashlib.sha256(body).hexdigest()
        return int(self.rows("SELECT max(id) AS id FROM events WHERE body_sha256 = ?", digest)[0]["id"])

    def event(self, event_id: int) -> dict[str, Any]:
        """Give an event as the CLI shows it."""
        return self._look(get_event, event_id)

    def body_of(self, event_id: int) -> bytes:
        return self._look(get_body, event_id)

    def _look(self, view: Callable[[Connection, int], T | None], event_id: int) -> T:
        ledger = Ledger(self._engine())
        with ledger.read() as db:
            found = view(db, event_id)
        ledger.close()
        assert found is not None
        return found

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep everybody else from writing to the ledger, as a backup or a shell could."""
        with closing(sqlite3.connect(self.ledger, isolation_level=None)) as db:
            db.execute("BEGIN EXCLUSIVE")
            yield
            db.execute("ROLLBACK")

    def forget_peak_memory(self) -> int:
        """Measure `peak_memory_bytes` from now on, and give what it is now."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5", encoding="ascii")
        return self.peak_memory_bytes()

    def peak_memory_bytes(self) -> int:
        """Give the most that the process held in memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024


def web_command(checkout: Path = CHECKOUT) -> list[str]:
    return ["sh", "-c", f"exec {read_procfile(checkout / 'Procfile')['web']}"]


def forked_web_command(nursery: Path) -> list[str]:
    """Give the same as `web_command`, forked from that nursery."""
    return ["sh", "-c", f"exec {shlex.join(standing_for(nursery))} {read_procfile(CHECKOUT / 'Procfile')['web']}"]


def web_environ(directory: Path, ledger: Path, port: int) -> dict[str, str]:
    """Give a production environment, with nothing in it but what is named here."""
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOOKLINE_DATA_DIR": str(directory),
        "DATABASE_URL": f"sqlite:///{ledger}",
        "REDIS_URL": f"redis://127.0.0.1:{unused_port()}/0",
        "PORT": str(port),
        "STRIPE_WEBHOOK_SECRET": _both("stripe"),
        "GITHUB_WEBHOOK_SECRET": _both("github"),
        "SLACK_SIGNING_SECRET": _both("slack"),
    }


def _both(source: str) -> str:
    return f"{SECRETS[source]},{OLD_SECRETS[source]}"
