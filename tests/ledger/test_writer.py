"""Group commit."""

import asyncio
import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import psycopg
import pytest
from sqlalchemy import URL, event, func, select, text

from config.metrics import uncounted
from ledger.append import Doorbells
from ledger.commits import Commits
from ledger.errors import LedgerUnavailable
from ledger.event import NewEvent, Receipt
from ledger.store import Ledger
from ledger.tables import deliveries, events
from ledger.writer import MAX_WAITING, Writer
from ledger.writing import MAX_BATCH_EVENTS
from tests.engines import ON_POSTGRESQL, SQLITE
from tests.ledger.hands import Hand, make_writer, writing
from tests.ledger.making import new_event

pytestmark = pytest.mark.anyio

AGES_S = 60.0
# For what takes milliseconds on a machine that has nothing else to do.


@pytest.fixture
def rung() -> list[Doorbells]:
    return []


@pytest.fixture
async def writer(ledger: Ledger, rung: list[Doorbells]) -> AsyncIterator[Writer]:
    async with writing(ledger, rung.append) as writer:
        yield writer


def count_events(ledger: Ledger) -> int:
    with ledger.read() as db:
        return db.execute(select(func.count()).select_from(events)).scalar() or 0


Lock = sqlite3.Connection | psycopg.Connection[Any]


@pytest.fixture
def lock(ledger_url: URL) -> Iterator[Lock]:
    """Another program that locks the ledger, until it rolls back."""
    if ledger_url.get_backend_name() == SQLITE:
        connection: Lock = sqlite3.connect(str(ledger_url.database), isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
    else:
        connection = psycopg.connect(ledger_url.render_as_string(hide_password=False))
        connection.execute("LOCK TABLE events, probes")
    yield connection
    connection.close()


async def test_two_hundred_equal_events_at_once_are_one_event(ledger: Ledger, writer: Writer) -> None:
    event = new_event()
    receipts = await asyncio.gather(*[writer.append(event, timeout_s=AGES_S) for _ in range(200)])
    assert sum(not receipt.duplicate for receipt in receipts) == 1
    assert {receipt.event_id for receipt in receipts} == {1}
    assert count_events(ledger) == 1


async def test_what_is_committed_is_announced_once(writer: Writer, rung: list[Doorbells]) -> None:
    await asyncio.gather(*[writer.append(new_event(), timeout_s=AGES_S) for _ in range(50)])
    ids = [each for doorbells in rung for each in doorbells["payments"]]
    assert sorted(ids) == list(range(1, 51))


async def test_a_row_that_cannot_be_written_does_not_fail_its_neighbours(
    ledger: Ledger, writer: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = new_event(body=b"card-4242")._replace(type=None)  # type: ignore[arg-type]  # the database refuses it: that is the point
    assert isinstance(await _append_among_forty(writer, bad), LedgerUnavailable)
    assert count_events(ledger) == 40
    logged = capsys.readouterr().out
    assert "event cannot be written" in logged
    assert "card-4242" not in logged


@ON_POSTGRESQL
@pytest.mark.parametrize("value", ["x" * 256, "a\0b", "\ud83d"], ids=["too long", "NUL", "half a character"])
async def test_text_that_postgresql_does_not_take_fails_only_its_own_event(
    ledger: Ledger, writer: Writer, value: str
) -> None:
    """Intake lets no such text through."""
    assert isinstance(await _append_among_forty(writer, new_event(type=value)), LedgerUnavailable)
    assert count_events(ledger) == 40


async def _append_among_forty(writer: Writer, bad: NewEvent) -> Receipt | BaseException:
    """Append an event together with others, which must get in. Give what became of it."""
    batch = [new_event() for _ in range(20)] + [bad] + [new_event() for _ in range(20)]
    results = await asyncio.gather(*[writer.append(each, timeout_s=AGES_S) for each in batch], return_exceptions=True)
    outcome = results.pop(20)
    assert {type(result) for result in results} == {Receipt}
    return outcome


async def test_any_bytes_can_be_in_a_body_whoever_shares_its_batch(ledger: Ledger, writer: Writer) -> None:
    batch = [new_event(body=body) for body in [b'{"id": "\\u0000"}', b"\0", bytes(range(256)), b""] + [b"{}"] * 46]
    receipts = await asyncio.gather(*[writer.append(each, timeout_s=AGES_S) for each in batch])
    by_id = {receipt.event_id: event.body for receipt, event in zip(receipts, batch, strict=True)}
    with ledger.read() as db:
        assert {event_id: bytes(body) for event_id, body in db.execute(select(events.c.id, events.c.body))} == by_id


def test_a_full_batch_is_as_many_statements_as_one_event(ledger: Ledger) -> None:
    words = STATEMENTS[ledger.in_turns]
    assert _statements_for(ledger, 1) == _statements_for(ledger, MAX_BATCH_EVENTS) == words


STATEMENTS = {
    True: ["SELECT", "INSERT", "INSERT"],  # how many may be announced; events; deliveries
    False: ["SELECT", "WITH"],  # events and deliveries together
}


def _statements_for(ledger: Ledger, count: int) -> list[str]:
    """Write so many events as one batch. Give the first word of each statement."""
    words: list[str] = []
    engine = ledger._engine  # noqa: SLF001  # to listen at it

    def listen(connection: Any, *_: object) -> None:
        _tell(connection, lambda statement: words.append(statement.split(maxsplit=1)[0]))

    event.listen(engine, "checkout", listen)
    with closing(Commits(ledger, lambda _: None, metrics=uncounted())) as commits:
        commits.write([new_event() for _ in range(count)])
    event.remove(engine, "checkout", listen)
    with ledger.read() as db:
        _tell(db.connection.driver_connection, None)
    return [word for word in words if word not in {"BEGIN", "COMMIT", ";"}]


def _tell(connection: Any, hear: Callable[[str], None] | None) -> None:
    """Have told what a driver's connection is told from now on."""
    if isinstance(connection, sqlite3.Connection):
        connection.set_trace_callback(hear)
        return

    class Hearing(psycopg.Cursor[Any]):
        def execute(self, query: Any, *args: Any, **options: Any) -> "Hearing":
            if hear is not None:
                hear(query)
            return super().execute(query, *args, **options)

    connection.cursor_factory = Hearing


async def test_while_the_ledger_is_locked_nobody_is_told_that_an_event_is_safe(writer: Writer, lock: Lock) -> None:
    results = await asyncio.gather(
        *[writer.append(new_event(), timeout_s=0.2) for _ in range(5)],
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [LedgerUnavailable] * 5
    lock.rollback()


async def test_who_comes_to_a_ledger_that_has_not_answered_in_time_hears_so_at_once(writer: Writer, lock: Lock) -> None:
    with pytest.raises(LedgerUnavailable, match="not on disk within"):
        await writer.append(new_event(), timeout_s=0.2)
    with pytest.raises(LedgerUnavailable, match="does not answer"):
        await writer.append(new_event(), timeout_s=0.1)
    lock.rollback()


async def test_when_the_lock_is_gone_events_are_accepted_again(writer: Writer, lock: Lock) -> None:
    with pytest.raises(LedgerUnavailable):
        await writer.append(new_event(), timeout_s=0.1)
    lock.rollback()
    assert not (await writer.append(new_event(), timeout_s=AGES_S)).duplicate


async def test_a_sender_that_hangs_up_cancels_nothing(ledger: Ledger, writer: Writer, lock: Lock) -> None:
    waiting = asyncio.create_task(writer.append(new_event(), timeout_s=AGES_S))
    await asyncio.sleep(0)
    waiting.cancel()
    lock.rollback()
    await writer.append(new_event(), timeout_s=AGES_S)
    await asyncio.gather(waiting, return_exceptions=True)
    assert count_events(ledger) == 2


async def test_a_full_queue_refuses_at_once(ledger: Ledger) -> None:
    writer = make_writer(ledger, may=(may := threading.Event()))
    starting = asyncio.create_task(writer.start())
    for _ in range(100):  # rounds of the event loop, until the line is there
        await asyncio.sleep(0)
    tasks = [asyncio.create_task(writer.append(new_event(), timeout_s=AGES_S)) for _ in range(MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(LedgerUnavailable, match="too much"):
        await writer.append(new_event(), timeout_s=AGES_S)
    may.set()
    await asyncio.gather(starting, *tasks)
    await writer.stop()


async def test_stopping_writes_what_was_handed_in(ledger: Ledger) -> None:
    writer = make_writer(ledger)
    await writer.start()
    tasks = [asyncio.create_task(writer.append(new_event(), timeout_s=AGES_S)) for _ in range(600)]
    await asyncio.sleep(0)
    await writer.stop()
    await asyncio.gather(*tasks)
    assert count_events(ledger) == 600


async def test_a_probe_says_whether_a_commit_is_possible(writer: Writer, lock: Lock) -> None:
    with pytest.raises(LedgerUnavailable):
        await writer.probe(timeout_s=0.1)
    lock.rollback()
    await writer.probe(timeout_s=AGES_S)


@ON_POSTGRESQL
async def test_a_probe_that_fails_for_whatever_reason_says_so_and_its_neighbours_get_in(
    ledger: Ledger, writer: Writer
) -> None:
    with ledger.write() as db:
        db.execute(text("ALTER TABLE probes RENAME TO elsewhere"))
    try:
        with pytest.raises(LedgerUnavailable):
            await writer.probe(timeout_s=AGES_S)
        outcomes = await asyncio.gather(
            writer.probe(timeout_s=AGES_S), writer.append(new_event(), timeout_s=AGES_S), return_exceptions=True
        )
        assert isinstance(outcomes[0], LedgerUnavailable)
        assert count_events(ledger) == 1
    finally:
        with ledger.write() as db:
            db.execute(text("ALTER TABLE elsewhere RENAME TO probes"))


async def test_an_event_and_its_deliveries_are_one_transaction(ledger: Ledger, writer: Writer) -> None:
    bad = new_event(handlers=("same", "same"))
    with pytest.raises(LedgerUnavailable):
        await writer.append(bad, timeout_s=AGES_S)
    with ledger.read() as db:
        assert db.execute(select(func.count()).select_from(deliveries)).scalar() == 0
    assert count_events(ledger) == 0


async def test_when_the_process_ends_who_waits_is_told_to_come_again_and_another_one_writes(
    ledger: Ledger, lock: Lock
) -> None:
    hands: list[Hand] = []
    writer = make_writer(ledger, hands=hands)
    await writer.start()
    waiting = asyncio.create_task(writer.append(new_event(key="evt_again"), timeout_s=AGES_S))
    await asyncio.sleep(0.05)
    hands[0].kill()
    with pytest.raises(LedgerUnavailable, match="has ended"):
        await waiting
    lock.rollback()
    receipt = await append_to_the_next(writer, new_event(key="evt_again"))
    assert len(hands) == 2
    assert receipt.event_id == 1  # a duplicate if it had been written, and its first time if not
    assert count_events(ledger) == 1
    await writer.stop()


async def test_a_process_that_was_hired_beforehand_is_the_one_that_writes_and_the_next_one_is_hired_when_it_ends(
    ledger: Ledger,
) -> None:
    hands: list[Hand] = []
    writer = make_writer(ledger, hands=hands)
    writer.hire()
    assert len(hands) == 1

    await writer.start()

    assert await writer.append(new_event(key="evt_1"), timeout_s=AGES_S) == Receipt(1, duplicate=False)
    assert len(hands) == 1
    hands[0].kill()
    assert await append_to_the_next(writer, new_event(key="evt_2")) == Receipt(2, duplicate=False)
    assert len(hands) == 2
    await writer.stop()


async def test_a_process_that_was_hired_and_never_begun_with_ends_too(ledger: Ledger) -> None:
    hands: list[Hand] = []
    writer = make_writer(ledger, hands=hands)
    writer.hire()
    await writer.stop()
    hands[0].wait()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_that_was_forked_hires_its_own_and_leaves_alone_whom_its_parent_has_hired(ledger: Ledger) -> None:
    hands: list[Hand] = []
    writer = make_writer(ledger, hands=hands)
    writer.hire()
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            asyncio.run(writer.start())
        os._exit(len(hands))
    hired_there = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    async def append() -> Receipt:
        await writer.start()
        receipt = await writer.append(new_event(), timeout_s=AGES_S)
        await writer.stop()
        return receipt

    assert hired_there == 2
    assert asyncio.run(append()) == Receipt(1, duplicate=False)
    assert len(hands) == 1


async def test_a_process_that_does_not_answer_for_long_is_killed_and_another_one_writes(
    ledger: Ledger, lock: Lock
) -> None:
    hands: list[Hand] = []
    writer = make_writer(ledger, hands=hands, killed_after_s=0.5)
    await writer.start()
    with pytest.raises(LedgerUnavailable, match="has ended"):
        await writer.append(new_event(), timeout_s=AGES_S)
    lock.rollback()
    assert not (await append_to_the_next(writer, new_event())).duplicate
    assert len(hands) > 1
    await writer.stop()


async def append_to_the_next(writer: Writer, event: NewEvent) -> Receipt:
    """Append an event as senders do: again, until there is a process that writes it."""
    async with asyncio.timeout(AGES_S):
        while True:
            with suppress(LedgerUnavailable):
                return await writer.append(event, timeout_s=AGES_S)
            await asyncio.sleep(0.05)
