"""A ledger with one event in each state, as the tests of what is shown find it."""

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, update

from ledger.event import DeliveryState, EffectState
from ledger.store import Ledger
from ledger.tables import attempts, deliveries, effects, requests
from tests.ledger.making import new_event, store

# Of another year, so that what is shown does not depend on today.
AT = datetime(2021, 11, 23, 4, 30, 53, 250_000, tzinfo=UTC).timestamp()

ERROR = "ValueError: no charge in\n  the payload of du_1Qabc"

DONE, FAILED, DEAD, PENDING, UNHANDLED, UNPARSEABLE = range(1, 7)


def fill(ledger: Ledger) -> None:
    """Store the events DONE … UNPARSEABLE (their ids), and one rejected request."""
    for number, (source, type_, external_id, handlers, flaw) in enumerate(
        (
            ("stripe", "payment_intent.payment_failed", "evt_3Qabcdefghijklmnopqrstu", ("payments.payment",), None),
            ("github", "workflow_run.completed", "4bbaa3ab-9ef1-4fd2-949b-747756d6accb", ("repositories.run",), None),
            ("stripe", "charge.dispute.created", "evt_3Dead", ("notifications.dispute", "payments.dispute"), None),
            ("github", "secret_scanning_alert.created", "373d88d6-01c8", ("repositories.leaked_secret",), None),
            ("slack", "app_mention", "Ev0Mention", (), None),
            ("stripe", "unknown", "sha256:c0ffee", (), "not JSON: expected value at line 1 column 1"),
        )
    ):
        event = new_event(
            key=external_id, source=source, type=type_, handlers=handlers, flaw=flaw, received_at=AT + 60 * number
        )
        store(ledger, event)
    _set(ledger, DONE, DeliveryState.DONE)
    _set(ledger, FAILED, DeliveryState.FAILED, due_at=AT + 3_600, last_error="RetryLater: GitHub is away", attempts=2)
    _set(ledger, DEAD, DeliveryState.DEAD, last_error=ERROR, attempts=7)
    with ledger.write() as db:
        db.execute(
            insert(attempts).values(
                delivery_id=3,
                number=7,
                trigger="retry",
                outcome="dead",
                started_at=AT + 100,
                finished_at=AT + 101,
                error=ERROR,
            )
        )
        db.execute(
            insert(requests).values(
                received_at=AT, source="stripe", path="/webhooks/stripe", status=401, reason="signature_mismatch",
                headers="{}", body_size=17, body_sha256="0" * 64,
            )
        )  # fmt: skip


def add_effect(ledger: Ledger, *, event_id: int, delivery_id: int, state: EffectState, text: str = "Dispute") -> None:
    """Add an effect with this text."""
    with ledger.write() as db:
        db.execute(
            insert(effects).values(
                event_id=event_id,
                delivery_id=delivery_id,
                key=f"stripe/dispute/{delivery_id}",
                channel="#finance",
                message=json.dumps({"text": text}),
                state=state,
                planned_at=AT,
                due_at=AT,
                last_error="channel_not_found" if state == EffectState.DEAD else None,
            )
        )


def _set(ledger: Ledger, event_id: int, state: DeliveryState, **values: Any) -> None:
    with ledger.write() as db:
        values = {"attempts": 1, "state": state, **values}
        db.execute(update(deliveries).where(deliveries.c.event_id == event_id).values(**values))
