"""The digest: once a day, at a time on a zone's clocks, however many look, and late rather than not at all."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from config.rules import DigestRule, Rules
from handlers.context import Channels, usual_rules
from ledger.store import Ledger
from ledger.tables import deliveries, effects
from ledger.tally import Tally, tally
from tests.engines import ON_BOTH, SQLITE
from tests.ledger.making import new_event, store
from workers.digest import INTERVAL_S, DigestRound

CHANNELS = Channels(finance="#finance", engineering="#engineering")
BERLIN = "Europe/Berlin"

Hire = Callable[..., DigestRound]


class Clock:
    """A wall clock that is set by the test; the other one goes on with each look."""

    def __init__(self) -> None:
        self.wall = 0.0
        self.monotonic = 0.0

    def tick(self) -> float:
        self.monotonic += INTERVAL_S
        return self.monotonic


def rules(at: str = "08:00", zone: str = BERLIN) -> Rules:
    usual = usual_rules()
    hour, minute = at.split(":")
    rule = DigestRule(post=True, at=time(int(hour), int(minute)), channel="#finance", zone=ZoneInfo(zone))
    return replace(usual, digest=rule)


def moment(text: str) -> float:
    """Read `2026-11-23 07:59` in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.fixture(params=[SQLITE])
def database(request: pytest.FixtureRequest) -> str:
    """SQLite, but for what the two databases do in ways of their own."""
    kind: str = request.param
    return kind


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hire(ledger: Ledger, clock: Clock) -> Hire:
    store(ledger, new_event(received_at=moment("2026-01-01 00:00"), handlers=()))

    def make(**said: str) -> DigestRound:
        return DigestRound(
            ledger, rules=rules(**said), channels=CHANNELS, clock=lambda: clock.wall, monotonic=clock.tick
        )

    return make


def look(clock: Clock, digest: DigestRound, *moments: str) -> None:
    for each in moments:
        clock.wall = moment(each)
        digest.make()


def keys(ledger: Ledger) -> list[str]:
    with ledger.read() as db:
        return list(db.execute(select(effects.c.key).order_by(effects.c.id)).scalars())


def messages(ledger: Ledger) -> list[Any]:
    with ledger.read() as db:
        return [json.loads(row.message) for row in db.execute(select(effects.c.message).order_by(effects.c.id))]


@ON_BOTH
def test_it_is_sent_at_its_time_on_its_zones_clocks_and_once(ledger: Ledger, clock: Clock, hire: Hire) -> None:
    first, second = hire(), hire()
    look(clock, first, "2026-11-23 06:59")
    assert keys(ledger) == []
    look(clock, first, "2026-11-23 07:00", "2026-11-23 07:01")
    look(clock, second, "2026-11-23 07:01")
    look(clock, hire(), "2026-11-23 12:00")
    assert keys(ledger) == ["hookline/digest/2026-11-23/Europe/Berlin"]
    assert messages(ledger)[0]["text"].startswith("Sunday, 22 November 2026 in figures")
    look(clock, first, "2026-11-24 07:00")
    assert len(keys(ledger)) == 2


def test_one_that_was_missed_is_sent_late_on_its_day_and_says_so_and_not_on_another(
    ledger: Ledger, clock: Clock, hire: Hire
) -> None:
    look(clock, hire(), "2026-11-23 15:30")
    look(clock, hire(), "2026-11-25 22:59")  # midnight on its zone's clocks is at 23:00
    look(clock, hire(), "2026-11-25 23:00", "2026-11-26 06:00")
    assert [key.split("/")[2] for key in keys(ledger)] == ["2026-11-23", "2026-11-25"]
    assert "8 h 30 min late" in json.dumps(messages(ledger)[0])


@pytest.mark.parametrize(
    ("at", "before", "due"),
    [
        ("02:30", "2026-03-29 00:59", "2026-03-29 01:30"),  # clocks go from 2:00 to 3:00: it is due at 3:30
        ("02:30", "2026-10-25 00:29", "2026-10-25 00:30"),  # clocks show 2:30 twice: it is due at the first
        ("08:00", "2026-03-29 05:59", "2026-03-29 06:00"),
        ("08:00", "2026-10-25 06:59", "2026-10-25 07:00"),
    ],
)
def test_a_time_that_clocks_leave_out_or_show_twice_is_one_time(
    ledger: Ledger, clock: Clock, hire: Hire, *, at: str, before: str, due: str
) -> None:
    digest = hire(at=at)
    day = before.partition(" ")[0]
    look(clock, digest, before)
    assert keys(ledger) == []
    look(clock, digest, due)
    look(clock, hire(at=at), f"{day} 01:30", f"{day} 20:00")
    assert keys(ledger) == [f"hookline/digest/{day}/Europe/Berlin"]


def test_a_clock_that_is_set_back_does_not_repeat_it(ledger: Ledger, clock: Clock, hire: Hire) -> None:
    digest = hire()
    look(clock, digest, "2026-11-23 07:00", "2026-11-24 07:00", "2026-11-23 07:30", "2026-11-24 08:00")
    assert len(keys(ledger)) == 2


def test_a_ledger_that_was_not_there_on_that_day_has_nothing_to_say_of_it(ledger: Ledger, clock: Clock) -> None:
    store(ledger, new_event(received_at=moment("2026-11-23 00:00"), handlers=()))
    digest = DigestRound(ledger, rules=rules(zone="UTC"), channels=CHANNELS, clock=lambda: clock.wall)
    look(clock, digest, "2026-11-23 09:00")
    assert keys(ledger) == []


@ON_BOTH
def test_each_event_of_a_day_counts_once_as_its_worst_delivery_stands(ledger: Ledger) -> None:
    both = ("topic.one", "topic.two")
    for number in range(6):
        store(ledger, new_event(received_at=100.0 + number, handlers=both if number < 5 else ()))
    ours = new_event(received_at=150.0, source="hookline")
    store(ledger, new_event(received_at=99.0), new_event(received_at=200.0), ours)
    states = {
        1: ("done", "done"),
        2: ("done", "dead"),
        3: ("pending", "dead"),
        4: ("failed", "done"),
        5: ("done", "dismissed"),
    }
    with ledger.write() as db:
        for event_id, pair in states.items():
            for handler, state in zip(both, pair, strict=True):
                mine = (deliveries.c.event_id == event_id, deliveries.c.handler == handler)
                db.execute(update(deliveries).where(*mine).values(state=state))
    with ledger.read() as db:
        found = tally(db, since=100, until=200)
    assert found == Tally(received=6, handled=2, unhandled=1, waiting=1, dead=2)


@given(
    now=st.integers(int(moment("2020-01-01 00:00")), int(moment("2030-01-01 00:00"))),
    minutes=st.integers(0, 1_439),
    zone=st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Pacific/Apia", "UTC"]),
)
def test_each_day_has_one_moment_at_which_it_is_due(now: int, minutes: int, zone: str) -> None:
    rule = rules(at=f"{minutes // 60:02}:{minutes % 60:02}", zone=zone).digest
    due = rule.last_due(now)
    assert due.timestamp() <= now < due.timestamp() + 2 * 86_400
    assert rule.last_due(due.timestamp()) == due
    assert rule.last_due(due.timestamp() - 1).date() < due.date()
