"""Which deliveries and events a filter means: no more than it says, oldest first."""

from sqlalchemy import update

from ledger.event import DeliveryState, EffectState
from ledger.selection import select_deliveries, select_events
from ledger.store import Ledger
from ledger.tables import deliveries, events
from ledger.views import Filter
from tests.cli.stock import add_effect
from tests.ledger.making import new_event, store


def fill(ledger: Ledger) -> None:
    """Store a delivery in each state, each a second older than the one before; the done one has a dead effect."""
    for number, state in enumerate(DeliveryState, start=1):
        store(ledger, new_event(received_at=100.0 - number, type=f"charge.{state}"))
        with ledger.write() as db:
            db.execute(update(deliveries).where(deliveries.c.id == number).values(state=state))
            if state == DeliveryState.DONE:
                add_later = number
    add_effect(ledger, event_id=add_later, delivery_id=add_later, state=EffectState.DEAD)


def test_dead_takes_what_is_dead_and_what_has_a_dead_effect(ledger: Ledger) -> None:
    fill(ledger)
    done, dead = (list(DeliveryState).index(DeliveryState(each)) + 1 for each in ("done", "dead"))
    with ledger.read() as db:
        found = select_deliveries(db, Filter(state="dead"))
        assert (found.deliveries, found.effects, found.more) == ([dead, done], 1, False)
        assert found.handlers == {"topic.run": 2}
        one = select_deliveries(db, Filter(state="dead", limit=1))
        assert (one.deliveries, one.effects, one.more) == ([dead], 0, True)
        assert select_deliveries(db, Filter(state="dead", type="charge.done")).deliveries == [done]
        assert select_deliveries(db, Filter(state="dead", source="github")).deliveries == []
        for state in ("failed", "pending", "queued"):
            its = list(DeliveryState).index(DeliveryState(state)) + 1
            assert select_deliveries(db, Filter(state=state, handler="topic.run")).deliveries == [its]


def test_events_to_send_are_chosen_by_their_deliveries_or_without_and_need_a_payload(ledger: Ledger) -> None:
    fill(ledger)
    store(ledger, new_event(type="unknown", handlers=(), received_at=1.0))
    store(ledger, new_event(source="hookline", type="hookline.digest", received_at=2.0))
    with ledger.write() as db:
        db.execute(update(events).where(events.c.id == 2).values(payload_pruned_at=1.0))
    with ledger.read() as db:
        everything = select_events(db, Filter())
        assert everything.ids == [8, 7, 6, 5, 4, 3, 1]
        assert (everything.pruned, everything.more) == (1, False)
        assert select_events(db, Filter(state="pending")).ids == [1]
        six = select_events(db, Filter(limit=6))
        assert (six.ids, six.more) == (everything.ids[:6], True)
        assert not select_events(db, Filter(limit=7)).more
        assert select_events(db, Filter(handler="topic.run", since=96.0)).ids == [4, 3, 1]
        some = select_events(db, Filter(limit=2), event_ids=[8, 5, 1])
        assert (some.ids, some.more) == ([8, 5], True)
