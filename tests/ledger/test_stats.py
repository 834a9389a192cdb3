"""What the statistics count, and what the list of sources knows."""

import time
from typing import Any

import pytest
from sqlalchemy import insert, update

from ledger.store import Ledger
from ledger.tables import deliveries, requests
from ledger.views import Filter
from ledger.views.sources import list_sources
from ledger.views.stats import Stats, take_stats
from tests.engines import ON_BOTH
from tests.ledger.making import new_event, store

HOUR_S = 3_600.0
NOON = 1_800_000_000.0 // HOUR_S * HOUR_S


def taken(ledger: Ledger, *, since: float, until: float, **wanted: Any) -> Stats:
    with ledger.read() as db:
        return take_stats(db, Filter(**wanted), since=since, until=until)


def done(ledger: Ledger, delivery_id: int, *, at: float, trigger: str = "initial") -> None:
    with ledger.write() as db:
        values = {"state": "done", "finished_at": at, "trigger": trigger}
        db.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(values))


@ON_BOTH
def test_events_are_counted_by_what_they_are_what_became_of_them_and_when_they_came_in(ledger: Ledger) -> None:
    store(ledger, new_event(received_at=NOON - 1))  # too early
    store(ledger, new_event(received_at=NOON, type="a.b"))
    store(ledger, new_event(received_at=NOON + HOUR_S - 0.5, type="a.b", handlers=()))
    store(ledger, new_event(received_at=NOON + HOUR_S, source="github", type="push"))
    store(ledger, new_event(received_at=NOON + HOUR_S, source="github", type="push", handlers=(), flaw="not JSON"))
    store(ledger, new_event(received_at=NOON + 24 * HOUR_S))  # too late
    done(ledger, 2, at=NOON + 2)
    stats = taken(ledger, since=NOON, until=NOON + 24 * HOUR_S)
    assert stats.events == 4
    assert stats.sources == {"stripe": 2, "github": 2}
    assert stats.types == {("stripe", "a.b"): 2, ("github", "push"): 2}
    assert stats.states == {"pending": 1, "done": 1, "unhandled": 1, "unparseable": 1}
    assert stats.deliveries == {"queued": 1, "done": 1}
    assert (stats.bucket_s, list(stats.buckets)) == (HOUR_S, [2, 2] + [0] * 23)
    assert taken(ledger, since=NOON, until=NOON + HOUR_S, source="github").events == 0


@ON_BOTH
def test_latency_is_from_receipt_until_handled_and_replays_do_not_count(ledger: Ledger) -> None:
    store(ledger, *(new_event(received_at=NOON) for _ in range(101)))
    for delivery_id in range(1, 101):
        done(ledger, delivery_id, at=NOON + delivery_id)
    done(ledger, 101, at=NOON + 1_000_000, trigger="replay")
    latency = taken(ledger, since=NOON, until=NOON + 1).latency
    assert latency is not None
    assert (latency.count, latency.longest_s) == (100, 100)
    assert latency.percentiles == {0.5: 51, 0.95: 96, 0.99: 100}


@ON_BOTH
def test_of_all_time_begins_with_the_oldest_event(ledger: Ledger) -> None:
    assert taken(ledger, since=0, until=NOON).events == 0
    store(ledger, new_event(received_at=NOON - 30 * 24 * HOUR_S), new_event(received_at=NOON))
    stats = taken(ledger, since=0, until=NOON + 1)
    assert (stats.events, stats.since, stats.bucket_s) == (2, NOON - 30 * 24 * HOUR_S, 24 * HOUR_S)


@ON_BOTH
def test_each_source_says_when_it_was_heard_of_and_how_often_it_usually_is(ledger: Ledger) -> None:
    now = time.time()
    store(ledger, *(new_event(received_at=now - age, type="a.b") for age in (200_000, 100_000, 100, 70, 50)))
    store(ledger, new_event(received_at=now - 90_000, source="custom"))
    rejected = {"received_at": now, "path": "/", "status": 401, "reason": "signature_mismatch", "headers": "{}"}
    with ledger.write() as db:
        db.execute(insert(requests).values(source="stripe", **rejected))
    with ledger.read() as db:
        found = {each["source"]: each for each in list_sources(db, {"stripe": True, "slack": False}, now=now)}
    assert sorted(found) == ["custom", "slack", "stripe"]
    stripe = found["stripe"]
    assert (stripe["last_event"], stripe["events_24h"], stripe["rejected_24h"]) == (5, 3, 1)
    assert stripe["usual_gap_s"] == pytest.approx((30 + 99_900) / 2)
    assert (found["custom"]["events_24h"], found["custom"]["usual_gap_s"]) == (0, None)
    assert found["slack"]["last_event_at"] is None
