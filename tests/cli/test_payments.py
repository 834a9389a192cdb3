"""What `hookline payments` says of the book."""

import re

import pytest

from handlers.router import Router, load_router
from ledger.store import Ledger
from tests.cli.shell import Shell
from tests.engines import ON_BOTH
from tests.handlers.desk import Desk
from tests.handlers.payments.test_objects import BILL, PAYMENT, PAYOUT, Payload, told

PI, DISPUTE, INVOICE = "pi_3SAMPLE0000", "du_1SAMPLE0000", "in_1SAMPLE0000"
SPAN = ("--since", "2026-10-30", "--until", "2026-10-31")


@pytest.fixture(scope="module")
def router() -> Router:
    return load_router()


def enter(ledger: Ledger, router: Router, *arrivals: Payload) -> None:
    with ledger.write() as db:
        desk = Desk(db, router)
        for each in arrivals:
            desk.deliver(each)


@ON_BOTH
def test_the_list_finds_objects_by_kind_state_customer_and_currency(
    shell: Shell, ledger: Ledger, router: Router
) -> None:
    enter(
        ledger,
        router,
        *PAYMENT,
        *PAYOUT,
        {**told(50, "payout.paid", 0, id="po_test", currency="eur"), "livemode": False},
    )
    found = shell.objects("payments", "list")
    assert {view["kind"] for view in found} >= {"payment", "refund", "dispute", "charge", "payout", "balance"}
    assert [view["reached_at"] for view in found] == sorted((view["reached_at"] for view in found), reverse=True)
    [dispute] = shell.objects("payments", "list", "--kind", "dispute", "--customer", "cus_QkT1Zr8mVd4LwB")
    assert dispute == {
        "id": DISPUTE,
        "kind": "dispute",
        "state": "won",
        "amount": 4900,
        "currency": "usd",
        "customer": "cus_QkT1Zr8mVd4LwB",
        "reason": "fraudulent",
        "account": None,
        "livemode": True,
        "reached_at": "2026-10-30T12:05:00.000Z",
    }
    assert [view["id"] for view in shell.objects("payments", "list", "--state", "paid", "--mode", "test")] == [
        "po_test"
    ]
    assert [view["id"] for view in shell.objects("payments", "list", "--currency", "EUR")] == ["po_test"]
    cut = shell.run("payments", "list", "--limit", "2", "--json")
    assert (cut.stdout.count("\n"), cut.stderr[:15]) == (2, "there are more:")


@ON_BOTH
def test_an_object_is_shown_with_what_belongs_to_it_and_which_event_changed_what(
    shell: Shell, ledger: Ledger, router: Router
) -> None:
    enter(ledger, router, *PAYMENT)
    [payment] = shell.objects("payments", "get", "pi_3SAM")
    assert (payment["id"], payment["state"], payment["amount_refunded"]) == (PI, "succeeded", 1000)
    assert {view["kind"] for view in payment["related"]} == {
        "charge", "refund", "dispute", "early_fraud_warning", "review",
    }  # fmt: skip
    changes = [(each["type"], each["changes"].get("status")) for each in payment["history"]]
    assert changes == [
        ("payment_intent.created", [None, "requires_payment_method"]),
        ("payment_intent.payment_failed", None),
        ("payment_intent.succeeded", ["requires_payment_method", "succeeded"]),
        ("charge.refunded", None),
    ]
    assert payment["history"][1]["changes"]["failure_code"] == [None, "insufficient_funds"]
    assert payment["history"][3]["changes"] == {"amount_refunded": [None, 1000]}
    page = shell.run("payments", "get", DISPUTE).stdout
    assert re.search(r"status: needs_response → under_review", page)
    assert "net                    $0.00" in page


@ON_BOTH
def test_events_of_one_second_that_contradict_each_other_are_shown_and_not_guessed_between(
    shell: Shell, ledger: Ledger, router: Router
) -> None:
    due, active = (told(n, "customer.subscription.updated", 0, status=s) for n, s in ((1, "past_due"), (2, "active")))
    enter(ledger, router, due, active)
    [view] = shell.objects("payments", "get", "sub_1SAMPLE0000")
    assert view["contested_by"] == ["evt_01", "evt_02"]
    assert "nothing tells which of these came last: evt_01, evt_02" in shell.run("payments", "get", view["id"]).stdout
    enter(ledger, router, told(3, "customer.subscription.updated", 1))
    [view] = shell.objects("payments", "get", "sub_1SAMPLE0000")
    assert view["contested_by"] == []


def test_a_summary_keeps_real_money_and_test_money_apart(shell: Shell, ledger: Ledger, router: Router) -> None:
    enter(ledger, router, *PAYMENT, *BILL, *PAYOUT[:2], {**told(60, "payment_intent.succeeded", 0), "livemode": False})
    enter(ledger, router, told(61, "payment_intent.payment_failed", 5, id="pi_lost", currency="jpy"))
    live, test = shell.objects("payments", "summary", *SPAN)
    assert (live["livemode"], live["since"], live["until"]) == (
        True, "2026-10-30T00:00:00.000Z", "2026-10-31T00:00:00.000Z",
    )  # fmt: skip
    [jpy, usd] = live["by_currency"]
    assert usd["taken"] == {"count": 1, "amount": 4900}
    assert (usd["refunded"]["amount"], usd["disputed"]["count"], usd["paid_out"]["amount"]) == (1000, 1, 128450)
    assert (usd["fees"], usd["net"], usd["settled"]["count"]) == (0, 0, 1)
    assert (jpy["failed"], jpy["fees"]) == ({"count": 1, "amount": 4900}, None)
    assert live["failure_codes"] == [{"code": "insufficient_funds", "count": 1}]
    assert {"kind": "invoice", "state": "paid", "currency": "usd", "count": 1, "amount": 4900} in live["by_state"]
    assert test["by_currency"][0]["taken"] == {"count": 1, "amount": 4900}
    page = shell.run("payments", "summary", *SPAN).stdout
    assert page.startswith("live  from 2026-10-30 00:00:00 UTC to 2026-10-31 00:00:00 UTC\n")
    assert re.search(r"^jpy +failed +1 +¥4,900$", page, re.MULTILINE)
    assert re.search(r"^insufficient_funds +1 +100 %$", page, re.MULTILINE)
    assert "\ntest mode  from" in page
    assert "disputed (without inquiries): made in this time" in page
    assert "fees, net: of so many charges" in page
    assert "all that came to its state in this time" in page


def test_what_is_not_there_is_said_in_one_sentence(shell: Shell, ledger: Ledger, router: Router) -> None:
    enter(ledger, router, *PAYMENT)
    assert shell.refused("payments", "get", "pi_nothing") == "the book has nothing called pi_nothing"
    enter(ledger, router, *(told(number, "payout.paid", 0, id=f"po_1{number}") for number in (70, 71)))
    assert shell.refused("payments", "get", "po_17") == "po_17 is how the ids of several objects begin: po_170, po_171"
    wrong = shell.run("payments", "list", "--kind", "unicorn")
    assert wrong.returncode == 2
    assert (
        shell.run("payments", "summary", "--since", "2h", "--until", "1h").stderr == "nothing came about in this time\n"
    )
