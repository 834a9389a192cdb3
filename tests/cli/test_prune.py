"""`hookline prune`: says what would go, asks, does it, and says what went."""

import json
import signal
import time

import pytest
from sqlalchemy import func, select

from ledger.event import DeliveryState
from ledger.store import Ledger
from ledger.tables import deliveries, events
from tests.cli.dev.waiting import wait_until
from tests.cli.shell import Shell
from tests.engines import ON_SQLITE
from tests.ledger.making import new_event, store

pytestmark = ON_SQLITE

DAY_S = 86_400.0

MANY = 5_000


def fill(ledger: Ledger) -> None:
    """Store an event of 100 days, one of 40, one of an hour, and a dead one of 100 days."""
    for key, days in (("evt_old", 100), ("evt_middling", 40), ("evt_young", 0.04), ("evt_dead", 100)):
        store(ledger, new_event(key=key, received_at=time.time() - days * DAY_S))
    with ledger.write() as db:
        db.execute(deliveries.update().values(state=DeliveryState.DONE))
        db.execute(deliveries.update().where(deliveries.c.id == 4).values(state=DeliveryState.DEAD))


def count(ledger: Ledger) -> int:
    with ledger.read() as db:
        return db.execute(select(func.count()).select_from(events)).scalar_one()


def test_a_dry_run_says_what_would_go_and_changes_nothing(shell: Shell, ledger: Ledger) -> None:
    fill(ledger)
    said = {"action": "prune", "dry_run": True, "events_deleted": 1, "payloads_emptied": 1, "unfinished": 1}
    assert shell.objects("prune", "--dry-run") == [said]
    assert shell.run("prune", "--dry-run").stdout.splitlines() == [
        "would delete 1 event, and empty the payload of 1 event",
        "not over, and therefore left whole: 1 event of that age",
    ]
    assert count(ledger) == 4


def test_nothing_goes_without_a_yes(shell: Shell, ledger: Ledger) -> None:
    fill(ledger)
    assert "--yes" in shell.refused("prune")
    assert count(ledger) == 4


def test_what_was_pruned_is_said_wherever_it_is_asked_for(shell: Shell, ledger: Ledger) -> None:
    fill(ledger)
    [said] = shell.objects("prune", "--yes")
    assert (said["events_deleted"], said["payloads_emptied"], said["interrupted"]) == (1, 1, False)
    entry, begun = shell.objects("audit", "list")
    assert (entry["action"], entry["detail"]) == ("prune", {"events_deleted": 1, "payloads_emptied": 1})
    assert (begun["action"], *begun["detail"]) == ("prune.begin", "identity_before", "payload_before")
    head, row, _ = shell.run("audit", "list").stdout.splitlines()
    assert "done (utc)" in head
    assert "T" not in row.partition("cli")[0]

    [event] = shell.objects("events", "get", "evt_middling")
    assert event["payload_pruned_at"] is not None
    assert event["headers"] == {}
    assert "pruned " in shell.run("events", "get", "evt_middling").stdout
    assert shell.refused("events", "get", "evt_middling", "--raw").startswith("the payload of event evt_middling was")
    expected = "nothing to replay: the payload of 1 event was pruned, and a handler cannot run without it"
    assert shell.refused("replay", "evt_middling") == expected
    assert shell.objects("replay", "evt_middling", "evt_young", "--yes")[0]["payload_pruned"] == 1
    assert shell.objects("events", "get", "evt_young")[0]["payload_pruned_at"] is None
    assert shell.run("events", "get", "evt_young", "--raw").stdout == '{"id": 1}'


def test_a_prune_is_ended_in_order_by_ctrl_c(shell: Shell, ledger: Ledger) -> None:
    old = time.time() - 100 * DAY_S
    store(ledger, *(new_event(handlers=(), received_at=old + number) for number in range(MANY)))
    process = shell.start("prune", "--yes", "--json")
    wait_until(lambda: count(ledger) < MANY, timeout_s=60)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    said = json.loads(out)
    assert said["interrupted"]
    assert 0 < said["events_deleted"] == MANY - count(ledger)


@pytest.mark.parametrize(
    "words",
    [("--payload-after", "soon"), ("--identity-after", "20d"), ("--payload-after", "1d", "--identity-after", "3d")],
)
def test_ages_that_make_no_sense_are_wrong_usage(shell: Shell, words: tuple[str, ...]) -> None:
    assert shell.run("prune", "--yes", *words).returncode == 2


def test_an_identity_that_would_go_before_the_payload_is_refused_by_name(shell: Shell) -> None:
    said = shell.having(HOOKLINE_KEEP_PAYLOAD_DAYS="120").refused("prune", "--yes")
    assert said.startswith("HOOKLINE_KEEP_IDENTITY_DAYS cannot be used: an event cannot go before its payload")
