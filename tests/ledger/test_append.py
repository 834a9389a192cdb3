"""New events in the ledger."""

from sqlalchemy import func, insert, select, update

from ledger.append import Room, append
from ledger.event import Receipt
from ledger.overdue import HIGH_WATER
from ledger.store import Ledger
from ledger.tables import deliveries, events
from tests.ledger.making import delivery, new_event, states, store


def test_an_event_gets_one_delivery_for_each_handler_that_wants_it(ledger: Ledger) -> None:
    ids = store(ledger, new_event(handlers=("payments.refund", "notifications.refund")))
    assert [delivery(ledger, each).handler for each in ids] == ["payments.refund", "notifications.refund"]


def test_an_event_that_no_handler_wants_is_kept_all_the_same(ledger: Ledger) -> None:
    assert store(ledger, new_event(handlers=())) == []
    with ledger.read() as db:
        assert db.execute(select(func.count()).select_from(events)).scalar() == 1


def test_the_raw_bytes_are_kept_exactly(ledger: Ledger) -> None:
    body = bytes(range(256)) * 3
    store(ledger, new_event(body=body))
    with ledger.read() as db:
        assert db.execute(select(events.c.body)).scalar() == body


def test_the_second_of_two_equal_events_in_a_batch_is_a_duplicate_of_the_first(ledger: Ledger) -> None:
    with ledger.write() as db:
        appended = append(db, [new_event(key="evt_1"), new_event(key="evt_2"), new_event(key="evt_1")], Room())
    first, other, again = appended.receipts
    assert (first.duplicate, other.duplicate) == (False, False)
    assert again == Receipt(first.event_id, duplicate=True)
    assert len(appended.doorbells["payments"]) == 2


def test_an_event_that_is_already_there_is_a_duplicate_and_changes_nothing(ledger: Ledger) -> None:
    store(ledger, new_event(key="evt_1"))
    with ledger.write() as db:
        appended = append(db, [new_event(key="evt_1", body=b"{}")], Room())
    assert appended.receipts == [Receipt(1, duplicate=True)]
    assert not appended.doorbells
    with ledger.read() as db:
        assert db.execute(select(events.c.body)).scalars().all() == [b'{"id": 1}']


def test_the_same_key_of_another_source_is_another_event(ledger: Ledger) -> None:
    assert len(store(ledger, new_event(key="1"), new_event(key="1", source="github"))) == 2


def test_above_the_high_water_mark_events_wait_in_sql_without_a_doorbell(ledger: Ledger) -> None:
    store(ledger, new_event())
    with ledger.write() as db:
        template = dict(db.execute(select(deliveries)).mappings().one())
        del template["id"]
        rows = [template | {"handler": f"h{number}"} for number in range(HIGH_WATER - 1)]
        db.execute(insert(deliveries), rows)
    assert store(ledger, new_event()) == []
    assert states(ledger)[-1] == "pending"


def test_room_is_counted_again_when_the_last_count_is_old(ledger: Ledger) -> None:
    room = Room()
    with ledger.write() as db:
        append(db, [new_event()], room)
        db.execute(update(deliveries).values(state="done"))
        append(db, [new_event()], room)
    assert states(ledger) == ["done", "queued"]
