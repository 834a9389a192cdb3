"""What the finance team and the engineers are told, word for word. The golden files are what Slack is sent.

HOOKLINE_WRITE_GOLDEN=1 writes them anew; look at the difference before you commit it.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block

from cli.sample import SAMPLED_AT
from handlers.notifications.alert import Alert, Link
from handlers.notifications.harmless import plain
from ledger.event import JSON, Event
from tests.handlers.desk import Desk, Post, sample

GOLDEN = Path(__file__).parent.parent / "golden"

HOSTILE = "<!channel> <@U1> <https://evil.example|Stripe> \u202eeliforp\u202c *bold* `code` _it_\x07 & Søns"

FAILED, OPENED, PAID_OUT = "payment_intent.payment_failed", "charge.dispute.created", "payout.failed"


def money(amount: int, currency: str) -> dict[str, Any]:
    return {"data__object__amount": amount, "data__object__currency": currency}


def customer(name: str) -> dict[str, Any]:
    return {"data__object__last_payment_error__payment_method__billing_details__name": name}


CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "failed_payment_usd": ("stripe", FAILED, {"livemode": True}),
    "failed_payment_jpy": ("stripe", FAILED, {"livemode": True, **money(12000, "jpy")}),
    "failed_payment_kwd": ("stripe", FAILED, {"livemode": True, **money(15120, "kwd")}),
    "failed_payment_test_connect": ("stripe", FAILED, {"account": "acct_1Connected"}),
    "failed_payment_hostile": ("stripe", FAILED, {"livemode": True, **customer(HOSTILE)}),
    "dispute_usd": ("stripe", OPENED, {"livemode": True}),
    "dispute_jpy": ("stripe", OPENED, {"livemode": True, **money(12000, "jpy")}),
    "dispute_kwd": ("stripe", OPENED, {"livemode": True, **money(15120, "kwd")}),
    "inquiry_usd": ("stripe", OPENED, {"livemode": True, "data__object__status": "warning_needs_response"}),
    "refund_usd": ("stripe", "refund.created", {"livemode": True}),
    "refund_jpy": ("stripe", "refund.created", {"livemode": True, **money(12000, "jpy")}),
    "refund_kwd": ("stripe", "refund.created", {"livemode": True, **money(15120, "kwd")}),
    "failed_refund_usd": ("stripe", "refund.failed", {"livemode": True}),
    "failed_payout_usd": ("stripe", PAID_OUT, {"livemode": True}),
    "failed_payout_jpy": ("stripe", PAID_OUT, {"livemode": True, **money(1200000, "jpy")}),
    "failed_payout_kwd": ("stripe", PAID_OUT, {"livemode": True, **money(915120, "kwd")}),
    "failed_payout_huf": ("stripe", PAID_OUT, {"livemode": True, **money(1000000, "huf")}),
    "failing_build": ("github", "workflow_run.completed", {}),
    "leaked_secret": ("github", "secret_scanning_alert.created", {}),
    "vulnerable_dependency": ("github", "dependabot_alert.created", {}),
}


def only_post(desk: Desk, source: str, type_: str, changes: dict[str, Any]) -> Post:
    desk.deliver(sample(type_, source, **changes), source=source, type_=type_)
    [post] = desk.posts()
    return post


@pytest.mark.parametrize("name", CASES)
def test_an_alert_is_worded_as_in_its_golden_file(desk: Desk, name: str) -> None:
    path = GOLDEN / f"{name}.json"
    told = json.dumps(asdict(only_post(desk, *CASES[name])), indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("HOOKLINE_WRITE_GOLDEN"):
        path.write_text(told, encoding="utf-8")
    assert told == path.read_text(encoding="utf-8")


def test_every_golden_file_belongs_to_a_case() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(CASES)


@pytest.mark.parametrize(
    ("type_", "changes", "header"),
    [
        (FAILED, {}, "Payment failed: $49.00 (insufficient funds)"),
        (FAILED, money(12000, "jpy"), "Payment failed: ¥12,000 (insufficient funds)"),
        (FAILED, money(15120, "kwd"), "Payment failed: KWD 15.120 (insufficient funds)"),
        (FAILED, {"data__object__last_payment_error": None}, "Payment failed: $49.00 (no reason given)"),
        (OPENED, {}, "Dispute opened: $49.00 (customer says they did not authorize it)"),
        ("refund.created", {}, "Refund: $49.00"),
        ("refund.failed", {}, "Refund failed: $49.00 (card expired or canceled)"),
        (PAID_OUT, {}, "Payout failed: $1,284.50 (bank account closed)"),
    ],
)
def test_the_header_says_what_happened_how_much_it_is_about_and_why(
    desk: Desk, type_: str, changes: dict[str, Any], header: str
) -> None:
    assert only_post(desk, "stripe", type_, {"livemode": True, **changes}).header == header


@pytest.mark.parametrize("type_", [FAILED, OPENED, "refund.created", PAID_OUT])
def test_an_alert_about_test_mode_says_so_in_the_header_and_on_the_phone(desk: Desk, type_: str) -> None:
    post = only_post(desk, "stripe", type_, {"livemode": False})
    assert post.header.startswith("TEST: ")
    assert post.text.startswith("TEST: ")
    assert "/test/" in json.dumps(post.blocks)


def test_a_link_leads_to_the_right_account_and_mode(desk: Desk) -> None:
    post = only_post(desk, "stripe", FAILED, {"livemode": False, "account": "acct_9"})
    assert "<https://dashboard.stripe.com/acct_9/test/payments/pi_3SAMPLE0000|" in json.dumps(post.blocks)


def test_an_alert_says_which_event_it_comes_from(desk: Desk) -> None:
    origin = json.dumps(only_post(desk, "stripe", FAILED, {}).blocks[-1])
    assert "Hookline event 1" in origin
    assert "evt_3SAMPLE0000" in origin


def test_an_alert_about_a_dispute_gives_the_last_day_for_evidence(desk: Desk) -> None:
    changes = {"data__object__evidence_details__due_by": SAMPLED_AT}
    assert "30 Oct 2026, 12:00 UTC" in json.dumps(only_post(desk, "stripe", OPENED, changes).blocks)


def test_a_hostile_name_reaches_slack_as_text_only(desk: Desk) -> None:
    post = only_post(desk, "stripe", FAILED, customer(HOSTILE))
    sent = json.dumps([post.text, post.blocks], ensure_ascii=False)
    for trick in ("<!", "<@", "<https://evil", "*bold*", "`", "\u202e", "\\u0007"):
        assert trick not in sent
    assert "&lt;!channel&gt;" in sent


def test_the_largest_texts_stay_within_slacks_limits(desk: Desk) -> None:
    long = "&" * 100_000
    post = only_post(desk, "stripe", FAILED, {**customer(long), "data__object__receipt_email": long})
    assert len(post.header) <= 150
    assert all(len(each["text"]) <= 2000 for each in post.blocks[1]["fields"])


@given(
    title=st.text(min_size=1).filter(lambda text: plain(text) != ""),
    facts=st.dictionaries(st.text(st.characters(categories=["L"]), min_size=1, max_size=20), st.text(), max_size=10),
    url=st.text(max_size=50).map("https://example.com/{}".format),
)
def test_whatever_an_alert_says_slacks_own_models_find_nothing_wrong_with_it(
    title: str, facts: dict[str, str], url: str
) -> None:
    event = Event(
        id=1,
        source="stripe",
        external_id="evt_1",
        type="charge.refunded",
        account=None,
        livemode=False,
        received_at=0,
        content_type=JSON,
        body=b"{}",
    )
    blocks = Alert(title=title, facts=facts, link=Link("See", url)).message(event, None)["blocks"]
    assert [parsed.to_dict() for each in blocks if (parsed := Block.parse(each))] == blocks


def test_a_failure_code_that_is_no_code_is_not_repeated(desk: Desk) -> None:
    changes = {"data__object__last_payment_error__decline_code": "<!channel>"}
    post = only_post(desk, "stripe", FAILED, changes)
    assert post.header == "TEST: Payment failed: $49.00 (a reason unknown to us)"
    assert "<!channel>" not in json.dumps([post.text, post.blocks])


def test_a_failure_code_that_is_new_is_shown_in_its_own_words(desk: Desk) -> None:
    changes = {"data__object__last_payment_error__decline_code": "moon_in_retrograde"}
    assert only_post(desk, "stripe", FAILED, changes).header.endswith("(moon in retrograde)")


@pytest.mark.parametrize(
    ("type_", "name"),
    [
        ("payment_intent.payment_failed", "receipt_email"),
        ("invoice.payment_failed", "customer_name"),
        ("charge.dispute.created", "evidence__customer_name"),
    ],
)
def test_a_customer_with_a_nul_in_their_name_is_told_of_on_every_database(desk: Desk, type_: str, name: str) -> None:
    anonymous = {"last_payment_error__payment_method": None, "customer": None} if name == "receipt_email" else {}
    changes: dict[str, Any] = {**anonymous, name: "Ada\0 Byron"}
    fields: dict[str, Any] = {f"data__object__{path}": value for path, value in changes.items()}
    desk.deliver(sample(type_, **fields))
    [post] = desk.posts()
    assert "Ada Byron" in post.text
