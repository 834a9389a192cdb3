"""The database is locked, away, killed, or full."""

import os
import signal

from tests.faults.disks import missing as no_disk
from tests.faults.engines import Engine
from tests.faults.fault import Matrix, Stage
from tests.faults.needs import Needs
from tests.faults.proxy import Way

matrix = Matrix()

BACKENDS = "SELECT pid FROM pg_stat_activity WHERE datname = 'ledger' AND pid <> pg_backend_pid() ORDER BY pid"

DISK_BYTES = 256 * 1024 * 1024

SERVER = (Engine.POSTGRESQL,)
# SQLite has no server that could be away.


def _refused(what: str) -> bool:
    return what == "503"


@matrix.fault(
    "database-locked",
    "Another program holds a lock: waited for up to 2 s, then 503; never a 2xx without a row.",
    answers=("503", "timeout"),
)
def database_locked(stage: Stage) -> None:
    with stage.house.database.locked():
        stage.house.note("locked")
        stage.instant(0.2, 1.2)
    stage.sending.wait_for(10)
    with stage.house.database.locked():
        stage.house.note("locked")
        stage.instant(3.5, 5.0)
    stage.house.note("unlocked")


@matrix.fault(
    "database-stopped",
    "Immediate stop: 503 and no 2xx; works again by itself when the server is back.",
    answers=("503", "timeout"),
    engines=SERVER,
    takes_s=32,
)
def database_stopped(stage: Stage) -> None:
    server = stage.house.postgresql
    assert server is not None
    stage.instant(0.0, 0.5)
    stage.house.note("pg_ctl stop -m immediate")
    server.stop_at_once()
    stage.sending.wait_for(5, _refused)
    stage.instant(0.0, 2.0)
    server.start()
    stage.house.note("PostgreSQL is up again")


@matrix.fault(
    "database-crashes",
    "kill -9 of backends, fsync on: PostgreSQL recovers from its log, no answered event is missing.",
    answers=("503", "timeout"),
    engines=SERVER,
    takes_s=45,
)
def database_crashes(stage: Stage) -> None:
    server = stage.house.postgresql
    assert server is not None
    for _ in range(3):
        stage.instant(0.2, 1.5)
        backends = [row["pid"] for row in stage.house.database.rows(BACKENDS)]
        if backends:
            pid = stage.draw.choice(backends)
            stage.house.note(f"kill -9 a backend (process {pid})")
            os.kill(pid, signal.SIGKILL)
        stage.house.wait_for(server.answers)


@matrix.fault(
    "database-unreachable",
    "The network refuses, then stalls: 503 and no 2xx; works again by itself.",
    answers=("503", "timeout"),
    engines=SERVER,
    needs=Needs(proxies=True),
    takes_s=34,
)
def database_unreachable(stage: Stage) -> None:
    for way, until in ((Way.REFUSE, _refused), (Way.STALL, _refused)):
        stage.house.note(f"the way to the database: {way}")
        with stage.house.proxies["database"].going(way):
            stage.sending.wait_for(5, until)
            stage.instant(0.0, 2.0)
        stage.house.note("the way to the database: pass")
        stage.sending.wait_for(10)


@matrix.fault(
    "disk-full",
    "Not a byte free: 503 and no 2xx, no damage; works again by itself when there is room.",
    answers=("503", "timeout"),
    needs=Needs(disk_bytes=DISK_BYTES),
    missing=no_disk,
    soak=False,
    takes_s=26,
)
def disk_full(stage: Stage) -> None:
    """Fill the file system of the ledger. PostgreSQL ends itself when its log does not fit; it is started again."""
    disk, server = stage.house.disk, stage.house.postgresql
    assert disk is not None
    for _ in range(2):
        stage.instant(0.0, 0.5)
        stage.house.note("the disk is full")
        disk.fill()
        stage.sending.wait_for(5, _refused)
        taken = stage.sending.count()
        stage.instant(1.0, 2.0)
        stage.remark(f"{stage.sending.count() - taken} still fitted")
        disk.empty()
        stage.house.note("there is room")
        if server is not None and not server.runs():
            server.start()
        stage.sending.wait_for(20)
