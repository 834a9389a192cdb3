"""A ledger in which there is something of everything, as the tests of what each command shows find it."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert, update

from cli.sample import SAMPLED_AT, moved
from handlers.router import load_router
from ledger.event import EffectState
from ledger.store import Ledger
from ledger.tables import audit, deliveries, effects, events, replay_items, replays, tokens
from tests.cli.stock import AT, DEAD, add_effect, fill
from tests.handlers.desk import Desk
from tests.handlers.payments.test_objects import PAYMENT, PAYOUT, told

BOOKED = 11
# The first event that the book was made of.

HOSTILE = "Dispute opened \x1b[31m by <!channel>\nsecond line"

ACCOUNT = "acct_1NaQLCI9vXlM3b7e"

_ELSEWHERE = (
    told(60, "payment_intent.payment_failed", 5, id="pi_3MtwBwLkdIwHu7ix28a3tqPa", amount=1_250_000_00, currency="jpy"),
    told(
        61,
        "payment_intent.succeeded",
        6,
        id="pi_3OszBw2eZvKYlo2C1fSSdTjk",
        amount_received=987_654_321,
        amount=987_654_321,
        currency="eur",
    )
    | {"account": ACCOUNT},
    told(62, "payout.paid", 7, id="po_1NaQLCI9vXlM3b7eUQ8sWz5k", amount=500, currency="kwd") | {"livemode": False},
)

_REPLAYS = (
    {"id": 1, "created_at": AT, "who": "ana", "reason": None, "chosen": '{"ids": 1}', "states": "[]",
     "again": False, "items": 2, "cursor": 2, "finished_at": AT + 9},
    {"id": 2, "created_at": AT + 60, "who": "a.very.long.name@accounting.example.com", "states": "[]", "again": True,
     "reason": "the book was wrong since the upgrade of Tuesday, see the ticket of the finance team",
     "chosen": json.dumps({"source": "stripe", "type": "invoice.*", "state": "dead", "since": AT, "limit": 100}),
     "items": 12_345, "cursor": 500, "finished_at": None},
)  # fmt: skip

_ITEMS = (
    {"replay_id": 1, "position": 1, "event_id": DEAD, "handler": "notifications.dispute", "queue": "notifications",
     "delivery_id": 3, "outcome": "started"},
    {"replay_id": 1, "position": 2, "event_id": DEAD, "handler": "payments.dispute", "queue": "payments",
     "delivery_id": 4, "outcome": "left_alone"},
)  # fmt: skip

_TOKENS = (
    {"id": 1, "name": "ann", "public": "0a1b2c3d4e5f", "digest": "1" * 64, "created_at": AT, "expires_at": None,
     "scopes": '["read", "payload", "replay", "admin"]', "revoked_at": None},
    {"id": 2, "name": "nightly-report@accounting.example.com", "public": "f5e4d3c2b1a0", "digest": "2" * 64,
     "scopes": '["read"]', "created_at": AT + 60, "expires_at": AT + 90, "revoked_at": None},
    {"id": 3, "name": "ben", "public": "abcdefabcdef", "digest": "3" * 64, "created_at": AT + 70, "expires_at": None,
     "scopes": '["read", "replay"]', "revoked_at": AT + 80},
)  # fmt: skip

_AUDIT: tuple[dict[str, Any], ...] = (
    {"who": "ana", "via": "cli", "action": "token", "detail": {"name": "ann"}, "reason": None},
    {"who": "ana", "via": "cli", "action": "retry", "detail": {"deliveries": [3, 4], "effects": [1]},
     "reason": "mended in 1.2.3"},
    {"who": "nightly-report@accounting.example.com", "via": "api", "action": "dismiss",
     "detail": {"deliveries": {"number": 12_345, "first": []}},
     "reason": "test data of the old shop, which nobody needs any more since it was closed in March"},
)  # fmt: skip


def furnish(ledger: Ledger) -> None:
    """Fill an empty ledger: what came in, what became of it, the book, replays, tokens and the audit log."""
    fill(ledger)
    add_effect(ledger, event_id=DEAD, delivery_id=3, state=EffectState.DEAD, text=HOSTILE)
    with ledger.write() as db:
        desk = Desk(db, load_router())
        for each in (*PAYMENT, *PAYOUT, *_ELSEWHERE):
            event = desk.store(_back_then(each))
            for handler in load_router().matching(event.source, event.type):
                if handler.name.startswith("payments."):
                    desk.run(handler, event)
        booked = {"state": "done", "handler": "payments.book", "attempts": 1, "finished_at": AT}
        db.execute(update(deliveries).where(deliveries.c.handler == "all").values(booked))
        db.execute(update(events).where(events.c.id > 6).values(received_at=AT - 3_600))
        db.execute(insert(replays), list(_REPLAYS))
        db.execute(insert(replay_items), list(_ITEMS))
        db.execute(insert(tokens), list(_TOKENS))
        about: dict[str, Any] = {
            "event_id": DEAD,
            "delivery_id": 3,
            "channel": "#finance",
            "state": "sent",
            "planned_at": 0,
            "due_at": 0,
        }
        about |= {
            "folded_into": 1,
            "currency": "usd",
            "message": '{"text": "Payment failed: a customer will pay later"}',
        }
        folded: list[dict[str, Any]] = [
            {"customer": "Mara Lindqvist", "reason": "insufficient_funds"},
            {"customer": None, "reason": None},
        ]
        planned = [{**about, **each, "key": str(n), "amount": 4_900 + n} for n, each in enumerate(folded)]
        db.execute(insert(effects), planned)
        rows = [{**each, "at": AT + number, "detail": json.dumps(each["detail"])} for number, each in enumerate(_AUDIT)]
        db.execute(insert(audit), rows)


def _back_then(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Move an event to another year, so that what is shown does not depend on today."""
    then: dict[str, Any] = moved(payload, round(AT) - SAMPLED_AT)
    return then
