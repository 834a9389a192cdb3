"""Retry and replay: all or nothing, and the counts are right."""

import os
import pty
from typing import Any

import pytest
from sqlalchemy import select, update

from ledger import again
from ledger.census import take_census
from ledger.event import DeliveryState, EffectState
from ledger.store import Ledger
from ledger.tables import deliveries, dismissals, effects
from tests.cli.shell import Shell
from tests.cli.stock import DEAD, DONE, FAILED, add_effect, fill
from tests.engines import ON_BOTH
from tests.ledger.making import delivery, new_event, states, store

NOW = 1_800_000_000.0

MORE_THAN_SQLITES_PARAMETERS = 33_000


def set_states(ledger: Ledger, *wanted: str, **values: Any) -> None:
    with ledger.write() as db:
        for delivery_id, state in enumerate(wanted, start=1):
            db.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(state=state, **values))


def effect_states(ledger: Ledger) -> list[str]:
    with ledger.read() as db:
        return list(db.execute(select(effects.c.state).order_by(effects.c.id)).scalars())


@ON_BOTH
def test_retry_takes_what_failed_or_is_dead_and_leaves_the_rest_alone(ledger: Ledger) -> None:
    store(ledger, *(new_event() for _ in DeliveryState))
    set_states(ledger, *DeliveryState)
    with ledger.write() as db:
        done = again.retry_deliveries(db, range(1, 8), NOW)
    retried = [number for number, state in enumerate(DeliveryState, start=1) if state in ("failed", "dead")]
    assert (done.deliveries, done.effects) == (retried, [])
    assert states(ledger) == ["pending" if state in ("failed", "dead") else state for state in DeliveryState]


@ON_BOTH
def test_what_is_retried_starts_a_new_schedule(ledger: Ledger) -> None:
    store(ledger, new_event())
    set_states(ledger, "dead", failures=9, crashes=3, first_attempt_at=1.0, finished_at=2.0, attempts=9)
    with ledger.write() as db:
        again.retry_deliveries(db, [1], NOW)
    row = delivery(ledger, 1)
    assert (row.due_at, row.trigger, row.attempts) == (NOW, "retry", 9)
    assert (row.failures, row.crashes, row.first_attempt_at, row.finished_at) == (0, 0, None, None)


def test_a_dead_effect_of_a_delivery_that_is_done_is_sent_again(shell: Shell, ledger: Ledger) -> None:
    fill(ledger)
    add_effect(ledger, event_id=DONE, delivery_id=1, state=EffectState.DEAD)
    add_effect(ledger, event_id=FAILED, delivery_id=2, state=EffectState.SENT)
    assert shell.objects("retry", "1") == [{"action": "retry", "deliveries": [], "effects": [1]}]
    assert effect_states(ledger) == ["planned", "sent"]
    assert states(ledger)[0] == "done"


def test_retry_by_the_providers_id_takes_all_of_an_events_deliveries(shell: Shell, ledger: Ledger) -> None:
    fill(ledger)
    done = shell.run("retry", "evt_3Dead", "2")
    assert (done.returncode, done.stdout) == (0, "retry: 3 deliveries, 0 effects\n")
    assert states(ledger) == ["done", "pending", "pending", "pending", "queued"]


def test_a_delivery_that_is_named_twice_counts_once(shell: Shell, ledger: Ledger) -> None:
    fill(ledger)
    assert shell.objects("retry", "3", "3", "evt_3Dead")[0]["deliveries"] == [3, 4]


def test_retry_of_a_handler_takes_its_dead_deliveries_only(shell: Shell, ledger: Ledger) -> None:
    fill(ledger)
    assert shell.objects("retry", "--handler", "payments.dispute", "--yes")[0]["deliveries"] == [4]
    done = shell.run("retry", "--handler", "payments.dispute")
    assert (done.returncode, done.stdout) == (0, "retry: 0 deliveries, 0 effects\n")
    assert "there is notifications.dispute, payments.dispute" in shell.refused("retry", "--handler", "payment.dispute")


def test_a_filter_that_finds_nothing_says_what_it_left_alone_and_how_to_take_it(shell: Shell, ledger: Ledger) -> None:
    fill(ledger)
    done = shell.run("retry", "--handler", "repositories.run")
    assert (done.returncode, done.stdout) == (0, "retry: 0 deliveries, 0 effects\n")
    expected = (
        "left alone: 1 delivery in the state failed, which is tried again by itself; --state failed takes it now\n"
    )
    assert done.stderr == expected
    assert shell.objects("retry", "--handler", "repositories.run", "--state", "failed", "--yes")[0]["deliveries"] == [2]


def test_a_filter_is_shown_first_and_takes_what_is_dead_and_no_more(shell: Shell, ledger: Ledger) -> None:
    fill(ledger)
    add_effect(ledger, event_id=DONE, delivery_id=1, state=EffectState.DEAD)
    before = states(ledger)
    [seen] = shell.objects("retry", "--source", "stripe", "--dry-run")
    assert (seen["events"], seen["deliveries"], seen["effects"]) == (2, 3, 1)
    assert seen["handlers"] == {"notifications.dispute": 1, "payments.dispute": 1, "payments.payment": 1}
    assert "nothing was retried: say --yes" in shell.refused("retry", "--source", "stripe", "--json")
    assert "nothing was dismissed: say --yes" in shell.refused("dismiss", "--all", "--reason", "x", "--json")
    assert shell.objects("retry", "--all", "--since", "24h", "--yes")[0]["deliveries"] == []
    assert shell.run("retry").returncode == shell.run("retry", "3", "--all").returncode == 2
    assert states(ledger) == before
    said = shell.objects("retry", "--type", "charge.*", "--limit", "1", "--yes")
    assert said == [{"action": "retry", "deliveries": [3], "effects": []}]
    said = shell.objects("dismiss", "--all", "--reason", "test data", "--yes")
    assert said == [{"action": "dismiss", "deliveries": [1, 4], "reason": "test data"}]
    assert shell.objects("retry", "--state", "failed", "--yes")[0]["deliveries"] == [2]
    assert states(ledger) == ["done", "pending", "pending", "dismissed", "queued"]
    assert effect_states(ledger) == ["kept"]


@pytest.mark.parametrize(("answer", "becomes"), [(b"n\n", "dead"), (b"y\n", "pending")])
def test_on_a_terminal_a_person_sees_the_preview_and_is_asked(
    shell: Shell, ledger: Ledger, answer: bytes, becomes: str
) -> None:
    fill(ledger)
    ours, its = pty.openpty()
    with shell.start("retry", "--type", "charge.*", stdin=its) as process:
        os.write(ours, answer)
        _, said = process.communicate()
    os.close(ours)
    os.close(its)
    assert said.startswith("1 event, 2 deliveries\n  notifications.dispute: 1\n  payments.dispute: 1\nGo on? [y/N]:")
    assert process.returncode == (0 if becomes == "pending" else 1)
    assert states(ledger)[2:4] == [becomes] * 2


def test_one_unknown_id_and_nothing_happens(shell: Shell, ledger: Ledger) -> None:
    fill(ledger)
    before = states(ledger)
    assert shell.refused("retry", "3", "777") == "there is no delivery 777; nothing was retried"
    assert shell.refused("retry", "3", "", "9" * 30) == f"there is no event '', {'9' * 30}; nothing was retried"
    assert shell.refused("replay", "1", str(2**63)) == f"there is no event {2**63}; nothing was replayed"
    assert states(ledger) == before


def test_there_must_be_something_to_do(shell: Shell, ledger: Ledger) -> None:
    fill(ledger)
    assert shell.refused("retry", "1").startswith("nothing to retry")
    assert shell.refused("replay", "4") == "nothing to replay: 1 delivery waits or run already"
    assert shell.refused("replay", "5") == "nothing to replay: no delivery matches"


def test_a_replay_is_told_as_an_object_and_once(shell: Shell, ledger: Ledger) -> None:
    fill(ledger)
    expected = {"action": "replay", "replay": 1, "deliveries": [1, 3, 4], "effects": [], "left_alone": 0}
    expected |= {"payload_pruned": 0}
    assert shell.objects("replay", str(DONE), "evt_3Dead", str(DEAD), "--yes") == [expected]
    assert shell.refused("replay", str(DONE)).startswith("nothing to replay")


def test_more_ids_than_a_statement_has_parameters_are_no_trouble(shell: Shell, ledger: Ledger) -> None:
    store(ledger, *(new_event() for _ in range(3)))
    set_states(ledger, "dead", "dead", "dead")
    ids = range(1, MORE_THAN_SQLITES_PARAMETERS)
    said = shell.refused("retry", *map(str, ids))
    assert said.startswith("there is no delivery 4, 5, 6, 7, 8 and ")
    with ledger.write() as db:
        assert again.retry_deliveries(db, ids, NOW).deliveries == [1, 2, 3]


def test_what_is_dismissed_counts_as_done_and_keeps_who_and_why(shell: Shell, ledger: Ledger) -> None:
    fill(ledger)
    add_effect(ledger, event_id=DEAD, delivery_id=3, state=EffectState.DEAD)
    said = shell.objects("dismiss", "evt_3Dead", "2", "--reason", "test data")
    assert said == [{"action": "dismiss", "deliveries": [2, 3, 4], "reason": "test data"}]
    assert states(ledger) == ["done", "dismissed", "dismissed", "dismissed", "queued"]
    assert effect_states(ledger) == ["kept"]
    with ledger.read() as db:
        assert [row.reason for row in db.execute(select(dismissals))] == ["test data"] * 3
        census = take_census(db, NOW)
    assert "dead" not in census.deliveries
    assert "dead" not in census.effects
    assert shell.refused("dismiss", "1", "--reason", "x").startswith("nothing to dismiss")
