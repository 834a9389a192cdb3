"""Large bodies: written in pieces before their event, whole again for whoever reads it, and gone with it."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from ledger import claims
from ledger.audit import By
from ledger.errors import LedgerUnavailable
from ledger.event import NewEvent, Receipt
from ledger.large import LargeWriter
from ledger.pieces import LARGE_BYTES, NOBODYS_AFTER_S, PIECE_BYTES, BodyGone, forget_nobodys, take_body, write_body
from ledger.prune import Ages, Deed, delete_events, empty_payloads, prune
from ledger.store import Ledger
from ledger.tables import body_pieces, events, large_bodies
from ledger.views import get_body, get_event
from ledger.writer import Writer
from tests.cli.dev.waiting import wait_until
from tests.engines import ON_SQLITE
from tests.ledger.hands import writing
from tests.ledger.making import new_event

pytestmark = pytest.mark.anyio

TIMEOUT_S = 60.0


@pytest.fixture
async def writer(ledger: Ledger) -> AsyncIterator[Writer]:
    async with writing(ledger) as writer:
        yield writer


@pytest.fixture
def large(ledger: Ledger, writer: Writer) -> Iterator[LargeWriter]:
    large = LargeWriter(ledger, writer)
    yield large
    large.stop()


def body_of(size: int) -> bytes:
    """Make a body no two pieces of which are alike."""
    return b"".join(b"%015d " % number for number in range(size // 16 + 1))[:size]


def large_event(size: int = LARGE_BYTES + 1, **changes: Any) -> NewEvent:
    return new_event(body=body_of(size), handlers=(), **changes)


def until() -> float:
    return time.monotonic() + TIMEOUT_S


def left(ledger: Ledger) -> tuple[int, int]:
    """Count the large bodies and the pieces that are there."""
    with ledger.read() as db:
        bodies, its = (
            db.execute(select(func.count()).select_from(each)).scalar() for each in (large_bodies, body_pieces)
        )
    return bodies or 0, its or 0


@pytest.mark.parametrize("size", [LARGE_BYTES + 1, 5 * PIECE_BYTES, 6 * PIECE_BYTES - 1])
async def test_a_large_body_is_kept_exactly_and_everybody_reads_it_whole(
    ledger: Ledger, large: LargeWriter, size: int
) -> None:
    event = large_event(size)
    receipt = await large.append(event, timeout_s=TIMEOUT_S)
    with ledger.read() as db:
        assert get_body(db, receipt.event_id) == event.body
        assert claims.load_events(db, [receipt.event_id])[receipt.event_id].body == event.body
        assert (get_event(db, receipt.event_id) or {})["body_size"] == size
    assert left(ledger) == (1, -(-size // PIECE_BYTES))


async def test_what_was_written_for_an_event_that_never_came_goes_after_an_hour_and_nothing_else(
    ledger: Ledger, large: LargeWriter
) -> None:
    kept = await large.append(large_event(), timeout_s=TIMEOUT_S)
    write_body(ledger, body_of(3 * PIECE_BYTES), until=until())  # and here the process was killed
    assert forget_nobodys(ledger, now=time.time()) == 0
    assert left(ledger)[0] == 2
    assert forget_nobodys(ledger, now=time.time() + NOBODYS_AFTER_S + 1) == 1
    assert left(ledger)[0] == 1
    with ledger.read() as db:
        assert get_body(db, kept.event_id) == body_of(LARGE_BYTES + 1)


async def test_an_event_whose_body_is_gone_is_refused_and_its_neighbours_are_not(
    ledger: Ledger, writer: Writer
) -> None:
    body_id = write_body(ledger, body_of(PIECE_BYTES), until=until())
    forget_nobodys(ledger, now=time.time() + NOBODYS_AFTER_S + 1)
    both = new_event(body=b"", body_id=body_id), new_event()
    outcomes = await asyncio.gather(
        *(writer.append(each, timeout_s=TIMEOUT_S) for each in both), return_exceptions=True
    )
    assert [type(each) for each in outcomes] == [LedgerUnavailable, Receipt]
    with ledger.read() as db:
        assert db.execute(select(events.c.dedupe_key)).scalars().all() == [both[1].dedupe_key]


async def test_a_large_event_that_several_send_at_once_is_one_event_with_one_body(
    ledger: Ledger, writer: Writer
) -> None:
    several = [LargeWriter(ledger, writer) for _ in range(3)]  # as in several processes
    event = large_event(key="evt_1")
    receipts = await asyncio.gather(*(each.append(event, timeout_s=TIMEOUT_S) for each in several))
    assert sorted(each.duplicate for each in receipts) == [False, True, True]
    again = await several[0].append(event, timeout_s=TIMEOUT_S)
    assert again == Receipt(receipts[0].event_id, duplicate=True)
    wait_until(lambda: left(ledger) == (1, 5), timeout_s=TIMEOUT_S)
    for each in several:
        each.stop()
    with ledger.read() as db:
        assert get_body(db, again.event_id) == event.body


async def test_a_large_body_that_cannot_be_written_in_time_leaves_no_event(ledger: Ledger) -> None:
    with pytest.raises(LedgerUnavailable):
        write_body(ledger, body_of(PIECE_BYTES), until=time.monotonic() - 1)
    assert left(ledger) == (0, 0)


@ON_SQLITE
def test_a_large_body_that_takes_too_long_leaves_nothing_behind(ledger: Ledger) -> None:
    with pytest.raises(LedgerUnavailable, match="too long"):
        write_body(ledger, bytes(400 * PIECE_BYTES), until=time.monotonic() + 0.01)
    assert left(ledger) == (0, 0)


def test_when_the_time_is_short_a_large_body_is_written_with_shorter_rests(ledger: Ledger) -> None:
    write_body(ledger, body_of(5 * PIECE_BYTES), until=time.monotonic() + 3, rest=1_000)
    assert left(ledger) == (1, 5)


async def test_a_large_body_that_the_database_refuses_leaves_no_event(ledger: Ledger, large: LargeWriter) -> None:
    with ledger.write() as db:
        db.execute(text("ALTER TABLE body_pieces RENAME TO elsewhere"))
    try:
        with pytest.raises(LedgerUnavailable):
            await large.append(large_event(), timeout_s=TIMEOUT_S)
    finally:
        with ledger.write() as db:
            db.execute(text("ALTER TABLE elsewhere RENAME TO body_pieces"))
    assert left(ledger) == (0, 0)


@pytest.mark.parametrize("identity_too", [False, True])
async def test_a_large_body_goes_with_the_payload_of_its_event(
    ledger: Ledger, large: LargeWriter, *, identity_too: bool
) -> None:
    old, other = [await large.append(large_event(received_at=at), timeout_s=TIMEOUT_S) for at in (1.0, 9.0)]
    ages = Ages(payload_before=5.0, identity_before=5.0 if identity_too else 0.0)
    prune(ledger, ages, by=By(who="ann", via="cli"), stopping=threading.Event())
    with ledger.read() as db:
        assert not get_body(db, old.event_id)
        assert get_body(db, other.event_id) == body_of(LARGE_BYTES + 1)
    assert left(ledger)[0] == 1


@pytest.mark.parametrize("deed", [empty_payloads, delete_events])
async def test_a_large_body_that_an_event_has_let_go_is_deleted_in_parts_and_no_other_event_gets_it(
    ledger: Ledger, large: LargeWriter, deed: Deed
) -> None:
    receipt = await large.append(large_event(), timeout_s=TIMEOUT_S)
    with ledger.write() as db:
        assert deed(db, [receipt.event_id]) == 1
        (body_id,) = db.execute(select(large_bodies.c.id)).scalars()
    bodies, pieces = left(ledger)
    assert (bodies, pieces) == (1, LARGE_BYTES // PIECE_BYTES + 1)  # not in that transaction
    with pytest.raises(BodyGone), ledger.write() as db:
        take_body(db, body_id, receipt.event_id)
    assert forget_nobodys(ledger, now=time.time()) == 1
    assert left(ledger) == (0, 0)


@ON_SQLITE
async def test_others_write_while_a_large_body_is_written(ledger: Ledger) -> None:
    done = threading.Event()

    def write() -> None:
        write_body(ledger, body_of(40 * PIECE_BYTES), until=until())
        done.set()

    writing = threading.Thread(target=write)
    writing.start()
    turns = 0
    while not done.is_set():
        with ledger.write() as db:
            db.execute(update(events).values(flaw="x"))
        turns += 1
    writing.join()
    assert turns > 10
