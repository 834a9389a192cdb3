"""Enters what an event says of an object, so that the book is right whatever the order or number of arrivals.

Each object has one row, and the greatest version of it wins. Greatest is well defined for any two events, so every
order of arrival, with any repetitions, ends in the same row. A version compares, in this order:

1. standing: a state that may still change, then what a refunded charge tells of its payment, then a final state;
2. created: the event's own time, which Stripe gives in whole seconds only;
3. rank: within one second, the state that is further on;
4. event: the event's id, which decides nothing but the same everywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, Update, and_, bindparam, select, tuple_, update

from handlers.errors import GiveUp
from handlers.payments.change import Change, Verdict
from handlers.payments.objects import Charge, Dispute, Intent, Refund
from handlers.payments.tables import disputes, payments, refunds
from handlers.reading import Snapshot, read
from ledger.event import Event
from ledger.prepared import Prepared, insert_unless_known
from ledger.store import Transaction

Facts = Mapping[str, str | int | None]


class Standing(IntEnum):
    """How much an event's word counts."""

    PASSING = 0
    CHARGE = 1  # what is refunded was paid: that outdoes the payment's earlier states, and nothing that ends it
    FINAL = 2  # this state is never left


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """The states of one kind of object.

    Attributes:
        order: from first to last, as they follow each other within one second. An unknown state comes before all.
        final: those that are never left.

    """

    order: tuple[str, ...]
    final: frozenset[str]

    def standing(self, state: str) -> Standing:
        """Say how much the object's word counts in this state."""
        return Standing.FINAL if state in self.final else Standing.PASSING

    def rank(self, state: str) -> int:
        """Say how far on this state is."""
        return self.order.index(state) + 1 if state in self.order else 0


TRY_FAILED = "a try failed"
# Stripe calls it `requires_payment_method`, as before the first try, but it comes after that try's states.

PAYMENT = Lifecycle(
    order=(
        "requires_payment_method",
        "requires_confirmation",
        "requires_action",
        "processing",
        "requires_capture",
        TRY_FAILED,
        "canceled",
        "succeeded",
    ),
    final=frozenset({"succeeded", "canceled"}),
)
REFUND = Lifecycle(
    order=("requires_action", "pending", "succeeded", "canceled", "failed"),
    # A bank can send back what Stripe had already called succeeded.
    final=frozenset({"failed", "canceled"}),
)
DISPUTE = Lifecycle(
    order=(
        "warning_needs_response",
        "warning_under_review",
        "warning_closed",
        "needs_response",
        "under_review",
        "lost",
        "appeal_needs_response",
        "appeal_under_review",
        "prevented",
        "won",
    ),
    # What is lost can be appealed, and an inquiry that was closed can come back as a dispute.
    final=frozenset({"won", "prevented"}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one event says of one object.

    Attributes:
        table: where it is kept.
        whose: account, livemode and id: the row.
        facts: the columns that the event knows.
        version: the `version_` columns, which are compared in this order.

    """

    table: Table
    whose: Mapping[str, str | bool]
    facts: Facts
    version: Mapping[str, str | int]


def _row(table: Table) -> ColumnElement[bool]:
    return and_(*(column == bindparam(f"this_{column.name}") for column in table.primary_key.columns))


def _overwrite(table: Table) -> Update:
    versions = [column for column in table.columns if column.name.startswith("version_")]
    this = tuple_(*(bindparam(f"this_{column.name}", type_=column.type) for column in versions))
    return update(table).where(_row(table), tuple_(*versions) < this)


def _known(table: Table) -> Select[Any]:
    # Locked, so that what was before is what was before, also where two workers have events of one object.
    return select(table).where(_row(table)).with_for_update()


TABLES = (payments, refunds, disputes)
ENTER = {table: insert_unless_known(table) for table in TABLES}
KNOWN = {table: Prepared(_known(table)) for table in TABLES}
OVERWRITE = {table: Prepared(_overwrite(table)) for table in TABLES}
REFUND_MORE = Prepared(update(payments).where(_row(payments), payments.c.amount_refunded < bindparam("more")))


def enter(db: Transaction, entry: Entry) -> Change:
    """Write the entry, unless the row already has a newer one. Say what that changed."""
    row = {**entry.facts, **entry.version}
    if db.execute(ENTER[entry.table], {**entry.whose, **row}).rowcount > 0:
        return _change(entry, Verdict.NEW, None, entry.facts)
    this = _this(entry.whose)
    known = dict(db.execute(KNOWN[entry.table], this).mappings().one())
    before = {name: value for name, value in known.items() if name not in entry.whose and name not in entry.version}
    if db.execute(OVERWRITE[entry.table], row | this | _this(entry.version)).rowcount > 0:
        return _change(entry, Verdict.NEWER, before, {**before, **entry.facts})
    same = known["version_event"] == entry.version["version_event"]
    return _change(entry, Verdict.REPEATED if same else Verdict.STALE, before, before)


def _change(entry: Entry, verdict: Verdict, before: Facts | None, after: Facts) -> Change:
    return Change(table=entry.table.name, id=str(entry.whose["id"]), verdict=verdict, before=before, after=after)


def _this(values: Mapping[str, str | int]) -> dict[str, str | int | None]:
    return {f"this_{name}": value for name, value in values.items()}


def enter_intent(db: Transaction, event: Event) -> Change:
    """Enter what a payment intent's event says."""
    snapshot = read(event, Snapshot[Intent])
    intent = snapshot.data.object
    state = TRY_FAILED if intent.last_payment_error and intent.status == PAYMENT.order[0] else intent.status
    facts: Facts = {
        "amount": intent.amount,
        "amount_received": intent.amount_received,
        "currency": intent.currency,
        "customer": intent.customer,
        "status": intent.status,
        "failure_code": intent.failure_code,
        "latest_charge": intent.charge,
    }
    version = _version(event, snapshot, standing=PAYMENT.standing(state), rank=PAYMENT.rank(state))
    return enter(db, Entry(table=payments, whose=_whose(event, intent.id), facts=facts, version=version))


def enter_refunded_charge(db: Transaction, event: Event) -> Change:
    """Enter how much of a payment has gone back, also when the payment itself has not been heard of yet.

    Only ever more: a refund that a bank sends back later is to be seen in `refunds`, as failed.
    """
    snapshot = read(event, Snapshot[Charge])
    charge = snapshot.data.object
    facts: Facts = {
        "amount": charge.amount,
        "amount_received": charge.amount_captured,
        "currency": charge.currency,
        "customer": charge.customer,
        "status": charge.status,
        "failure_code": charge.failure_code,
        "latest_charge": charge.id,
    }
    version = _version(event, snapshot, standing=Standing.CHARGE, rank=PAYMENT.rank(charge.status))
    whose = _whose(event, charge.payment_intent or charge.id)
    change = enter(db, Entry(table=payments, whose=whose, facts=facts, version=version))
    more = charge.amount_refunded
    if db.execute(REFUND_MORE, {"amount_refunded": more, "more": more, **_this(whose)}).rowcount > 0:
        return replace(change, after={**change.after, "amount_refunded": more})
    return change


def enter_refund(db: Transaction, event: Event) -> Change:
    """Enter what a refund's event says."""
    snapshot = read(event, Snapshot[Refund])
    refund = snapshot.data.object
    facts: Facts = {
        "payment_intent": refund.payment_intent,
        "charge": refund.charge,
        "amount": refund.amount,
        "currency": refund.currency,
        "status": refund.status,
        "reason": refund.reason,
        "failure_reason": refund.failure_reason,
    }
    state = refund.status or ""
    version = _version(event, snapshot, standing=REFUND.standing(state), rank=REFUND.rank(state))
    return enter(db, Entry(table=refunds, whose=_whose(event, refund.id), facts=facts, version=version))


def enter_dispute(db: Transaction, event: Event) -> Change:
    """Enter what a dispute's event says."""
    snapshot = read(event, Snapshot[Dispute])
    dispute = snapshot.data.object
    facts: Facts = {
        "payment_intent": dispute.payment_intent,
        "charge": dispute.charge,
        "amount": dispute.amount,
        "currency": dispute.currency,
        "reason": dispute.reason,
        "status": dispute.status,
        "due_by": dispute.due_by,
    }
    version = _version(event, snapshot, standing=DISPUTE.standing(dispute.status), rank=DISPUTE.rank(dispute.status))
    return enter(db, Entry(table=disputes, whose=_whose(event, dispute.id), facts=facts, version=version))


def _whose(event: Event, object_id: str) -> dict[str, str | bool]:
    if event.livemode is None:
        raise GiveUp("the event does not say whether it is about real money")
    return {"account": event.account or "", "livemode": event.livemode, "id": object_id}


def _version(event: Event, snapshot: Snapshot[Any], *, standing: Standing, rank: int) -> dict[str, str | int]:
    return {
        "version_standing": int(standing),
        "version_created": snapshot.created,
        "version_rank": rank,
        "version_event": event.external_id,
    }
