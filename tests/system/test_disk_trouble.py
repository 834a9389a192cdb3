"""The ledger cannot be written: 503 and never a 2xx, and all is well again when it can, without a restart."""

import resource
import sqlite3
from contextlib import closing
from statistics import median

import pytest

from tests.cli.dev.waiting import descendants
from tests.system.parcel import make_dispute, make_payment
from tests.system.sender import Answer, Sender
from tests.system.service import Service

ROOM_BYTES = 1024 * 1024
# The ledger gets past it, or its write-ahead log; the web process's own log file, under the same limit, does not.

NO_ROOM_BYTES = 4096
# One page of the write-ahead log with its header is more, wherever the log begins anew.

SLACK_PATIENCE_S = 3.0


def grow_no_file_beyond(limit_bytes: int, *processes: int) -> None:
    """Let processes write no file beyond a size: it fails, as on a full disk. Linux only."""
    for each in processes:
        resource.prlimit(each, resource.RLIMIT_FSIZE, (limit_bytes, resource.RLIM_INFINITY))


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux can limit a process that runs already")
def test_what_does_not_fit_on_the_disk_is_answered_503_and_is_taken_when_there_is_room(
    service: Service, sender: Sender
) -> None:
    service.start("valkey", "web")
    web = service["web"].pid
    grow_no_file_beyond(ROOM_BYTES, web, *descendants(web))

    answers: list[Answer] = []
    while not answers or answers[-1].status == 200:
        answers += sender.send_all([make_dispute() for _ in range(10)])

    grow_no_file_beyond(NO_ROOM_BYTES, *descendants(web))
    full = sender.send_all([make_dispute() for _ in range(20)])
    assert {answer.status for answer in answers} == {200, 503}
    assert {(answer.status, answer.retry_after) for answer in full} == {(503, "5")}
    service.wait_for(lambda: not service.is_ready())
    assert service.ledger.external_ids() == sender.record.accepted()
    assert service.ledger.is_sound()
    grow_no_file_beyond(resource.RLIM_INFINITY, web, *descendants(web))
    service.wait_for(service.is_ready)
    assert {answer.status for answer in sender.send_all([make_dispute() for _ in range(20)])} == {200}
    assert service.ledger.external_ids() == sender.record.accepted()
    service.start("worker", "sweeper")
    service.wait_until_idle(timeout_s=60)
    assert all(service.ledger.column("SELECT state = 'done' FROM deliveries"))


def test_a_ledger_that_another_program_locks_is_answered_503_in_time(service: Service, sender: Sender) -> None:
    service.start("valkey", "web")
    with closing(sqlite3.connect(service.ledger.path, isolation_level=None)) as another:
        another.execute("BEGIN IMMEDIATE")

        locked = sender.send_all([make_payment() for _ in range(5)])

        another.execute("ROLLBACK")
    assert {(answer.status, answer.retry_after) for answer in locked} == {(503, "5")}
    assert median(answer.took_s for answer in locked) < SLACK_PATIENCE_S
    service.wait_for(lambda: sender.send(make_payment()).status == 200)
    assert sender.record.accepted() <= service.ledger.external_ids()
