"""`hookline replay`: says what it would do and to how much money, and does nothing without a yes."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from cli.sample import load_sample
from handlers.context import Channels, Context
from handlers.payments.tables import disputes
from handlers.router import load_router
from ledger.event import JSON, Event
from ledger.store import Ledger, Transaction
from ledger.tables import deliveries, replays
from tests.cli.dev.waiting import wait_until
from tests.cli.laptop import SECRET, serving
from tests.cli.shell import Shell
from tests.ledger.making import new_event, planned, states, store

HANDLER = "payments.payment"


def fill(ledger: Ledger) -> None:
    """Store two events about one payment of 49 dollars, and one of 500 yen in test mode."""
    for key, payment, amount, currency, live in (
        ("evt_1", "pi_1", 4_900, "usd", True),
        ("evt_2", "pi_1", 4_900, "usd", True),
        ("evt_3", "pi_2", 500, "jpy", False),
    ):
        about = {"id": payment, "object": "payment_intent", "amount": amount, "currency": currency, "customer": "cus_1"}
        body = json.dumps({"created": 1, "data": {"object": about}}).encode()
        store(
            ledger, new_event(key=key, type="payment_intent.succeeded", handlers=(HANDLER,), livemode=live, body=body)
        )
    with ledger.write() as db:
        db.execute(update(deliveries).values(state="done"))


def test_a_preview_says_how_much_money_of_how_many_customers_it_is_about(shell: Shell, ledger: Ledger) -> None:
    fill(ledger)
    [said] = shell.objects("replay", "--type", "payment_intent.*", "--dry-run")
    expected: dict[str, Any] = {"events": 3, "deliveries_to_run": 3, "handlers": {HANDLER: 3}, "customers": 1}
    expected |= {"amounts": {"usd": 4_900}, "test_amounts": {"jpy": 500}, "effects_recorded": 0, "overtaken": 0}
    assert said.items() >= expected.items()
    assert "money: $49.00" in shell.run("replay", "evt_1", "--dry-run").stdout
    assert states(ledger) == ["done"] * 3


def test_without_a_terminal_a_replay_is_previewed_and_needs_a_yes_and_it_is_kept_with_who_and_why(
    shell: Shell, ledger: Ledger, tmp_path: Path
) -> None:
    fill(ledger)
    for chosen in (["--source", "stripe"], ["evt_1"]):
        refused = shell.run("replay", *chosen)
        preview, _, sentence = refused.stderr.rpartition("hookline: ")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "to run\n" in preview
        assert sentence.startswith("nothing was replayed: say --yes")
    assert states(ledger) == ["done"] * 3
    words = ("--source", "stripe", "--limit", "2", "--rate", "50/s", "--reason", "the book was wrong", "--yes")
    [said] = shell.objects("replay", *words)
    assert said["deliveries"] == [1, 2]
    [kept] = shell.objects("replays", "get", str(said["replay"]))
    assert (kept["reason"], kept["state"], kept["started"]) == ("the book was wrong", "done", 2)
    assert kept["who"]
    assert "source stripe, since 2" in shell.run("replays", "get", str(said["replay"])).stdout
    assert shell.objects("replay", "--resume", str(said["replay"]))[0]["deliveries"] == []
    (tmp_path / "ids").write_text("evt_3\n")
    assert shell.objects("replay", "--from", str(tmp_path / "ids"), "--yes")[0]["deliveries"] == [3]
    assert shell.run("replays", "list").stdout.count("\n") == 3
    assert states(ledger) == ["pending"] * 3


def test_what_is_sent_to_a_laptop_is_chosen_as_a_replay_is_and_verifies_there(shell: Shell, ledger: Ledger) -> None:
    fill(ledger)
    store(ledger, new_event(key="evt_4", type="customer.created", handlers=(), body=b'{"object": "event"}\n'))
    with serving() as (url, came):
        to = ("--to", url, "--secret", SECRET)
        assert "--yes" in shell.refused("replay", "--source", "stripe", "--json", *to)
        [said] = shell.objects("replay", "--type", "payment_intent.*", "--dry-run", *to)
        assert (said["events"], said["amounts"], said["to"]) == (3, {"usd": 4_900}, url)
        assert not came
        answered = shell.run("replay", "--type", "customer.*", "--yes", "--json", *to)
    (answer,) = map(json.loads, answered.stdout.splitlines())
    assert (answer["event"], answer["http_status"], answer["body"]) == (4, 200, "seen\x1b[31m")
    ((_, headers, body),) = came
    assert (headers["hookline-trigger"], body) == ("replay", b'{"object": "event"}\n')
    assert states(ledger) == ["done"] * 3
    assert "is another machine" in shell.refused("replay", "1", "--to", "http://192.0.2.1/", "--secret", SECRET)


def test_a_rehearsal_shows_what_handlers_would_do_and_keeps_nothing(shell: Shell, ledger: Ledger) -> None:
    body = json.dumps(load_sample("stripe", "charge.dispute.created").payload).encode()
    handlers = ("notifications.dispute", "payments.dispute")
    store(ledger, *(new_event(key=key, type="charge.dispute.created", handlers=handlers, body=body) for key in "ab"))
    store(ledger, new_event(key="c", type="charge.dispute.created", handlers=("topic.gone",), body=body))
    with ledger.write() as db:
        db.execute(update(deliveries).values(state="done"))
    done = shell.run("replay", "--type", "*", "--dry-run", "--run", "--json")
    preview, *rehearsed = map(json.loads, done.stdout.splitlines())
    assert preview["deliveries_to_run"] == len(rehearsed) == 5
    told, book, again = rehearsed[0], rehearsed[1], rehearsed[2]
    assert (told["handler"], told["outcome"], told["effects"][0]["channel"]) == (handlers[0], "done", "#finance")
    assert "Dispute opened: $" in told["effects"][0]["text"]
    assert (book["handler"], book["outcome"], book["effects"]) == (handlers[1], "done", [])
    assert again["skipped"] == [told["effects"][0]["key"]]
    assert rehearsed[4]["error"] == "this version has no handler of that name"
    assert (done.returncode, done.stderr) == (1, "hookline: 1 delivery would fail\n")
    assert states(ledger) == ["done"] * 5
    assert planned(ledger) == []
    with ledger.read() as db:
        assert db.execute(select(disputes)).all() == []


def test_a_preview_counts_what_newer_events_have_overtaken(shell: Shell, ledger: Ledger) -> None:
    fill(ledger)
    payload: dict[str, Any] = dict(load_sample("stripe", "payment_intent.succeeded").payload)
    payload["data"]["object"]["id"] = "pi_1"
    event = Event(
        id=9, source="stripe", external_id="evt_9", type="payment_intent.succeeded", account=None, livemode=True,
        received_at=time.time(), content_type=JSON, body=json.dumps(payload).encode(),
    )  # fmt: skip
    with ledger.write() as db:
        channels = Channels(finance="#finance", engineering="#engineering")
        context = Context(db=Transaction(db), channels=channels, delivery_id=1, now=time.time())
        load_router().by_name[HANDLER].run(event, context)
    [said] = shell.objects("replay", "--type", "payment_intent.*", "--dry-run")
    assert said["overtaken"] == 2
    assert "overtaken: 2 events" in shell.run("replay", "--type", "payment_intent.*", "--dry-run").stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_replay_that_is_struck_down_goes_on_where_it_was_and_runs_nothing_twice(
    shell: Shell, ledger: Ledger, number: signal.Signals
) -> None:
    store(ledger, *(new_event(key=f"evt_{each:03}") for each in range(60)))
    with ledger.write() as db:
        db.execute(update(deliveries).values(state="dead"))
    words = ("--type", "charge.*", "--state", "dead", "--rate", "20/s", "--yes")
    with shell.start("replay", *words) as process:
        wait_until(lambda: cursor(ledger) >= 10)
        process.send_signal(number)
        _, said = process.communicate()
    stopped = cursor(ledger)
    assert 10 <= stopped < 60
    assert process.returncode == (1 if number == signal.SIGINT else -number)
    assert ("go on with `hookline replay --resume 1`" in said) is (number == signal.SIGINT)
    started = [each for each, state in enumerate(states(ledger), start=1) if state == "pending"]
    assert len(started) == stopped
    with ledger.write() as db:  # as a worker leaves them
        db.execute(update(deliveries).where(deliveries.c.id.in_(started)).values(state="dead", attempts=1))
    store(ledger, new_event(key="evt_later"))
    with ledger.write() as db:
        db.execute(update(deliveries).where(deliveries.c.id > 60).values(state="dead"))
    [rest] = shell.objects("replay", "--resume", "1")
    assert sorted([*started, *rest["deliveries"]]) == list(range(1, 61))
    assert [state for state in states(ledger) if state == "dead"] == ["dead"] * (stopped + 1)


def cursor(ledger: Ledger) -> int:
    with ledger.read() as db:
        return db.execute(select(replays.c.cursor)).scalar() or 0


def test_a_handler_that_was_added_later_gets_its_deliveries_and_again_is_passed_on(
    shell: Shell, ledger: Ledger
) -> None:
    fill(ledger)
    store(ledger, new_event(key="evt_r", type="refund.created", handlers=()))
    [said] = shell.objects("replay", "--handler", "notifications.refund", "--dry-run")
    assert said["handlers"] == {"notifications.refund": 1}
    [said] = shell.objects("replay", "--handler", "notifications.refund", "--yes")
    assert said["deliveries"] == [4]
    assert states(ledger) == ["done"] * 3 + ["pending"]
    shell.objects("replay", "evt_1", "--again", "--yes")
    with ledger.read() as db:
        marks = db.execute(select(deliveries.c.replay_id, deliveries.c.again).order_by(deliveries.c.id)).all()
    assert marks == [(2, True), (None, None), (None, None), (1, False)]
