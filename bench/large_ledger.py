"""A ledger with a long history, made by the database itself: on SQLite or PostgreSQL, in a place that is deleted."""

import os
import shutil
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, text

from config.database import make_engine
from config.settings import Settings, load_settings
from ledger.migrate import upgrade
from ledger.store import Ledger
from tests.servers.postgresql import PostgresServer

MIB = 1024 * 1024

MAKING_S = 3_600

REAPED_S = 0.05
# By then a server has noticed that a connection's process is gone.

Fill = Callable[[Connection, int, float], None]
# Fills an empty ledger with so many events, the newest of them at a time (Unix seconds).

AGE_DAYS = 100
# The oldest event; the others are spread evenly over the time since then.

EFFECT_EVERY = 10

BODY_BYTES = 2_048
HEADERS = '{"user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)", "content-type": "application/json"}'

# Each takes its numbers from a series; only that is spelled differently by the two databases.
FILL = (
    """
    INSERT INTO events (id, source, dedupe_key, external_id, type, livemode, received_at, content_type, headers, body,
                        body_sha256, secret_position)
    SELECT n, 'stripe', 'evt_' || n, 'evt_' || n, 'charge.refunded', :livemode,
           :now - 86400.0 * :days * (:events - n) / :events, 'application/json', :headers, :body, :sha256, 0
    FROM series
    """,
    """
    INSERT INTO deliveries (id, event_id, handler, queue, state, due_at, trigger, attempts, started_at, finished_at)
    SELECT n, n, 'payments.refund', 'payments', 'done', :now, 'initial', 1, :now, :now FROM series
    """,
    """
    INSERT INTO attempts (delivery_id, number, trigger, outcome, started_at, finished_at)
    SELECT n, 1, 'initial', 'done', :now, :now FROM series
    """,
    """
    INSERT INTO effects (event_id, delivery_id, key, channel, message, state, planned_at, due_at, finished_at)
    SELECT n, n, 'stripe/refund/re_' || n, '#finance', :message, 'sent', :now, :now, :now FROM series
    WHERE n % :every = 0
    """,
)


class Place(ABC):
    """Where a large ledger is."""

    name: str

    @abstractmethod
    def url(self, copy: str) -> str:
        """Give the DATABASE_URL of one of its copies."""

    @abstractmethod
    def copy(self, source: str, target: str) -> None:
        """Copy a ledger that nobody uses."""

    @abstractmethod
    def size_mib(self, copy: str) -> float:
        """Say how large it is on disk."""

    def served_s(self) -> float:
        """Say how much of the processor a server used for those who are gone again, in seconds."""
        return 0.0

    @abstractmethod
    def close(self) -> None:
        """Delete everything."""

    def settings(self, copy: str) -> Settings:
        """Give the settings of a process that uses this copy."""
        return load_settings({"DATABASE_URL": self.url(copy), "DATABASE_STATEMENT_TIMEOUT_S": str(MAKING_S)})

    def open(self, copy: str) -> Ledger:
        """Open one of its copies."""
        return Ledger(make_engine(self.settings(copy)))

    def make(self, copy: str, events: int, now: float, filling: Fill | None = None) -> None:
        """Make a ledger with so many events: all of them over, unless something else fills it."""
        engine = make_engine(self.settings(copy))
        upgrade(engine)
        engine.dispose()
        ledger = self.open(copy)
        with ledger.write() as db:
            (filling or fill)(db, events, now)
        with ledger.write() as db:
            db.execute(text("ANALYZE"))
        ledger.close()


def fill(db: Connection, events: int, now: float) -> None:
    """Fill an empty ledger with so many events, all of them over."""
    series = (
        "WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < :events)"
        if db.dialect.name == "sqlite"
        else "WITH series AS (SELECT n FROM generate_series(1, :events) AS n)"
    )
    values = {
        "events": events,
        "now": now,
        "days": AGE_DAYS,
        "every": EFFECT_EVERY,
        "livemode": True,
        "headers": HEADERS,
        "body": _body(),
        "sha256": "0" * 64,
        "message": '{"text": "Refund of 5.00 USD", "blocks": []}',
    }
    for statement in FILL:
        db.execute(text(f"{series} {statement}"), values)
    if db.dialect.name == "postgresql":
        for table in ("events", "deliveries", "attempts", "effects"):
            db.execute(text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"))


def _body() -> bytes:
    # Half of it repeats itself, as JSON does: PostgreSQL compresses what it keeps.
    return (b'{"object": "event", "data": {"object": {"id": "' + os.urandom(BODY_BYTES // 2).hex().encode())[
        :BODY_BYTES
    ]


class SqlitePlace(Place):
    """Files in a directory of their own."""

    name = "SQLite"

    def __init__(self, inside: Path | None = None) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="hookline-bench-", dir=inside))

    def url(self, copy: str) -> str:
        """Give the DATABASE_URL of one of its copies."""
        return f"sqlite:///{self._path(copy)}"

    def copy(self, source: str, target: str) -> None:
        """Copy a ledger that nobody uses."""
        shutil.copyfile(self._path(source), self._path(target))

    def size_mib(self, copy: str) -> float:
        """Say how large it is on disk."""
        return self._path(copy).stat().st_size / MIB

    def close(self) -> None:
        """Delete everything."""
        shutil.rmtree(self._directory)

    def _path(self, copy: str) -> Path:
        return self._directory / f"{copy}.db"


class PostgresqlPlace(Place):
    """Databases of a server of their own, as durable as it comes."""

    name = "PostgreSQL"

    def __init__(self, inside: Path | None = None) -> None:
        self._server = PostgresServer({"max_wal_size": "4GB", "shared_buffers": "256MB"}, directory=inside)
        self._server.start()

    def url(self, copy: str) -> str:
        """Give the DATABASE_URL of one of its copies."""
        return self._server.url(copy)

    def make(self, copy: str, events: int, now: float, filling: Fill | None = None) -> None:
        """Make a ledger with so many events: all of them over, unless something else fills it."""
        self._server.create_database(copy)
        super().make(copy, events, now, filling)

    def copy(self, source: str, target: str) -> None:
        """Copy a ledger that nobody uses."""
        self._server.create_database(target, template=source)

    def size_mib(self, copy: str) -> float:
        """Say how large it is on disk."""
        [(size,)] = self._server.execute(f"SELECT pg_database_size('{copy}')")
        return float(size) / MIB

    def served_s(self) -> float:
        """Say how much of the processor a server used for those who are gone again, in seconds."""
        # Each connection is a child of the server's. Its background writers are not gone, and do not count.
        time.sleep(REAPED_S)
        fields = Path(f"/proc/{self._server.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")  # proc(5): cutime, cstime

    def close(self) -> None:
        """Delete everything."""
        self._server.close()
