"""Enters what an event says of a payment, refund or dispute, right whatever the order or number of arrivals.

Each object has one row, and the greatest version of it wins (`handlers.payments.version`). Greatest is well defined
for any two events, so every order of arrival, with any repetitions, ends in the same row.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, Update, and_, bindparam, select, tuple_, update

from handlers.errors import GiveUp
from handlers.payments.change import Change, Verdict
from handlers.payments.history import note
from handlers.payments.lifecycle import DISPUTE, PAYMENT, REFUND, TRY_FAILED, Standing
from handlers.payments.merge import LASTING
from handlers.payments.objects import Charge, Dispute, Intent, Refund
from handlers.payments.tables import disputes, payments, refunds
from handlers.payments.version import Version, contradict, version_of
from handlers.reading import Snapshot, read_snapshot
from ledger.event import Event
from ledger.gathered import Kind, Known, Row
from ledger.prepared import Prepared, as_list, insert_unless_known, prepare_with_lists
from ledger.rows import InsertMany
from ledger.store import Transaction

Facts = Mapping[str, str | int | None]
Key = tuple[str | bool | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one event says of one object.

    Attributes:
        table: where it is kept.
        whose: account, livemode and id: the row.
        facts: the columns that the event knows.
        version: how it compares with what other events say.
        told: what the event says, where that is more than goes into the row at once.

    """

    table: Table
    whose: Mapping[str, str | bool]
    facts: Facts
    version: Version
    told: Facts | None = None


def _row(table: Table) -> ColumnElement[bool]:
    return and_(*(column == bindparam(f"this_{column.name}") for column in table.primary_key.columns))


def _overwrite(table: Table) -> Update:
    versions = [column for column in table.columns if column.name.startswith("version_")]
    this = tuple_(*(bindparam(f"this_{column.name}", type_=column.type) for column in versions))
    return update(table).where(_row(table), tuple_(*versions) < this)


def _known(table: Table) -> Select[Any]:
    # Locked, so that what was before is what was before, also where two workers have events of one object.
    return select(table).where(_row(table)).with_for_update()


KINDS = {payments: "payment", refunds: "refund", disputes: "dispute"}

ENTER = {table: insert_unless_known(table) for table in KINDS}
KNOWN = {table: Prepared(_known(table)) for table in KINDS}
OVERWRITE = {table: Prepared(_overwrite(table)) for table in KINDS}
REFUND_MORE = Prepared(update(payments).where(_row(payments), payments.c.amount_refunded < bindparam("more")))
TIE_TO_INVOICE = Prepared(update(payments).where(_row(payments), payments.c.invoice.is_(None)))


def enter(db: Transaction, event: Event, entry: Entry) -> Change:
    """Write the entry, unless the row already has a newer one. Say what that changed."""
    told = entry.told or entry.facts
    kind, object_id = KINDS[entry.table], str(entry.whose["id"])
    note(db, event, kind=kind, object_id=object_id, version=entry.version, facts=told)
    version = entry.version.columns
    row = {**entry.facts, **version}
    ahead, key = db.known(entry.table), _key(entry.whose)
    known = _enter_ahead(db, ahead, key, entry, row) if key in ahead else _enter(db, entry, row)
    if known is None:
        return _change(entry, Verdict.NEW, None, entry.facts)
    before = {name: value for name, value in known.items() if name not in entry.whose and name not in version}
    contested = _contested(entry, version_of(known), before)
    overwritten = db.execute(OVERWRITE[entry.table], row | _this(entry.whose) | _this(version)).rowcount > 0
    if key in ahead:
        db.know(entry.table, ahead)  # of all the others, nothing has changed
        ahead[key] = known | row if overwritten else known
    if overwritten:
        return _change(entry, Verdict.NEWER, before, {**before, **entry.facts}, contested=contested)
    same = known["version_event"] == entry.version.event
    return _change(entry, Verdict.REPEATED if same else Verdict.STALE, before, before, contested=contested)


def _enter(db: Transaction, entry: Entry, row: Row) -> Row | None:
    """Insert the row, unless there is one: that is given."""
    if db.execute(ENTER[entry.table], {**entry.whose, **row}).rowcount > 0:
        return None
    [known] = db.execute(KNOWN[entry.table], _this(entry.whose)).by_name()
    return known


def _enter_ahead(db: Transaction, ahead: Known, key: Key, entry: Entry, row: Row) -> Row | None:
    """Do the same, where it is known whether there is one: new rows are written together."""
    known = ahead[key]
    if known is None:
        new = {**entry.whose, **row}
        ahead[key] = {**EMPTY[entry.table], **new}
        db.leave(NEW[entry.table], new)
    return known


def _key(whose: Mapping[str, str | bool | None]) -> Key:
    return tuple(whose.values())


def _enter_all(table: Table) -> Kind[Row]:
    new = InsertMany(table, ignore_known=True)

    def write(db: Connection, rows: Sequence[Row]) -> None:
        # In one order everywhere: two workers with the same new keys would wait for each other otherwise.
        if new.write(db, sorted(rows, key=itemgetter("account", "livemode", "id"))) < len(rows):
            raise Overtaken

    return Kind(write, table)


class Overtaken(Exception):
    """Another worker has entered an object meanwhile that was new a moment ago."""


NEW = {table: _enter_all(table) for table in KINDS}
EMPTY: Mapping[Table, Row] = {
    table: {column.name: 0 if column.server_default is not None else None for column in table.columns}
    for table in KINDS
}


def find_payments(events: Sequence[Event], db: Transaction) -> None:
    """Find out about the payments of many events at once."""
    known: Known = {}
    for event in events:
        with suppress(GiveUp):  # which is for whoever handles it
            known[_key(_whose(event, read_snapshot(event, Intent).data.object.id))] = None
    for account, livemode in sorted({key[:2] for key in known}):
        ids = [key[2] for key in known if key[:2] == (account, livemode)]
        its = {"its_account": account, "its_livemode": livemode, "its_ids": as_list(db, ids)}
        known |= {(account, livemode, row["id"]): row for row in db.execute(_FIND_PAYMENTS, its).by_name()}
    db.know(payments, known)


_FIND_PAYMENTS = prepare_with_lists(
    lambda among: (
        select(payments)
        .where(
            payments.c.account == bindparam("its_account"),
            payments.c.livemode == bindparam("its_livemode"),
            among(payments.c.id, "its_ids"),
        )
        .order_by(payments.c.id)  # all who wait for each other do so in one order
        .with_for_update()
    )
)


def status_of(db: Transaction, event: Event, payment_id: str) -> str | None:
    """Say how an event's payment stands in the book, locked until the end of the transaction."""
    whose = {"account": event.account or "", "livemode": event.livemode, "id": payment_id}
    ahead, key = db.known(payments), _key(whose)
    if key not in ahead:
        status: str | None = db.execute(_STATUS, _this(whose)).scalar()
        return status
    row = ahead[key]
    return None if row is None else row["status"]


# Locked, so that whoever comes second, the payment or its failure, sees what the first one did.
_STATUS = Prepared(select(payments.c.status).where(_row(payments)).with_for_update())


def _contested(entry: Entry, known: Version, before: Facts) -> bool:
    """Say whether two events of one second contradict each other, and nothing tells which came later."""
    return known.ties_with(entry.version) and contradict(before, entry.facts, about=entry.facts.keys() - LASTING)


def _change(entry: Entry, verdict: Verdict, before: Facts | None, after: Facts, *, contested: bool = False) -> Change:
    return Change(
        table=entry.table.name,
        id=str(entry.whose["id"]),
        verdict=verdict,
        before=before,
        after=after,
        contested=contested,
    )


def _this(values: Mapping[str, str | int | None]) -> dict[str, str | int | None]:
    return {f"this_{name}": value for name, value in values.items()}


def enter_intent(db: Transaction, event: Event) -> Change:
    """Enter what a payment intent's event says."""
    snapshot = read_snapshot(event, Intent)
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
    whose = _whose(event, intent.id)
    invoice = intent.its_invoice
    told = {**facts, "invoice": invoice}
    change = enter(db, event, Entry(table=payments, whose=whose, facts=facts, version=version, told=told))
    return _tied(db, change, whose, invoice)


def enter_refunded_charge(db: Transaction, event: Event) -> Change:
    """Enter how much of a payment has gone back, also when the payment itself has not been heard of yet.

    Only ever more: a refund that a bank sends back later is to be seen in `refunds`, as failed.
    """
    snapshot = read_snapshot(event, Charge)
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
    told = {**facts, "amount_refunded": charge.amount_refunded, "invoice": charge.invoice}
    entered = enter(db, event, Entry(table=payments, whose=whose, facts=facts, version=version, told=told))
    change = _tied(db, entered, whose, charge.invoice)
    more = charge.amount_refunded
    if db.execute(REFUND_MORE, {"amount_refunded": more, "more": more, **_this(whose)}).rowcount > 0:
        return replace(change, after={**change.after, "amount_refunded": more})
    return change


def _tied(db: Transaction, change: Change, whose: Mapping[str, str | bool], invoice: str | None) -> Change:
    """Keep which bill a payment is for, once an event says it: newer versions of Stripe's API do not."""
    if invoice is None or db.execute(TIE_TO_INVOICE, {"invoice": invoice, **_this(whose)}).rowcount == 0:
        return change
    return replace(change, after={**change.after, "invoice": invoice})


def enter_refund(db: Transaction, event: Event) -> Change:
    """Enter what a refund's event says."""
    snapshot = read_snapshot(event, Refund)
    refund = snapshot.data.object
    facts: Facts = {
        "payment_intent": refund.payment_intent,
        "charge": refund.charge,
        "amount": refund.amount,
        "currency": refund.currency,
        "status": refund.status,
        "reason": refund.reason,
        "failure_reason": refund.failure_reason,
        "made_at": refund.created,
    }
    state = refund.status or ""
    version = _version(event, snapshot, standing=REFUND.standing(state), rank=REFUND.rank(state))
    return enter(db, event, Entry(table=refunds, whose=_whose(event, refund.id), facts=facts, version=version))


def enter_dispute(db: Transaction, event: Event) -> Change:
    """Enter what a dispute's event says."""
    snapshot = read_snapshot(event, Dispute)
    dispute = snapshot.data.object
    facts: Facts = {
        "payment_intent": dispute.payment_intent,
        "charge": dispute.charge,
        "amount": dispute.amount,
        "currency": dispute.currency,
        "reason": dispute.reason,
        "status": dispute.status,
        "due_by": dispute.due_by,
        "made_at": dispute.created,
        **_settled(dispute),
    }
    version = _version(event, snapshot, standing=DISPUTE.standing(dispute.status), rank=DISPUTE.rank(dispute.status))
    return enter(db, event, Entry(table=disputes, whose=_whose(event, dispute.id), facts=facts, version=version))


def _settled(dispute: Dispute) -> dict[str, str | int | None]:
    """Add up what a dispute has changed in our balance: the money goes, and may come back."""
    moves = [move for move in dispute.balance_transactions if move.currency is not None]
    if not moves or len({move.currency for move in moves}) > 1:
        return {"fee": None, "net": None, "settled_currency": None}
    return {
        "fee": sum(move.fee for move in moves),
        "net": sum(move.net for move in moves),
        "settled_currency": moves[0].currency,
    }


def _whose(event: Event, object_id: str) -> dict[str, str | bool]:
    if event.livemode is None:
        raise GiveUp("the event does not say whether it is about real money")
    return {"account": event.account or "", "livemode": event.livemode, "id": object_id}


def _version(event: Event, snapshot: Snapshot[Any], *, standing: Standing, rank: int) -> Version:
    return Version(int(standing), snapshot.created, rank, event.external_id)
