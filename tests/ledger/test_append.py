"""New events in the ledger."""

import time
from collections.abc import Iterator
from typing import Any

from sqlalchemy import func, insert, select, update

from handlers.router import QUEUES
from ledger import claims, effects, line, overdue
from ledger.append import Room, append
from ledger.claims import Outcome
from ledger.effects import About
from ledger.event import DeliveryState, Receipt
from ledger.overdue import HIGH_WATER
from ledger.store import Ledger
from ledger.tables import deliveries, events
from tests.ledger.hearing import hear_all
from tests.ledger.making import delivery, new_event, plan_effect, states, store


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


def test_a_time_is_kept_to_less_than_a_millisecond(ledger: Ledger) -> None:
    store(ledger, new_event(received_at=1_900_000_000.123456))
    with ledger.read() as db:
        assert db.execute(select(events.c.received_at)).scalar() == 1_900_000_000.123456


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


def test_no_statement_of_the_hot_path_reads_all_of_history(ledger: Ledger) -> None:
    """The database says itself how it would find the rows."""
    statements: list[str] = []
    scans: list[str] = []
    listening: list[bool] = []

    def explain(connection: Any, statement: str, parameters: Any) -> None:
        if listening and statement.startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
            statements.append(statement)
            listening.clear()  # to explain is a statement, too
            scans.extend(f"{scan}  <-  {statement}" for scan in look(connection, statement, parameters))
            listening.append(True)

    store(ledger, *[new_event() for _ in range(3)])
    with ledger.read() as db:
        engine, look = db.engine, SCANS[db.dialect.name]
    hear_all(engine, explain)
    with ledger.write() as db:
        listening.append(True)
        append(db, [new_event(), new_event(key="evt_twice"), new_event(key="evt_twice")], Room())
        append(db, [new_event(key="evt_twice"), new_event(key="other", source="github")], Room())
        taken = claims.claim(db, [1, 2, 3], handlers={"topic.run"}, token="t", now=time.time())
        claims.load(db, taken)
        claims.still_held(db, "t")
        claims.beat(db, ["t"])
        claims.settle(db, [Outcome(delivery=taken[0], state=DeliveryState.DONE)], token="t", now=time.time())
        claims.release(db, "t", now=time.time())
        its: dict[str, Any] = {
            "event_id": 1,
            "delivery_id": 1,
            "message": {"text": "", "blocks": []},
            "now": time.time() - 9,
        }
        for key in ("one", "two"):
            about = About(alike="refund/live", fold_at=2)
            plan_effect(db, key=key, channel="#finance", about=about, **its)
        plan_effect(db, key="three", channel="#engineering", **its)
        effects.show(db, key="four", channel="#engineering", **its)
        effects.show(db, key="four", channel="#engineering", **(its | {"message": {"text": "new"}}))
        for _ in range(3):
            line.claim_next(db, token="t", now=time.time())
        line.free_in(db, time.time())
        line.leave(db, "#finance", time.time())
        overdue.announce_due(db, QUEUES, {"topic.run"}, time.time())
        overdue.announce_again(db, {"topic.run"}, time.time())
        overdue.deliveries_are_due(db, {"topic.run"}, time.time())
        overdue.effects_are_due(db, time.time())
        overdue.running(db)
        overdue.sending(db)
    listening.clear()
    assert len(statements) > 40
    assert scans == []


def _scans_of_sqlite(connection: Any, statement: str, parameters: Any) -> list[str]:
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    return [step for step in plan if step.startswith("SCAN") and not any(index in step for index in SMALL)]


def _scans_of_postgresql(connection: Any, statement: str, parameters: Any) -> list[str]:
    # With little in the table it would read all of it anyway, unless that is the last thing it may do; also along an
    # index, to put it beside what was found elsewhere.
    for way in ("seqscan", "mergejoin", "hashjoin"):
        connection.execute(f"SET LOCAL enable_{way} = off")
    (plan,) = connection.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters).fetchone()[0]
    return [
        f"{node['Node Type']} of {node.get('Index Name') or node.get('Relation Name')}"
        for node in _nodes(plan["Plan"])
        if (node["Node Type"] == "Seq Scan" and node["Relation Name"] not in SMALL)
        or (node.get("Index Name", SMALL[0]) not in SMALL and "Index Cond" not in node)
    ]


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for inner in node.get("Plans", ()):
        yield from _nodes(inner)


SCANS = {"sqlite": _scans_of_sqlite, "postgresql": _scans_of_postgresql}

# Partial indexes: they hold what is still to do.
SMALL = (
    "ix_deliveries_waiting",
    "ix_deliveries_queued",
    "ix_deliveries_running",
    "ix_effects_due",
    "ix_effects_line",
    "ix_effects_sending",
    "taken",  # is made of those
    "each_its_ids",  # is what was asked for
    "each_its_handlers",
    "each_its_keys",
    "channels",
    "pk_channels",
    "storms",
)
