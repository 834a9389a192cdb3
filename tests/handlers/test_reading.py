"""What is read of an event at once is what is read the plain way."""

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from handlers.errors import GiveUp
from handlers.payments.objects import Charge, Dispute, Intent, Invoice, Payout
from handlers.reading import Shape, Snapshot, read
from ledger.event import JSON, Event, Unreadable
from tests.receivers.test_hostile_input import values

SHAPES: list[type[Shape]] = [Snapshot[Intent], Snapshot[Charge], Snapshot[Dispute], Snapshot[Invoice], Snapshot[Payout]]
NAMES = sorted({name for shape in (Intent, Charge, Dispute, Invoice, Payout) for name in shape.model_fields})
WHOLE = {
    "id": "in_1",
    "amount": 4900,
    "amount_due": 4900,
    "amount_refunded": 0,
    "currency": "usd",
    "status": "open",
    "reason": "general",
    "balance_transactions": [{"fee": 1, "net": -2, "currency": "usd"}],
    "last_payment_error": {"code": "card_declined", "payment_method": {"id": "pm_1"}},
}
ODD = values | st.sampled_from([True, 1.0, 1e400, -0.0, 2**63, "1", "2026-01-01", [], {}, {"id": "x"}, "\ud800", "\0"])


def outcome(event: Event, shape: type[Shape], *, plainly: bool) -> Any:
    try:
        return shape.model_validate(event.payload) if plainly else read(event, shape)
    except (ValueError, GiveUp):
        return None


def is_readable(event: Event) -> bool:
    try:
        return bool(event.payload)
    except Unreadable:
        return False


@given(changes=st.dictionaries(st.sampled_from(NAMES), ODD, max_size=3), again=st.booleans(), created=st.just(5) | ODD)
@pytest.mark.parametrize("shape", SHAPES)
def test_an_event_is_read_as_its_payload_would_be(
    shape: type[Shape], changes: dict[str, Any], created: Any, *, again: bool
) -> None:
    body = json.dumps({"created": created, "data": {"object": WHOLE | changes}})
    if again:  # of doubled keys the last one counts
        body = f'{body[:-1]}, "created": 7, "data": {json.dumps({"object": changes | WHOLE})}}}'
    event = Event(
        id=1,
        source="stripe",
        external_id="evt_1",
        type="t",
        account=None,
        livemode=True,
        received_at=0.0,
        content_type=JSON,
        body=body.encode("utf-8", "surrogatepass"),
    )
    assume(is_readable(event))  # others never come to a handler
    assert repr(outcome(event, shape, plainly=False)) == repr(outcome(event, shape, plainly=True))
