"""Alarms: each is told once, grows in place, closes when it is over; whatever restarts, doubles or sets a clock."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select, update

from config.rules import WatchRule
from handlers.context import Channels, usual_rules
from ledger.alarms import Alarm, change, read_all
from ledger.effects import mark_sent, read_message
from ledger.line import LEASE_S, claim_next
from ledger.rhythms import Rhythm
from ledger.store import Ledger
from ledger.tables import deliveries, effects, events, requests, rhythms
from tests.engines import ON_BOTH, SQLITE
from tests.ledger.making import new_event, store
from workers.course import RETELL_S, SAME_EPISODE_S, TELL_ANEW_S, follow
from workers.sight import Sight
from workers.watchman import INTERVAL_S, Watchman

CHANNELS = Channels(finance="#finance", engineering="#engineering")
DAY_S = 86_400
MIDNIGHT = 20_000 * DAY_S


class Clocks:
    """A wall clock, which may be set, and a monotonic one."""

    def __init__(self) -> None:
        self.wall = time.time()
        self.monotonic = 1_000.0

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


@pytest.fixture(params=[SQLITE])
def database(request: pytest.FixtureRequest) -> str:
    """SQLite, but for what the two databases do in ways of their own."""
    kind: str = request.param
    return kind


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def hire(ledger: Ledger, clocks: Clocks) -> Callable[[], Watchman]:
    def make() -> Watchman:
        rules = usual_rules()
        return Watchman(
            ledger, rules=rules, channels=CHANNELS, clock=lambda: clocks.wall, monotonic=lambda: clocks.monotonic
        )

    return make


def watch_for(clocks: Clocks, seconds: float, *watchmen: Watchman, step_s: float = INTERVAL_S) -> None:
    """Let time pass with these watchmen looking."""
    for _ in range(int(seconds // step_s)):
        clocks.pass_(step_s)
        for each in watchmen:
            each.look()


def told(ledger: Ledger) -> list[str]:
    """Read the headers of all messages about health, oldest first."""
    with ledger.read() as db:
        rows = db.execute(select(effects.c.message).where(effects.c.key.like("hookline/%")).order_by(effects.c.id))
        return [read_message(row.message)["blocks"][0]["text"]["text"] for row in rows]


def set_all(ledger: Ledger, **values: Any) -> None:
    with ledger.write() as db:
        db.execute(update(deliveries).where(deliveries.c.handler == "topic.run").values(**values))


def refuse(ledger: Ledger, count: int, at: float, reason: str = "signature_mismatch") -> None:
    row = {"received_at": at, "source": "stripe", "path": "/", "status": 401, "reason": reason, "headers": "{}"}
    with ledger.write() as db:
        db.execute(insert(requests), [row] * count)


def test_a_delivery_that_waits_too_long_is_told_once_and_closed_when_it_is_handled(
    ledger: Ledger, clocks: Clocks, hire: Callable[[], Watchman]
) -> None:
    watchman = hire()
    watchman.look()
    store(ledger, new_event(received_at=clocks.wall))
    watch_for(clocks, 290, watchman)
    assert told(ledger) == []
    watch_for(clocks, 600, watchman)
    assert told(ledger) == ["Deliveries wait: 1 is due, the oldest for over 5 min"]
    set_all(ledger, state="done")
    watch_for(clocks, 20, watchman)
    assert told(ledger) == ["Healed after 9 min: deliveries waited for over 5 min"]


def test_dead_deliveries_are_one_message_that_counts_on_until_none_is_left(
    ledger: Ledger, clocks: Clocks, hire: Callable[[], Watchman]
) -> None:
    watchman = hire()
    store(ledger, new_event())
    set_all(ledger, state="dead")
    watchman.look()
    assert told(ledger) == ["Dead: 1 delivery. Nobody tries again by itself"]
    store(ledger, *[new_event() for _ in range(9)])
    set_all(ledger, state="dead")
    watch_for(clocks, RETELL_S + INTERVAL_S, watchman)
    assert told(ledger) == ["Dead: 10 deliveries. Nobody tries again by itself"]
    set_all(ledger, state="dismissed")
    watch_for(clocks, INTERVAL_S, watchman)
    [healed] = told(ledger)
    assert healed.startswith("Healed after 1 min")


def test_wrong_signatures_are_told_when_there_are_several_within_ten_minutes(
    ledger: Ledger, clocks: Clocks, hire: Callable[[], Watchman]
) -> None:
    watchman = hire()
    refuse(ledger, 50, clocks.wall, reason="signature_missing")
    refuse(ledger, 4, clocks.wall)
    watchman.look()
    assert told(ledger) == []
    clocks.pass_(300)
    refuse(ledger, 3, clocks.wall)
    watch_for(clocks, INTERVAL_S, watchman)
    assert told(ledger) == ["Wrong signatures: 7 requests from stripe refused"]
    watch_for(clocks, 500, watchman)
    assert told(ledger) == ["Wrong signatures: 7 requests from stripe refused"]
    watch_for(clocks, 120, watchman)
    [healed] = told(ledger)
    assert healed.startswith("Healed after")


@ON_BOTH
def test_a_source_that_sends_often_and_stops_is_told_and_closed_by_its_next_event(
    ledger: Ledger, clocks: Clocks, hire: Callable[[], Watchman]
) -> None:
    watchman = hire()
    watchman.look()
    send(ledger, clocks, "stripe")
    send(ledger, clocks, "github")
    watch_for(clocks, INTERVAL_S, watchman)
    teach(ledger, clocks, "stripe", longest_gap_s=1_800)
    watch_for(clocks, 3 * 3_600, watchman, step_s=60)
    assert told(ledger) == ["Silence: nothing from stripe for over 2 h"]
    send(ledger, clocks, "stripe")
    watch_for(clocks, INTERVAL_S, watchman)
    assert told(ledger) == ["Healed after 3 h: stripe was silent"]


def send(ledger: Ledger, clocks: Clocks, source: str) -> None:
    """Let a source send something that no handler wants."""
    store(ledger, new_event(received_at=clocks.wall, source=source, handlers=()))


def teach(ledger: Ledger, clocks: Clocks, source: str, *, longest_gap_s: float) -> None:
    """Let it be known that a source sent on each of the last ten days, with this gap at the most."""
    days = [time.strftime("%Y-%m-%d", time.gmtime(clocks.wall - n * DAY_S)) for n in range(10)]
    with ledger.write() as db:
        gaps = json.dumps(dict.fromkeys(days, longest_gap_s))
        db.execute(update(rhythms).where(rhythms.c.source == source).values(gaps=gaps))


@ON_BOTH
def test_two_watchmen_and_their_successors_tell_each_thing_once(
    ledger: Ledger, clocks: Clocks, hire: Callable[[], Watchman]
) -> None:
    store(ledger, new_event())
    set_all(ledger, state="dead")
    for _ in range(3):
        watch_for(clocks, 120, hire(), hire())
    assert len(told(ledger)) == 1
    with ledger.read() as db:
        assert db.execute(select(events.c.external_id).where(events.c.source == "hookline")).scalars().all() == [
            "alarm/dead_deliveries/1"
        ]
        assert {name: alarm.episode for name, alarm in read_all(db).items() if alarm.is_open} == {"dead_deliveries": 1}


@ON_BOTH
def test_of_two_that_saw_the_same_only_one_changes_an_alarm(ledger: Ledger) -> None:
    opened = Alarm(name="silence/stripe", is_open=True, episode=1, step=1, told_at=0, facts={})
    closed = replace(opened, is_open=False, step=2)
    with ledger.write() as db:
        assert change(db, None, opened)
        assert not change(db, None, opened)
        assert change(db, opened, closed)
        assert not change(db, opened, replace(opened, step=2))
        assert read_all(db) == {"silence/stripe": closed}


@pytest.mark.parametrize("jump_s", [-7 * DAY_S, -600, 600, 7 * DAY_S])
def test_a_clock_that_is_set_raises_no_alarm(
    ledger: Ledger, clocks: Clocks, hire: Callable[[], Watchman], *, jump_s: float
) -> None:
    watchman = hire()
    watchman.look()
    store(ledger, new_event(received_at=clocks.wall))
    watch_for(clocks, INTERVAL_S, watchman)
    teach(ledger, clocks, "stripe", longest_gap_s=60)
    clocks.wall += jump_s
    watch_for(clocks, 120, watchman)
    set_all(ledger, state="done")
    watch_for(clocks, 600, watchman)
    assert told(ledger) == []


def test_what_happened_while_hookline_was_down_is_not_held_against_anybody(
    ledger: Ledger, clocks: Clocks, hire: Callable[[], Watchman]
) -> None:
    watchman = hire()
    watchman.look()
    store(ledger, new_event(received_at=clocks.wall))
    watch_for(clocks, INTERVAL_S, watchman)
    teach(ledger, clocks, "stripe", longest_gap_s=60)
    clocks.pass_(2 * DAY_S)
    watch_for(clocks, 120, hire())
    set_all(ledger, state="done")
    watch_for(clocks, 600, hire())
    assert told(ledger) == []


def test_what_comes_back_soon_is_the_same_message_and_later_another_one(
    ledger: Ledger, clocks: Clocks, hire: Callable[[], Watchman]
) -> None:
    watchman = hire()
    store(ledger, new_event())
    for pause_s in (0, SAME_EPISODE_S / 2, SAME_EPISODE_S + 60):
        watch_for(clocks, pause_s, watchman, step_s=30)
        set_all(ledger, state="dead")
        watch_for(clocks, INTERVAL_S, watchman)
        set_all(ledger, state="done")
        watch_for(clocks, INTERVAL_S, watchman)
    assert len(told(ledger)) == 2


def test_what_gets_worse_when_its_message_is_a_day_old_is_told_in_a_new_one(
    ledger: Ledger, clocks: Clocks, hire: Callable[[], Watchman]
) -> None:
    watchman = hire()
    store(ledger, new_event())
    set_all(ledger, state="dead")
    watchman.look()
    clocks.pass_(TELL_ANEW_S)
    watchman.look()
    assert len(told(ledger)) == 1
    store(ledger, new_event())
    set_all(ledger, state="dead")
    watch_for(clocks, RETELL_S + INTERVAL_S, watchman)
    assert told(ledger) == [
        "Goes on in a newer message: what was dead was tried again or dismissed",
        "Dead: 2 deliveries. Nobody tries again by itself",
    ]


def test_a_complaint_that_slack_does_not_take_is_no_reason_for_the_next_one(
    ledger: Ledger, clocks: Clocks, hire: Callable[[], Watchman]
) -> None:
    watchman = hire()
    store(ledger, new_event())
    set_all(ledger, state="dead")
    watchman.look()
    with ledger.write() as db:
        db.execute(update(effects).values(state="dead"))
    watch_for(clocks, 300, watchman)
    [header] = told(ledger)
    assert header == "Dead: 1 delivery. Nobody tries again by itself"


def test_a_message_that_was_sent_is_changed_where_it_is(
    ledger: Ledger, clocks: Clocks, hire: Callable[[], Watchman]
) -> None:
    watchman = hire()
    store(ledger, new_event())
    set_all(ledger, state="dead")
    watchman.look()
    with ledger.write() as db:
        effect = claim_next(db, token="t", now=clocks.wall + 1)
        assert effect is not None
        assert mark_sent(db, effect, token="t", channel_id="C1", ts="1.2", now=clocks.wall)
    set_all(ledger, state="done")
    watch_for(clocks, INTERVAL_S, watchman)
    with ledger.write() as db:
        again = claim_next(db, token="t", now=clocks.wall + LEASE_S)
    assert again is not None
    assert again.place is not None
    assert again.place.ts == "1.2"
    assert "Healed after" in again.message["text"]


@given(days=st.integers(0, 6), gap_s=st.floats(0, 30 * DAY_S), quiet_s=st.floats(0, 365 * DAY_S))
def test_a_source_that_hardly_sends_is_never_silent(days: int, gap_s: float, quiet_s: float) -> None:
    gaps = {time.strftime("%Y-%m-%d", time.gmtime(MIDNIGHT - n * DAY_S)): gap_s for n in range(days)}
    rhythm = Rhythm(source="stripe", last_id=1, last_at=MIDNIGHT, gaps=gaps)
    assert not rhythm.is_silent(WatchRule(), now=MIDNIGHT + quiet_s, seen_since=0)


@given(st.lists(st.floats(1, 20 * DAY_S), min_size=1, max_size=60))
def test_a_gap_that_was_there_twice_is_usual(steps: list[float]) -> None:
    rhythm = Rhythm(source="stripe", last_id=0, last_at=MIDNIGHT, gaps={})
    at = float(MIDNIGHT)
    for number, step_s in enumerate([*steps, DAY_S * 3, DAY_S * 1.5, DAY_S * 3]):
        at += step_s
        rhythm = rhythm.heard(number, at, seen_since=0)
    assert rhythm.longest_usual_s >= 3 * DAY_S
    assert not rhythm.is_silent(WatchRule(), now=at + 4 * 3 * DAY_S, seen_since=0)


LOOKS = st.lists(
    st.tuples(st.floats(-2 * DAY_S, 2 * DAY_S) | st.just(INTERVAL_S), st.booleans(), st.booleans(), st.integers(1, 5)),
    max_size=40,
)


@given(LOOKS)
def test_whatever_is_seen_and_whatever_clocks_do_an_alarm_opens_when_it_is_bad_and_closes_when_it_is_well(
    looks: list[tuple[float, bool, bool, int]],
) -> None:
    now, known, opened = float(MIDNIGHT), None, 0
    for passed_s, bad, well, count in looks:
        now += passed_s
        sight = Sight(name="dead_deliveries", opens=bad, heals=well and not bad, count=count, facts={"n": count})
        for after in follow(known, sight, now):
            was_open = known is not None and known.is_open
            assert known is None or (after.episode, after.step) > (known.episode, known.step)
            assert not after.is_open or was_open or bad
            assert after.is_open or (was_open and well)
            assert after.facts["until"] is None or after.facts["until"] >= after.facts["since"]
            assert after.facts["peak"] >= after.facts["count"]
            opened += int(after.episode != (0 if known is None else known.episode))
            known = after
        assert known is None or not bad or known.is_open
    assert known is None or known.episode == opened
