"""`events tail`: what comes in is shown at once, until somebody has seen enough."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cli.tail import LOOKBACK, Follower
from ledger.append import Room, append
from ledger.store import Ledger
from ledger.tables import events
from ledger.views import Filter
from tests.cli.shell import Shell
from tests.engines import ON_BOTH, ON_POSTGRESQL
from tests.ledger.making import new_event, store

SOON_S = 60


@contextmanager
def tailing(shell: Shell, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Start a tail; it has shown an event of the last hour when this returns, so it is there."""
    with shell.start("events", "tail", "--since", "1h", *words) as process:
        try:
            assert process.stdout is not None
            assert "evt_first" in process.stdout.readline()
            yield process
        finally:
            process.kill()


def next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_events_come_one_a_line_as_they_come_in_until_it_is_told_to_end(
    shell: Shell, ledger: Ledger, ending: signal.Signals
) -> None:
    store(ledger, new_event(key="evt_old", received_at=1.0))
    store(ledger, new_event(key="evt_first"))
    with tailing(shell, "--type", "charge.*") as process:
        store(ledger, new_event(key="evt_other", type="payout.paid"))
        store(ledger, new_event(key="evt_new", source="github"))
        line = next_line(process)
        assert line.split()[-4:] == ["4", "github", "charge.refunded", "evt_new"]
        process.send_signal(ending)
        out, err = process.communicate(timeout=SOON_S)
    assert (process.returncode, out, err) == (0, "", "")


@ON_BOTH
def test_with_json_each_line_is_an_event(shell: Shell, ledger: Ledger) -> None:
    store(ledger, new_event(key="evt_first"))
    with tailing(shell, "--json") as process:
        store(ledger, new_event(key="evt_new"))
        event = json.loads(next_line(process))
        assert (event["id"], event["external_id"], event["state"]) == (2, "evt_new", "pending")


def test_a_ledger_that_does_not_answer_for_a_while_is_waited_for_and_nothing_is_missed(
    shell: Shell, ledger: Ledger
) -> None:
    store(ledger, new_event(key="evt_first"))
    with tailing(shell) as process:
        rename(ledger, "events", "away")
        assert process.stderr is not None
        assert "waiting for it" in process.stderr.readline()
        columns = ", ".join(
            column.name for column in events.c if column.name not in ("id", "dedupe_key", "external_id")
        )
        with ledger.write() as db:
            missed = f"SELECT 'evt_missed', 'evt_missed', {columns} FROM away"
            db.exec_driver_sql(f"INSERT INTO away (dedupe_key, external_id, {columns}) {missed}")
        rename(ledger, "away", "events")
        assert process.stderr.readline() == "the ledger answers again: this came in meanwhile\n"
        assert "evt_missed" in next_line(process)
        store(ledger, new_event(key="evt_new"))
        assert "evt_new" in next_line(process)


def test_what_a_tail_shows_can_be_of_one_handler_or_account(ledger: Ledger) -> None:
    shown: list[Any] = []
    tail = follower(ledger, shown, Filter(handler="a.one", account="acct_1"))
    store(ledger, new_event(handlers=("a.one",), account="acct_1"), new_event(handlers=("a.one",)))
    store(ledger, new_event(handlers=(), account="acct_1"))
    tail.show_new()
    assert [view["account"] for view in shown] == ["acct_1"]


def rename(ledger: Ledger, table: str, name: str) -> None:
    with ledger.write() as db:
        db.exec_driver_sql(f"ALTER TABLE {table} RENAME TO {name}")


@ON_POSTGRESQL
def test_an_event_that_is_committed_after_a_later_one_was_shown_is_shown_too(ledger: Ledger) -> None:
    """PostgreSQL gives the id when the event is written, and several web processes write at once."""
    shown: list[Any] = []
    tail = follower(ledger, shown)
    with ledger.write() as slow:
        append(slow, [new_event(key="evt_slow")], Room())
        store(ledger, new_event(key="evt_fast"))
        tail.show_new()
    tail.show_new()
    assert [(view["id"], view["external_id"]) for view in shown] == [(2, "evt_fast"), (1, "evt_slow")]


def follower(ledger: Ledger, shown: list[Any], wanted: Filter | None = None) -> Follower:
    made = Follower(ledger, wanted or Filter(), shown.extend)
    made.start()
    return made


@ON_BOTH
def test_an_event_that_is_committed_below_one_that_was_shown_is_shown_too(ledger: Ledger) -> None:
    shown: list[Any] = []
    tail = follower(ledger, shown)
    for event_id in (100, 50, 75):  # as PostgreSQL may, with several web processes
        store(ledger, new_event(handlers=()))
        with ledger.write() as db:
            db.exec_driver_sql(f"UPDATE events SET id = {event_id} WHERE id NOT IN (100, 50)")
        tail.show_new()
    assert [view["id"] for view in shown] == [100, 50, 75]


@ON_BOTH
def test_a_burst_is_shown_whole_in_order_and_once(ledger: Ledger) -> None:
    shown: list[Any] = []
    store(ledger, *(new_event() for _ in range(20)))
    tail = follower(ledger, shown)
    burst = LOOKBACK * 3
    store(ledger, *(new_event() for _ in range(burst)))
    while tail.show_new():
        pass
    assert [view["id"] for view in shown] == list(range(21, 21 + burst))


def test_a_tail_ends_when_nobody_reads_it_any_more(shell: Shell, ledger: Ledger) -> None:
    store(ledger, new_event(key="evt_first"))
    with tailing(shell) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(SOON_S) == 0
