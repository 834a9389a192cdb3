"""A ledger that has outgrown SQLite is moved to PostgreSQL with all that it remembers."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from config.settings import CHECKOUT
from tests.cli.dev.waiting import wait_until
from tests.servers.postgresql import PostgresServer
from tests.servers.redis import RedisServer
from tests.system.parcel import make_dispute
from tests.system.sender import Sender
from tests.system.service import Service

NEEDED = ("web", "worker")
TABLES = ("events", "deliveries", "attempts", "effects", "past_effects", "payments", "disputes", "requests")


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.close()


@pytest.fixture
def url(postgresql: PostgresServer) -> Iterator[str]:
    yield postgresql.create_database("moved")
    postgresql.drop_database("moved")


def move(ledger: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    words: list[str | Path] = [CHECKOUT / "deploy" / "run", "python", "deploy/move_ledger.py", ledger]
    return subprocess.run(words, env=environ, capture_output=True, text=True, check=False)


def counts(url: str) -> dict[str, int]:
    with psycopg.connect(url) as db:
        return {name: db.execute(f"SELECT count(*) FROM {name}".encode()).fetchall()[0][0] for name in TABLES}


def test_a_ledger_is_moved_with_all_that_it_remembers(
    redis: RedisServer, url: str, tmp_path: Path, nursery: Path
) -> None:
    service = Service(tmp_path, environ={"REDIS_URL": redis.url}, nursery=nursery)
    sender = Sender(service.url, tmp_path / "sender.jsonl")
    known, waiting = make_dispute(), make_dispute()
    try:
        service.start(*NEEDED)
        sender.send(known)
        service.wait_for(lambda: service.ledger.is_done(known.external_id))
        service["worker"].stop()
        sender.send(waiting)
        service["web"].stop()
        before = {name: service.ledger.value(f"SELECT count(*) FROM {name}") for name in TABLES}
    finally:
        service.close()

    service = Service(tmp_path, environ={"REDIS_URL": redis.url, "DATABASE_URL": url}, nursery=nursery)
    sender = Sender(service.url, tmp_path / "sender.jsonl")
    try:
        service.prepare()
        done = move(tmp_path / "var" / "ledger.db", service.environ)
        assert done.returncode == 0, done.stderr
        assert counts(url) == before
        again = move(tmp_path / "var" / "ledger.db", service.environ)
        assert (again.returncode, counts(url)) == (1, before)

        service.start(*NEEDED)
        assert sender.send(known).json["status"] == "duplicate"
        later = make_dispute()
        assert sender.send(later).json["status"] == "accepted"
        wait_until(lambda: all_done(url), timeout_s=60)
        assert counts(url)["disputes"] == len([known, waiting, later])
    finally:
        service.close()


def all_done(url: str) -> bool:
    with psycopg.connect(url) as db:
        return db.execute("SELECT count(*) FROM deliveries WHERE state <> 'done'").fetchall() == [(0,)]
