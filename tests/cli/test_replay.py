"""`hookline replay`: says what it would do and to how much money, and does nothing without a yes."""

import json
from pathlib import Path
from typing import Any

from sqlalchemy import update

from ledger.store import Ledger
from ledger.tables import deliveries
from tests.cli.shell import Shell
from tests.ledger.making import new_event, states, store

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


def test_a_filter_needs_a_yes_and_a_replay_is_kept_with_who_and_why(
    shell: Shell, ledger: Ledger, tmp_path: Path
) -> None:
    fill(ledger)
    assert "--yes" in shell.refused("replay", "--source", "stripe")
    assert states(ledger) == ["done"] * 3
    words = ("--source", "stripe", "--limit", "2", "--rate", "50/s", "--reason", "the book was wrong", "--yes")
    [said] = shell.objects("replay", *words)
    assert said["deliveries"] == [1, 2]
    [kept] = shell.objects("replays", "get", str(said["replay"]))
    assert (kept["reason"], kept["state"], kept["started"]) == ("the book was wrong", "done", 2)
    assert kept["who"]
    assert shell.objects("replay", "--resume", str(said["replay"]))[0]["deliveries"] == []
    (tmp_path / "ids").write_text("evt_3\n")
    assert shell.objects("replay", "--from", str(tmp_path / "ids"), "--yes")[0]["deliveries"] == [3]
    assert shell.run("replays", "list").stdout.count("\n") == 3
    assert states(ledger) == ["pending"] * 3
