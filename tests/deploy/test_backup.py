"""A backup made while events come in holds every event that was accepted before it, and the service goes on from it."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from config.settings import CHECKOUT
from tests.deploy.programs import run
from tests.servers.postgresql import PostgresServer, find_programs
from tests.servers.redis import RedisServer
from tests.system.parcel import Parcel, make_dispute
from tests.system.sender import Sender
from tests.system.service import Service

NEEDED = ("web", "worker")
BEFORE, DURING = 60, 40


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.close()


def test_a_sqlite_ledger_is_backed_up_under_load_and_restored(
    redis: RedisServer, tmp_path: Path, nursery: Path
) -> None:
    service = Service(tmp_path, environ={"REDIS_URL": redis.url}, nursery=nursery)
    sender = Sender(service.url, tmp_path / "sender.jsonl")
    ledger, copy = service.ledger.path, tmp_path / "ledger-copy.db"
    sent: dict[str, Parcel] = {}

    def make() -> Parcel:
        parcel = make_dispute()
        return sent.setdefault(parcel.external_id, parcel)

    try:
        service.start("web")
        with sender.load(make, at_once=2, pause_s=0.05) as load:
            load.wait_for_accepted(BEFORE, timeout_s=60)
            accepted = sender.record.accepted()
            run("deploy/run", "python", "deploy/backup.py", ledger, copy)
            load.wait_for_accepted(DURING, timeout_s=60)
        service["web"].stop()
        for suffix in ("", "-wal", "-shm"):
            Path(f"{ledger}{suffix}").unlink(missing_ok=True)

        copy.rename(ledger)
        assert service.cli("migrate").returncode == 0
        service.start(*NEEDED)

        kept, lost = service.ledger.external_ids(), sender.record.accepted() - service.ledger.external_ids()
        assert accepted <= kept
        assert service.ledger.is_sound()
        # A provider that is asked to send everything again does no harm: what the backup holds is a duplicate.
        one_lost, one_kept = sent[lost.pop()], sent[accepted.pop()]
        assert [sender.send(parcel).json["status"] for parcel in (one_lost, one_kept)] == ["accepted", "duplicate"]
        service.wait_for(lambda: service.ledger.is_done(one_lost.external_id), timeout_s=60)
    finally:
        service.close()


def test_a_backup_is_there_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("the backup of yesterday")
    (tmp_path / "ledger.db").write_text("no ledger" * 1000)
    done = subprocess.run(
        [CHECKOUT / "deploy" / "run", "python", "deploy/backup.py", tmp_path / "ledger.db", tmp_path / "copy.db"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr[:12]) == (1, "no backup of")
    assert (tmp_path / "copy.db").read_text() == "the backup of yesterday"


def test_a_postgresql_ledger_is_backed_up_under_load_and_restored(
    redis: RedisServer, postgresql: PostgresServer, tmp_path: Path, nursery: Path
) -> None:
    url, copy = postgresql.create_database("hookline"), tmp_path / "ledger.dump"
    environ = {"REDIS_URL": redis.url}
    service = Service(tmp_path, environ={**environ, "DATABASE_URL": url}, nursery=nursery)
    sender = Sender(service.url, tmp_path / "sender.jsonl")
    try:
        service.start("web")
        with sender.load(make_dispute, at_once=2, pause_s=0.05) as load:
            load.wait_for_accepted(BEFORE, timeout_s=60)
            accepted = sender.record.accepted()
            run(find_programs() / "pg_dump", "--format=custom", f"--file={copy}", url)
            load.wait_for_accepted(DURING, timeout_s=60)
    finally:
        service.close()
    restored = postgresql.create_database("hookline-restored")
    run(find_programs() / "pg_restore", "--exit-on-error", "--no-owner", f"--dbname={restored}", copy)

    service = Service(tmp_path, environ={**environ, "DATABASE_URL": restored}, nursery=nursery)
    sender = Sender(service.url, tmp_path / "sender.jsonl")
    try:
        service.start(*NEEDED)
        assert accepted <= external_ids(restored) < sender.record.attempted()
        later = make_dispute()
        assert sender.send(later).accepted
        service.wait_for(lambda: is_done(restored, later.external_id), timeout_s=60)
    finally:
        service.close()
        for name in ("hookline", "hookline-restored"):
            postgresql.drop_database(name)


def external_ids(url: str) -> set[str]:
    with psycopg.connect(url) as db:
        return {row[0] for row in db.execute("SELECT external_id FROM events")}


def is_done(url: str, external_id: str) -> bool:
    """Say whether all deliveries of an event are done."""
    query = "SELECT state FROM deliveries WHERE event_id = (SELECT id FROM events WHERE external_id = %s)"
    with psycopg.connect(url) as db:
        return {row[0] for row in db.execute(query, (external_id,))} == {"done"}
