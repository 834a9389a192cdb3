"""Each thing is told once, under whatever event ids it arrives, and a new thing is told again."""

import json
from pathlib import Path
from typing import Any

import pytest

from handlers.router import Router
from tests.handlers.desk import Desk, sample
from tests.handlers.example.due_invoice import due_invoice

FAILED = "payment_intent.payment_failed"
ERROR = "data__object__last_payment_error"
TOLD = [FAILED, "charge.dispute.created", "refund.created", "refund.failed", "payout.failed"]
EXAMPLE = Path(__file__).parent.parent / "example" / "due_invoice.py"


def headers(desk: Desk, *events: dict[str, Any]) -> list[str]:
    for each in events:
        desk.deliver(each)
    return [post.header.removeprefix("TEST: ").partition(":")[0] for post in desk.posts()]


@pytest.mark.parametrize("type_", TOLD)
def test_a_thing_is_told_once_however_often_and_under_whatever_ids_it_arrives(desk: Desk, type_: str) -> None:
    assert len(headers(desk, sample(type_), sample(type_), sample(type_, id="evt_twin"))) == 1


@pytest.mark.parametrize("type_", TOLD)
def test_the_same_id_in_another_mode_or_account_is_another_thing(desk: Desk, type_: str) -> None:
    here, live, theirs = sample(type_), sample(type_, livemode=True), sample(type_, account="acct_1")
    assert len(headers(desk, here, live, theirs)) == 3


def test_a_second_failed_try_of_a_payment_is_told_again(desk: Desk) -> None:
    again = {"data__object__latest_charge": "ch_second", f"{ERROR}__charge": "ch_second"}
    assert len(headers(desk, sample(FAILED), sample(FAILED, **again))) == 2


def test_a_try_that_fails_before_it_reaches_the_bank_is_not_taken_for_the_one_before_it(desk: Desk) -> None:
    error = {"code": "payment_intent_authentication_failure"}  # the latest charge is still the declined one
    refused = sample(FAILED, data__object__last_payment_error=error)
    assert len(headers(desk, sample(FAILED), refused, {**refused, "id": "evt_twin"})) == 2


def test_a_failed_bank_debit_is_told_once_although_its_error_names_no_charge(desk: Desk) -> None:
    debit = sample(FAILED, data__object__last_payment_error={"code": "payment_method_provider_decline"})
    assert len(headers(desk, debit, {**debit, "id": "evt_twin", "created": debit["created"] + 1})) == 1


def test_a_try_without_a_charge_is_told_once_and_the_next_one_again(desk: Desk) -> None:
    no_charge: dict[str, Any] = {"data__object__latest_charge": None, f"{ERROR}__charge": None}
    first, later = sample(FAILED, **no_charge), sample(FAILED, **no_charge, created=sample(FAILED)["created"] + 60)
    assert len(headers(desk, first, {**first, "id": "evt_twin"}, later)) == 2


def test_a_refund_is_told_from_its_first_event_and_not_from_the_others(desk: Desk) -> None:
    beside = sample("refund.updated", type="charge.refund.updated")
    events = [sample("refund.updated"), sample("refund.created"), sample("charge.refunded"), beside]
    assert headers(desk, *events) == ["Refund"]


def test_a_refund_that_fails_is_the_same_message_with_a_line_in_its_thread(desk: Desk) -> None:
    failed = sample("refund.failed")
    events = [sample("refund.created"), failed, {**failed, "type": "refund.updated", "id": "evt_beside"}]
    assert headers(desk, *events) == ["Refund failed"]
    assert [key.rpartition("/")[2] for key in desk.lines()] == ["made", "failed"]


def test_a_payment_that_works_is_nothing_to_tell(desk: Desk) -> None:
    assert headers(desk, sample("payment_intent.succeeded"), sample("payout.paid")) == []


def test_ids_cannot_be_chosen_so_that_two_things_share_a_key(desk: Desk) -> None:
    one = sample("payout.failed", account="acct_1/live", livemode=False, data__object__id="po_3SAMPLE0000")
    other = sample("payout.failed", account="acct_1", livemode=True, data__object__id="test/po_3SAMPLE0000")
    assert len(headers(desk, one, other)) == 2


def test_a_key_of_very_long_ids_still_fits_its_column(desk: Desk) -> None:
    headers(desk, sample(FAILED, data__object__id="pi_" + "x" * 252, data__object__latest_charge="/" * 255))
    assert len(desk.posts()[0].key) <= 600


def test_a_new_handler_is_one_file_of_fifteen_lines_or_so(desk: Desk) -> None:
    invoice = sample("invoice.payment_failed", type="invoice.will_be_due")
    event = desk.store(invoice)
    desk.run(due_invoice, event)
    desk.run(due_invoice, event)
    [post] = desk.posts()
    assert post.header == "TEST: Invoice due soon: $49.00"
    assert "Mara Lindqvist" in json.dumps(post.blocks)
    assert len(EXAMPLE.read_text().splitlines()) < 20


def test_no_handler_wants_what_a_sender_makes_up(router: Router) -> None:
    assert router.matching("stripe", "refund_created") == ()
