"""Group commit."""

import asyncio
import sqlite3
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import URL, func, select

from ledger.append import Doorbells
from ledger.errors import LedgerUnavailable
from ledger.event import Receipt
from ledger.store import Ledger
from ledger.tables import deliveries, events
from ledger.writer import MAX_WAITING, Writer
from tests.ledger.making import new_event

pytestmark = pytest.mark.anyio


@pytest.fixture
def rung() -> list[Doorbells]:
    return []


@pytest.fixture
def writer(ledger: Ledger, rung: list[Doorbells]) -> Iterator[Writer]:
    writer = Writer(ledger, on_commit=rung.append)
    writer.start()
    yield writer
    writer.stop()


def count_events(ledger: Ledger) -> int:
    with ledger.read() as db:
        return db.execute(select(func.count()).select_from(events)).scalar() or 0


@pytest.fixture
def lock(ledger_url: URL) -> Iterator[sqlite3.Connection]:
    """Another program that locks the ledger's file."""
    connection = sqlite3.connect(str(ledger_url.database), isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    yield connection
    connection.close()


async def test_two_hundred_equal_events_at_once_are_one_event(ledger: Ledger, writer: Writer) -> None:
    event = new_event()
    receipts = await asyncio.gather(*[writer.append(event, timeout_s=5) for _ in range(200)])
    assert sum(not receipt.duplicate for receipt in receipts) == 1
    assert {receipt.event_id for receipt in receipts} == {1}
    assert count_events(ledger) == 1


async def test_what_is_committed_is_announced_once(writer: Writer, rung: list[Doorbells]) -> None:
    await asyncio.gather(*[writer.append(new_event(), timeout_s=5) for _ in range(50)])
    ids = [each for doorbells in rung for each in doorbells["payments"]]
    assert sorted(ids) == list(range(1, 51))


async def test_a_row_that_cannot_be_written_does_not_fail_its_neighbours(
    ledger: Ledger, writer: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = replace(new_event(body=b"card-4242"), type=None)  # type: ignore[arg-type]  # the database refuses it: that is the point
    batch = [new_event() for _ in range(20)] + [bad] + [new_event() for _ in range(20)]
    results = await asyncio.gather(*[writer.append(each, timeout_s=5) for each in batch], return_exceptions=True)
    assert [type(result) for result in results].count(Receipt) == 40
    assert isinstance(results[20], LedgerUnavailable)
    assert count_events(ledger) == 40
    logged = capsys.readouterr().out
    assert "event cannot be written" in logged
    assert "card-4242" not in logged


async def test_while_the_ledger_is_locked_nobody_is_told_that_an_event_is_safe(
    writer: Writer,
    lock: sqlite3.Connection,
) -> None:
    results = await asyncio.gather(
        *[writer.append(new_event(), timeout_s=0.2) for _ in range(5)],
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [LedgerUnavailable] * 5
    lock.rollback()


async def test_when_the_lock_is_gone_events_are_accepted_again(writer: Writer, lock: sqlite3.Connection) -> None:
    with pytest.raises(LedgerUnavailable):
        await writer.append(new_event(), timeout_s=0.1)
    lock.rollback()
    assert not (await writer.append(new_event(), timeout_s=5)).duplicate


async def test_a_sender_that_hangs_up_cancels_nothing(ledger: Ledger, writer: Writer, lock: sqlite3.Connection) -> None:
    waiting = asyncio.create_task(writer.append(new_event(), timeout_s=5))
    await asyncio.sleep(0)
    waiting.cancel()
    lock.rollback()
    await writer.append(new_event(), timeout_s=5)
    assert count_events(ledger) == 2


async def test_a_full_queue_refuses_at_once(ledger: Ledger) -> None:
    writer = Writer(ledger, on_commit=lambda _: None)  # not started: nothing is ever taken from the queue
    tasks = [asyncio.create_task(writer.append(new_event(), timeout_s=60)) for _ in range(MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(LedgerUnavailable, match="too much"):
        await writer.append(new_event(), timeout_s=60)
    writer.start()
    await asyncio.gather(*tasks)
    writer.stop()


async def test_stopping_writes_what_was_handed_in(ledger: Ledger) -> None:
    writer = Writer(ledger, on_commit=lambda _: None)
    tasks = [asyncio.create_task(writer.append(new_event(), timeout_s=5)) for _ in range(600)]
    await asyncio.sleep(0)
    writer.start()
    await asyncio.to_thread(writer.stop)
    await asyncio.gather(*tasks)
    assert count_events(ledger) == 600


async def test_a_probe_says_whether_a_commit_is_possible(writer: Writer, lock: sqlite3.Connection) -> None:
    with pytest.raises(LedgerUnavailable):
        await writer.probe(timeout_s=0.1)
    lock.rollback()
    await writer.probe(timeout_s=5)


async def test_an_event_and_its_deliveries_are_one_transaction(ledger: Ledger, writer: Writer) -> None:
    bad = new_event(handlers=("same", "same"))
    with pytest.raises(LedgerUnavailable):
        await writer.append(bad, timeout_s=5)
    with ledger.read() as db:
        assert db.execute(select(func.count()).select_from(deliveries)).scalar() == 0
    assert count_events(ledger) == 0
