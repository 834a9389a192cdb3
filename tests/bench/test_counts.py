"""A benchmark's own check: what was answered is in the ledger, id by id."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine

from bench import requests
from bench.counts import Counts
from bench.errors import CheckFailed
from bench.load import Load
from bench.requests import Batch
from config.database import make_engine
from ledger import own
from ledger.append import Room, append
from ledger.store import Ledger
from tests.ledger.making import lay_out, new_event, settings_for

SENT = 1_000
UNDER_WAY = 32


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    return requests.prepare(tmp_path / "requests", requests.payment(), SENT + 100)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    lay_out(tmp_path / "ledger.db")
    return make_engine(settings_for(URL.create("sqlite", database=str(tmp_path / "ledger.db"))))


@pytest.fixture
def ledger(engine: Engine) -> Iterator[Ledger]:
    opened = Ledger(engine)
    yield opened
    opened.close()


@pytest.fixture
def check(engine: Engine, batch: Batch) -> Callable[[], None]:
    """Give the check of a load that sent a thousand, one of them forged, and ended before the last answers came."""
    accepted = SENT - 1 - UNDER_WAY
    load = Load(sent=SENT, accepted=accepted, refused=1, lost=0, seconds=1, p50_ms=1, p99_ms=1)
    return lambda: Counts(engine).check_stored(load, batch, after=0)


def store(ledger: Ledger, ids: set[str]) -> None:
    with ledger.write() as db:
        append(db, [new_event(key=each) for each in ids], Room())


def number(external_id: str) -> int:
    return int(external_id[-10:])


def test_what_was_under_way_may_be_stored_or_not(ledger: Ledger, batch: Batch, check: Callable[[], None]) -> None:
    store(ledger, batch.ids(SENT - UNDER_WAY))
    check()
    store(ledger, batch.ids(SENT) - batch.ids(SENT - UNDER_WAY))
    check()


def test_an_alarm_about_the_forged_ones_is_nobodys_event(
    ledger: Ledger, batch: Batch, check: Callable[[], None]
) -> None:
    store(ledger, batch.ids(SENT))
    with ledger.write() as db:
        alarm = {"key": "alarm/signatures/stripe/1", "type_": "hookline.alarm", "handler": "notifications.health"}
        own.enter(db, facts={}, queue="notifications", now=time.time(), **alarm)
    check()


def test_an_answered_event_that_is_missing_is_found_also_when_the_count_is_right(
    ledger: Ledger, batch: Batch, check: Callable[[], None]
) -> None:
    store(ledger, {each for each in batch.ids(SENT) if number(each) != 7})
    with pytest.raises(CheckFailed, match="1 of 967 events were accepted and are not in the ledger"):
        check()


def test_more_missing_than_were_under_way_are_found(ledger: Ledger, batch: Batch, check: Callable[[], None]) -> None:
    store(ledger, batch.ids(SENT - UNDER_WAY - 1))
    with pytest.raises(CheckFailed, match="33 events are not in the ledger, and 32 were not answered"):
        check()


def test_what_was_forged_or_never_sent_must_not_be_there(
    ledger: Ledger, batch: Batch, check: Callable[[], None]
) -> None:
    store(ledger, batch.ids(SENT + 1))
    with pytest.raises(CheckFailed, match="1 events are in the ledger that were not sent"):
        check()
    store(ledger, {min(batch.forged_ids(), key=number)})
    with pytest.raises(CheckFailed, match="1 forged events are in the ledger"):
        check()
