"""Look at the book: lists of objects, and all that is known of one of them. Reads only."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic_core import from_json
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    RowMapping,
    Select,
    Table,
    and_,
    false,
    func,
    literal,
    or_,
    select,
    tuple_,
    union_all,
)

from handlers.payments.history import told_of
from handlers.payments.tables import LINKS, disputes, objects, payments, refunds
from ledger.shown import rfc3339

MIN_PREFIX_CHARS = 5
MAX_NAMED = 5
MAX_RELATED = 100
# Of each table: a subscription may have more bills than anybody reads.

NOT_FACTS = frozenset({"account", "livemode", "id", "kind", "status", "state", "reached_at", "details", "trace"})
# They are the list's, or not for people.

TIMES = frozenset(
    {
        "made_at",
        "due_by",
        "arrival_date",
        "next_payment_attempt",
        "period_start",
        "period_end",
        "canceled_at",
        "trial_end",
    }
)

POSITION = r"^[0-9]{1,15}/[01]/[^/\x00]{0,255}/[^\x00]{1,255}$"
# A place in a list as text: digits that every database's integers hold, and no NUL, which none takes.

View = dict[str, Any]  # one JSON object


class SeveralObjects(LookupError):
    """Several objects' ids begin like that."""

    def __init__(self, prefix: str, some: Sequence[str]) -> None:
        super().__init__(f"{prefix} is how the ids of several objects begin: {', '.join(some)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which objects to list. Unset fields do not filter."""

    kind: str | None = None
    state: str | None = None
    customer: str | None = None
    currency: str | None = None
    livemode: bool | None = None
    since: float | None = None  # Unix seconds, inclusive, of Stripe's clock
    until: float | None = None  # Unix seconds, exclusive
    after: "Position | None" = None
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in the list: what comes after this object. As text, it is one word."""

    at: int  # Unix seconds
    livemode: bool
    account: str
    id: str

    def __str__(self) -> str:
        return f"{self.at}/{self.livemode:d}/{self.account}/{self.id}"

    @classmethod
    def read(cls, text: str) -> "Position":
        """Read what `str` made, and what has the form of `POSITION`."""
        at, livemode, account, object_id = text.split("/", 3)
        return cls(at=int(at), livemode=livemode == "1", account=account, id=object_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One object: ids are unique within an account and a mode only."""

    account: str  # '' is our own
    livemode: bool
    id: str

    def __str__(self) -> str:
        whose = f" of {self.account}" if self.account else ""
        return f"{self.id}{whose}{'' if self.livemode else ' (test)'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shelf:
    """One of the book's tables, in the words that all of them have in common."""

    table: Table
    rows: FromClause
    kind: ColumnElement[str]
    state: ColumnElement[str]
    at: ColumnElement[int]
    customers: tuple[ColumnElement[str], ...]  # the first one that says anything is whose it is
    reason: ColumnElement[str]
    links: Mapping[str, ColumnElement[str]]

    @property
    def customer(self) -> ColumnElement[str]:
        """Whose it is."""
        return func.coalesce(*self.customers) if len(self.customers) > 1 else self.customers[0]

    @property
    def columns(self) -> list[ColumnElement[Any]]:
        """What a list shows."""
        of = self.table.c
        return [
            of.account.label("account"),
            of.livemode.label("livemode"),
            of.id.label("id"),
            self.kind.label("kind"),
            self.state.label("state"),
            of.amount.label("amount"),
            of.currency.label("currency"),
            self.customer.label("customer"),
            self.reason.label("reason"),
            self.at.label("at"),
        ]


_ITS_PAYMENT = payments.alias("its_payment")


def _with_payment(table: Table) -> FromClause:
    """Join the payment that something belongs to: what does, mostly does not say whose it is."""
    same = [_ITS_PAYMENT.c[name] == table.c[name] for name in ("account", "livemode")]
    return table.outerjoin(_ITS_PAYMENT, and_(*same, _ITS_PAYMENT.c.id == table.c.payment_intent))


_SHELVES = (
    _Shelf(
        table=payments,
        rows=payments,
        kind=literal("payment"),
        state=payments.c.status,
        at=payments.c.version_created,
        customers=(payments.c.customer,),
        reason=payments.c.failure_code,
        links={"charge": payments.c.latest_charge, "invoice": payments.c.invoice},
    ),
    _Shelf(
        table=refunds,
        rows=_with_payment(refunds),
        kind=literal("refund"),
        state=func.coalesce(refunds.c.status, ""),
        at=refunds.c.version_created,
        customers=(_ITS_PAYMENT.c.customer,),
        reason=func.coalesce(refunds.c.failure_reason, refunds.c.reason),
        links={"payment_intent": refunds.c.payment_intent, "charge": refunds.c.charge},
    ),
    _Shelf(
        table=disputes,
        rows=_with_payment(disputes),
        kind=literal("dispute"),
        state=disputes.c.status,
        at=disputes.c.version_created,
        customers=(_ITS_PAYMENT.c.customer,),
        reason=disputes.c.reason,
        links={"payment_intent": disputes.c.payment_intent, "charge": disputes.c.charge},
    ),
    _Shelf(
        table=objects,
        rows=_with_payment(objects),
        kind=objects.c.kind,
        state=objects.c.state,
        at=objects.c.reached_at,
        customers=(objects.c.customer, _ITS_PAYMENT.c.customer),
        reason=func.coalesce(objects.c.failure_code, objects.c.reason),
        links={name: objects.c[name] for name in LINKS},
    ),
)

_OWN_KINDS = {"payment": payments, "refund": refunds, "dispute": disputes}


def list_objects(db: Connection, wanted: Wanted) -> list[View]:
    """List objects, those first that came to where they stand last."""
    return [_view(row) for row in _newest(db, wanted)]


def page_of_objects(db: Connection, wanted: Wanted, *, limit: int) -> tuple[list[View], Position | None]:
    """List as many at most, and say where the next page begins; None: this is the last one."""
    rows = _newest(db, replace(wanted, limit=limit + 1))
    shown = rows[:limit]
    last = shown[-1] if len(rows) > limit else None
    keys = ("at", "livemode", "account", "id")
    position = None if last is None else Position(**{name: last[name] for name in keys})
    return [_view(row) for row in shown], position


def _newest(db: Connection, wanted: Wanted) -> Sequence[RowMapping]:
    arms = [
        _matching(shelf, wanted, its).subquery()
        for shelf in _SHELVES
        if _may_hold(shelf, wanted.kind)
        for its in _ways_to(shelf, wanted.customer)
    ]
    found = union_all(*(select(arm) for arm in arms)).subquery()
    of = found.c
    newest = select(found).order_by(of.at.desc(), of.id, of.account, of.livemode).limit(wanted.limit)
    return db.execute(newest).mappings().all()


def _may_hold(shelf: _Shelf, kind: str | None) -> bool:
    return kind is None or shelf.table is _OWN_KINDS.get(kind, objects)


def _ways_to(shelf: _Shelf, customer: str | None) -> Iterator[list[ColumnElement[bool]]]:
    """Give each way in which something may be a customer's: each has an index, and all of them in one have none."""
    if customer is None:
        yield []
        return
    for number, column in enumerate(shelf.customers):
        yield [column == customer, *(earlier.is_(None) for earlier in shelf.customers[:number])]


def _matching(shelf: _Shelf, wanted: Wanted, its: Sequence[ColumnElement[bool]]) -> Select[Any]:
    """Select what matches in one table; of each table no more than are shown of all."""
    same: tuple[tuple[ColumnElement[Any], object], ...] = (
        (shelf.kind, wanted.kind),
        (shelf.state, wanted.state),
        (shelf.table.c.currency, wanted.currency),
        (shelf.table.c.livemode, wanted.livemode),
    )
    conditions = [*its, *(column == value for column, value in same if value is not None)]
    if wanted.since is not None:
        conditions.append(shelf.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(shelf.at < wanted.until)
    of = shelf.table.c
    if wanted.after is not None:
        after = wanted.after
        later = tuple_(of.id, of.account, of.livemode) > tuple_(after.id, after.account, after.livemode)
        conditions += [shelf.at <= after.at, or_(shelf.at < after.at, later)]
    statement = select(*shelf.columns).select_from(shelf.rows).where(*conditions)
    return statement.order_by(shelf.at.desc(), of.id, of.account, of.livemode).limit(wanted.limit)


def _view(row: RowMapping) -> View:
    view = {name: row[name] for name in ("id", "kind", "state", "amount", "currency", "customer", "reason")}
    return {**view, "account": row["account"] or None, "livemode": row["livemode"], "reached_at": rfc3339(row["at"])}


def find_object(db: Connection, address: str) -> Address | None:
    """Find an object by its id, our own account's first, or by how the id begins.

    Raises:
        SeveralObjects: several ids begin like this, or several accounts or modes have this one.

    """
    for way in (_is_our, _is, _begins):
        found = union_all(*(_named(shelf.table).where(way(shelf.table, address)) for shelf in _SHELVES)).subquery()
        rows = db.execute(select(found).order_by(found.c.id, found.c.account).limit(MAX_NAMED)).mappings().all()
        several = [Address(**row) for row in rows]
        if len(several) > 1:
            raise SeveralObjects(address, [str(each) for each in several])
        if several:
            return several[0]
    return None


def _is_our(table: Table, address: str) -> ColumnElement[bool]:
    return and_(table.c.account == "", table.c.livemode.in_([True, False]), _is(table, address))  # as the index has it


def _is(table: Table, address: str) -> ColumnElement[bool]:
    return table.c.id == address


def _begins(table: Table, address: str) -> ColumnElement[bool]:
    if len(address) < MIN_PREFIX_CHARS:
        return false()
    return func.substr(table.c.id, 1, len(address)) == address


def _named(table: Table) -> Select[Any]:
    return select(table.c.account, table.c.livemode, table.c.id)


def get_object(db: Connection, address: Address) -> View | None:
    """Give all that is known of one object: where it stands, what belongs to it, and how it came there."""
    for shelf in _SHELVES:
        its = _of(shelf, address)
        row = db.execute(its.where(shelf.table.c.id == address.id)).mappings().first()
        if row is not None:
            told, contested_by = told_of(db, account=address.account, livemode=address.livemode, object_id=address.id)
            return {
                **_view(row),
                **_facts(db, shelf.table, address),
                "related": [_view(each) for each in _related(db, shelf, address)],
                "contested_by": contested_by,
                "history": told,
            }
    return None


def _of(shelf: _Shelf, address: Address) -> Select[Any]:
    whose = (shelf.table.c.account == address.account, shelf.table.c.livemode == address.livemode)
    return select(*shelf.columns).select_from(shelf.rows).where(*whose)


def _facts(db: Connection, table: Table, address: Address) -> View:
    """Give what only its kind has."""
    whose = (table.c.account == address.account, table.c.livemode == address.livemode, table.c.id == address.id)
    row = dict(db.execute(select(table).where(*whose)).mappings().one())
    facts: View = {name: value for name, value in row.items() if name not in NOT_FACTS and name[:8] != "version_"}
    facts |= from_json(row["details"]) if "details" in row else {}
    return {name: rfc3339(value) if name in TIMES else value for name, value in sorted(facts.items())}


def _related(db: Connection, shelf: _Shelf, address: Address) -> list[RowMapping]:
    """Find what it belongs to, and what belongs to it."""
    links = db.execute(
        select(*shelf.links.values()).where(
            shelf.table.c.account == address.account,
            shelf.table.c.livemode == address.livemode,
            shelf.table.c.id == address.id,
        )
    ).one()
    named = [each for each in links if each is not None]
    found: list[RowMapping] = []
    for each in _SHELVES:
        back = [column == address.id for column in each.links.values()]
        statement = _of(each, address).where(or_(each.table.c.id.in_(named), *back), each.table.c.id != address.id)
        found += db.execute(statement.order_by(each.at, each.table.c.id).limit(MAX_RELATED)).mappings().all()
    return found
