"""Deliveries that nobody sent: a handler found that the provider must be asked."""

from ledger.event import DeliveryState, Trigger
from ledger.prepared import insert_unless_known
from ledger.store import Transaction
from ledger.tables import deliveries

QUEUE = "lookups"
HANDLER = "payments.look_up"
# Kept with every such delivery, like all handlers' names.


def request(db: Transaction, *, event_id: int, now: float) -> None:
    """Have the provider asked about an event, once: it waits in SQL until the sweeper announces it."""
    db.execute(
        _REQUEST,
        {
            "event_id": event_id,
            "handler": HANDLER,
            "queue": QUEUE,
            "state": DeliveryState.PENDING.value,
            "due_at": now,
            "trigger": Trigger.RECONCILED.value,
        },
    )


_REQUEST = insert_unless_known(deliveries)
