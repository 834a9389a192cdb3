"""What Hookline says by itself, word for word: the digest and its complaints. The golden files are what Slack is sent.

HOOKLINE_WRITE_GOLDEN=1 writes them anew; look at the difference before you commit it.
"""

import json
import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block

from cli.sample import SAMPLED_AT
from handlers.notifications import digest, health
from ledger.alarms import Alarm
from ledger.event import JSON, Event
from tests.handlers.desk import Desk, sample
from tests.system.slack_rules import problem_with

GOLDEN = Path(__file__).parent.parent / "golden" / "hookline"

HOUR_S, DAY_S = 3_600, 86_400

BUSY_DAY: Mapping[str, Any] = {
    "day": "2026-10-29",
    "zone": "Europe/Berlin",
    "late_s": 3,
    "money": [
        {
            "currency": "eur",
            "sums": {
                "taken": {"count": 214, "amount": 1_248_000},
                "failed": {"count": 12, "amount": 61_350},
                "refunded": {"count": 3, "amount": 14_700},
                "disputed": {"count": 1, "amount": 12_000},
                "paid_out": {"count": 1, "amount": 1_109_850},
            },
            "before": {
                "taken": {"count": 190, "amount": 1_114_286},
                "failed": {"count": 19, "amount": 88_200},
                "refunded": {"count": 3, "amount": 14_700},
                "disputed": {"count": 0, "amount": 0},
                "paid_out": {"count": 1, "amount": 1_020_000},
            },
        },
        {
            "currency": "jpy",
            "sums": {name: {"count": 0, "amount": 0} for name in digest.LABELS}
            | {"taken": {"count": 2, "amount": 24_000}},
            "before": {name: {"count": 0, "amount": 0} for name in digest.LABELS},
        },
    ],
    "failed_for": [["insufficient_funds", 8], ["do_not_honor", 3], ["card_of_the_moon", 1]],
    "cases": [
        {
            "kind": "dispute",
            "day": 1,
            "week": 2,
            "older": 1,
            "oldest_s": 12 * DAY_S,
            "due_soon": 1,
            "sums": {"eur": 42_000, "usd": 4_900},
        },
        {
            "kind": "failed_payout",
            "day": 1,
            "week": 0,
            "older": 0,
            "oldest_s": 5 * HOUR_S,
            "due_soon": 0,
            "sums": {"eur": 128_450},
        },
    ],
    "events": {"received": 1_204, "handled": 1_190, "unhandled": 14, "waiting": 0, "dead": 0},
}

QUIET_DAY = {
    "day": "2026-10-25",
    "zone": "Europe/Berlin",
    "late_s": 2 * HOUR_S + 60,
    "money": [],
    "failed_for": [],
    "cases": [],
    "events": {"received": 3, "handled": 1, "unhandled": 0, "waiting": 1, "dead": 1},
}

OF_ACCOUNTS = {
    **BUSY_DAY,
    "money": [
        {**BUSY_DAY["money"][0], "account": None},
        {**BUSY_DAY["money"][0], "account": "acct_1QkNorth"},
    ],
    "cases": [
        {**BUSY_DAY["cases"][0], "account": None},
        {**BUSY_DAY["cases"][0], "account": "acct_1QkNorth"},
    ],
}

DIGESTS = {"digest": BUSY_DAY, "digest_of_accounts": OF_ACCOUNTS, "digest_late_and_not_complete": QUIET_DAY}

BEGAN = {"since": SAMPLED_AT, "posted_at": SAMPLED_AT, "until": None, "times": 1}
HEALED = {**BEGAN, "until": SAMPLED_AT + 12 * 60 + 5}

WAITING = {
    "count": 1_204,
    "peak": 1_204,
    "oldest_at": SAMPLED_AT - 310,
    "limit_s": 300,
    "handlers": {"payments.payment": 900, "notifications.dispute": 300, "payments.refund": 3, "payments.payout": 1},
}
DEAD = {
    "count": 4,
    "peak": 17,
    "deliveries": 3,
    "messages": 1,
    "handlers": {"notifications.dispute": 2, "payments.dispute": 1},
    "latest_event": 4_711,
}
SILENT = {"count": 0, "peak": 0, "source": "stripe", "usual_s": 2_400, "limit_s": 9_600}
WRONG = {"count": 37, "peak": 37, "source": "stripe", "latest_at": SAMPLED_AT + 480}

ALARMS = {
    "old_deliveries": ("old_deliveries", True, {**WAITING, **BEGAN}),
    "old_deliveries_healed": ("old_deliveries", False, {**WAITING, **HEALED, "times": 3}),
    "dead_deliveries": ("dead_deliveries", True, {**DEAD, **BEGAN}),
    "dead_deliveries_continued": ("dead_deliveries", True, {**DEAD, **BEGAN, "continued": True}),
    "silence": ("silence/stripe", True, {**SILENT, **BEGAN}),
    "silence_healed": ("silence/stripe", False, {**SILENT, **BEGAN, "until": SAMPLED_AT + 3 * HOUR_S + 1_200}),
    "signatures": ("signatures/stripe", True, {**WRONG, **BEGAN}),
}


def own_event(type_: str, external_id: str) -> Event:
    return Event(
        id=5_102,
        source="hookline",
        external_id=external_id,
        type=type_,
        account=None,
        livemode=None,
        received_at=SAMPLED_AT,
        content_type=JSON,
        body=b"{}",
    )


def told(name: str) -> dict[str, Any]:
    """Give the message of a golden file as it is now."""
    if name in DIGESTS:
        return digest.message(DIGESTS[name], own_event(digest.TYPE, "digest/2026-10-30/Europe/Berlin"))
    alarm, is_open, facts = ALARMS[name]
    known = Alarm(name=alarm, is_open=is_open, episode=2, step=3, told_at=SAMPLED_AT, facts=facts)
    return health.message(known, own_event(health.TYPE, f"alarm/{alarm}/2"))


@pytest.mark.parametrize("name", [*DIGESTS, *ALARMS])
def test_a_message_of_our_own_is_worded_as_in_its_golden_file_and_slack_takes_it(name: str) -> None:
    message, path = told(name), GOLDEN / f"{name}.json"
    text = json.dumps(message, indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("HOOKLINE_WRITE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
    assert slacks_word(message) is None
    assert [parsed.to_dict() for each in message["blocks"] if (parsed := Block.parse(each))] == message["blocks"]


def slacks_word(message: Mapping[str, Any]) -> str | None:
    """Let the stand-in for Slack judge a message."""
    metadata = {"event_type": "hookline_effect", "event_payload": {"key": "k", "event": "1"}}
    arguments = {"channel": "C1", **message, "metadata": metadata}
    return problem_with("chat.postMessage", arguments, {"C1"})


def test_every_golden_file_of_our_own_belongs_to_a_message() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == {*DIGESTS, *ALARMS}


COUNTS = st.builds(
    lambda count, amount: {"count": count, "amount": amount}, st.integers(0, 10**6), st.integers(-(10**24), 10**24)
)
SUMS = st.fixed_dictionaries(dict.fromkeys(digest.LABELS, COUNTS))


@given(
    st.lists(
        st.builds(
            lambda code, sums, before: {"currency": code, "sums": sums, "before": before},
            st.text("abcdefghijklmnopqrstuvwxyz", min_size=3, max_size=3),
            SUMS,
            SUMS,
        ).filter(lambda about: any(each["count"] for each in (*about["sums"].values(), *about["before"].values()))),
        max_size=30,
    )
)
def test_whatever_a_day_was_like_slack_takes_its_digest(money: list[dict[str, Any]]) -> None:
    facts = {**BUSY_DAY, "money": money}
    assert slacks_word(digest.message(facts, own_event(digest.TYPE, "digest/2026-10-30/UTC"))) is None


def test_a_digest_adds_up_the_day_on_the_zones_clocks_by_currency_against_the_day_before(desk: Desk) -> None:
    zone = ZoneInfo("Europe/Berlin")
    begin = digest.midnight(date(2026, 10, 25), zone)  # this day has 25 hours
    for number, (at, amount, currency) in enumerate(
        [
            (begin - 1, 4_000, "usd"),
            (begin, 4_900, "usd"),
            (begin + 25 * HOUR_S - 1, 100, "usd"),
            (begin + 25 * HOUR_S, 7, "usd"),
            (begin, 500, "jpy"),
        ]
    ):
        money = {"id": f"pi_{number}", "amount": amount, "amount_received": amount, "currency": currency}
        changes: dict[str, Any] = {f"data__object__{name}": value for name, value in money.items()}
        changes |= {"id": f"evt_{number}", "created": int(at), "livemode": True}
        desk.deliver(sample("payment_intent.succeeded", **changes))
    facts = digest.gather(desk.db, day=date(2026, 10, 25), zone=zone, due_at=begin, now=begin + 34 * HOUR_S)
    by_currency = {each["currency"]: (each["sums"]["taken"], each["before"]["taken"]) for each in facts["money"]}
    assert by_currency == {
        "jpy": ({"count": 1, "amount": 500}, {"count": 0, "amount": 0}),
        "usd": ({"count": 2, "amount": 5_000}, {"count": 1, "amount": 4_000}),
    }


def test_a_digest_lists_open_cases_by_age_and_no_test_money(desk: Desk) -> None:
    opened = "charge.dispute.created"
    desk.deliver(sample(opened, id="evt_1", livemode=True, data__object__id="du_1"))
    desk.deliver(sample(opened, id="evt_2", livemode=False, data__object__id="du_2"))
    closed = {"data__object__id": "du_3", "data__object__status": "won"}
    desk.deliver(sample("charge.dispute.closed", id="evt_3", livemode=True, **closed))
    now = SAMPLED_AT + 3 * DAY_S
    facts = digest.gather(desk.db, day=date(2026, 10, 30), zone=ZoneInfo("UTC"), due_at=now, now=now)
    [about] = facts["cases"]
    assert (about["kind"], about["day"], about["week"], about["older"]) == ("dispute", 0, 1, 0)
    assert about["sums"] == {"usd": 4_900}
