"""Look at the book: lists of objects, and all that is known of one of them. Reads only."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic_core import from_json

from handlers.payments.names import LINKS
from handlers.payments.told import told_of
from ledger.question import Asked, Clause, Row, all_of, first, rows, up_to
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
    """One of the book's tables, in the words that all of them have in common: all of it is SQL."""

    table: str
    kind: str
    state: str
    at: str
    customers: tuple[str, ...]  # the first one that says anything is whose it is
    reason: str
    links: tuple[str, ...]

    @property
    def rows(self) -> str:
        """Name the table, with the payment that something belongs to: what does, mostly does not say whose it is."""
        if self.table == "payments":
            return self.table
        names = (("account", "account"), ("livemode", "livemode"), ("id", "payment_intent"))
        same = " AND ".join(f"its_payment.{its} = {self.table}.{ours}" for its, ours in names)
        return f"{self.table} LEFT JOIN payments AS its_payment ON {same}"

    @property
    def columns(self) -> str:
        """What a list shows."""
        customer = f"coalesce({', '.join(self.customers)})" if len(self.customers) > 1 else self.customers[0]
        of = self.table
        return f"""
            {of}.account AS account, {of}.livemode AS livemode, {of}.id AS id, {self.kind} AS kind,
            {self.state} AS state, {of}.amount AS amount, {of}.currency AS currency, {customer} AS customer,
            {self.reason} AS reason, {self.at} AS at
        """

    @property
    def order(self) -> str:
        """Those first that came to where they stand last."""
        return f"{self.at} DESC, {self.table}.id, {self.table}.account, {self.table}.livemode"


_SHELVES = (
    _Shelf(
        table="payments",
        kind="'payment'",
        state="payments.status",
        at="payments.version_created",
        customers=("payments.customer",),
        reason="payments.failure_code",
        links=("latest_charge", "invoice"),
    ),
    _Shelf(
        table="refunds",
        kind="'refund'",
        state="coalesce(refunds.status, '')",
        at="refunds.version_created",
        customers=("its_payment.customer",),
        reason="coalesce(refunds.failure_reason, refunds.reason)",
        links=("payment_intent", "charge"),
    ),
    _Shelf(
        table="disputes",
        kind="'dispute'",
        state="disputes.status",
        at="disputes.version_created",
        customers=("its_payment.customer",),
        reason="disputes.reason",
        links=("payment_intent", "charge"),
    ),
    _Shelf(
        table="objects",
        kind="objects.kind",
        state="objects.state",
        at="objects.reached_at",
        customers=("objects.customer", "its_payment.customer"),
        reason="coalesce(objects.failure_code, objects.reason)",
        links=LINKS,
    ),
)

_OWN_KINDS = {"payment": "payments", "refund": "refunds", "dispute": "disputes"}


def list_objects(db: Asked, wanted: Wanted) -> list[View]:
    """List objects, those first that came to where they stand last."""
    return [_view(row) for row in _newest(db, wanted)]


def page_of_objects(db: Asked, wanted: Wanted, *, limit: int) -> tuple[list[View], Position | None]:
    """List as many at most, and say where the next page begins; None: this is the last one."""
    rows = _newest(db, replace(wanted, limit=limit + 1))
    shown = rows[:limit]
    last = shown[-1] if len(rows) > limit else None
    keys = ("at", "livemode", "account", "id")
    position = None if last is None else Position(**{name: last[name] for name in keys})
    return [_view(row) for row in shown], position


def _newest(db: Asked, wanted: Wanted) -> Sequence[Row]:
    most = up_to(wanted.limit)
    arms = [
        _matching(shelf, wanted, its)
        for shelf in _SHELVES
        if _may_hold(shelf, wanted.kind)
        for its in _ways_to(shelf, wanted.customer)
    ]
    # Of each table no more than are shown of all.
    found = " UNION ALL ".join(
        f"SELECT * FROM ({arm.text} {most.text}) AS arm_{number}" for number, arm in enumerate(arms)
    )
    text = f"SELECT * FROM ({found}) AS found ORDER BY at DESC, id, account, livemode {most.text}"
    return rows(db, text, {**all_of(arms).values, **most.values})


def _may_hold(shelf: _Shelf, kind: str | None) -> bool:
    return kind is None or shelf.table == _OWN_KINDS.get(kind, "objects")


def _ways_to(shelf: _Shelf, customer: str | None) -> Iterator[list[Clause]]:
    """Give each way in which something may be a customer's: each has an index, and all of them in one have none."""
    if customer is None:
        yield []
        return
    for number, column in enumerate(shelf.customers):
        earlier = [Clause(f"{each} IS NULL") for each in shelf.customers[:number]]
        yield [Clause(f"{column} = :customer", {"customer": customer}), *earlier]


def _matching(shelf: _Shelf, wanted: Wanted, its: Sequence[Clause]) -> Clause:
    """Select what matches in one table."""
    same = (
        (shelf.kind, "kind", wanted.kind),
        (shelf.state, "state", wanted.state),
        (f"{shelf.table}.currency", "currency", wanted.currency),
        (f"{shelf.table}.livemode", "livemode", wanted.livemode),
    )
    clauses = [
        *its,
        *(Clause(f"{column} = :{name}", {name: value}) for column, name, value in same if value is not None),
    ]
    if wanted.since is not None:
        clauses.append(Clause(f"{shelf.at} >= :since", {"since": wanted.since}))
    if wanted.until is not None:
        clauses.append(Clause(f"{shelf.at} < :until", {"until": wanted.until}))
    if wanted.after is not None:
        clauses.append(_after(shelf, wanted.after))
    matching = all_of(clauses)
    text = f"SELECT {shelf.columns} FROM {shelf.rows} WHERE {matching.text} ORDER BY {shelf.order}"
    return Clause(text, matching.values)


def _after(shelf: _Shelf, position: Position) -> Clause:
    key = f"({shelf.table}.id, {shelf.table}.account, {shelf.table}.livemode)"
    later = f"{key} > (:after_id, :after_account, :after_livemode)"
    return Clause(
        f"{shelf.at} <= :after_at AND ({shelf.at} < :after_at OR {later})",
        {
            "after_at": position.at,
            "after_id": position.id,
            "after_account": position.account,
            "after_livemode": position.livemode,
        },
    )


def _view(row: Row) -> View:
    view = {name: row[name] for name in ("id", "kind", "state", "amount", "currency", "customer", "reason")}
    mode = {"account": row["account"] or None, "livemode": bool(row["livemode"])}
    return {**view, **mode, "reached_at": rfc3339(row["at"])}


def find_object(db: Asked, address: str) -> Address | None:
    """Find an object by its id, our own account's first, or by how the id begins.

    Raises:
        SeveralObjects: several ids begin like this, or several accounts or modes have this one.

    """
    begins = "substr(id, 1, :chars) = :address" if len(address) >= MIN_PREFIX_CHARS else "FALSE"
    for way in (_IS_OUR, "id = :address", begins):
        found = " UNION ALL ".join(f"SELECT account, livemode, id FROM {shelf.table} WHERE {way}" for shelf in _SHELVES)
        text = f"SELECT account, livemode, id FROM ({found}) AS found ORDER BY id, account LIMIT {MAX_NAMED}"
        several = [
            Address(account=row["account"], livemode=bool(row["livemode"]), id=row["id"])
            for row in rows(db, text, {"address": address, "chars": len(address)})
        ]
        if len(several) > 1:
            raise SeveralObjects(address, [str(each) for each in several])
        if several:
            return several[0]
    return None


_IS_OUR = "account = '' AND livemode IN (TRUE, FALSE) AND id = :address"  # as the index has it


def get_object(db: Asked, address: Address) -> View | None:
    """Give all that is known of one object: where it stands, what belongs to it, and how it came there."""
    for shelf in _SHELVES:
        its = _of(shelf, address, f"{shelf.table}.id = :id")
        row = first(db, its.text, its.values)
        if row is not None:
            told, contested_by = told_of(db, account=address.account, livemode=address.livemode, object_id=address.id)
            known = _known(db, shelf, address)
            return {
                **_view(row),
                **_facts(known),
                "related": [_view(each) for each in _related(db, address, [known[link] for link in shelf.links])],
                "contested_by": contested_by,
                "history": told,
            }
    return None


def _of(shelf: _Shelf, address: Address, condition: str) -> Clause:
    """Select what a list shows of some things in the same account and mode."""
    whose = f"{shelf.table}.account = :account AND {shelf.table}.livemode = :livemode"
    text = f"SELECT {shelf.columns} FROM {shelf.rows} WHERE {whose} AND ({condition})"
    return Clause(text, _key(address))


def _key(address: Address) -> dict[str, Any]:
    return {"account": address.account, "livemode": address.livemode, "id": address.id}


def _known(db: Asked, shelf: _Shelf, address: Address) -> Row:
    whose = "account = :account AND livemode = :livemode AND id = :id"
    [row] = rows(db, f"SELECT * FROM {shelf.table} WHERE {whose}", _key(address))
    return row


def _facts(row: Row) -> View:
    """Give what only its kind has."""
    facts: View = {name: value for name, value in row.items() if name not in NOT_FACTS and name[:8] != "version_"}
    facts |= from_json(row["details"]) if "details" in row else {}
    return {name: rfc3339(value) if name in TIMES else value for name, value in sorted(facts.items())}


def _related(db: Asked, address: Address, links: Sequence[str | None]) -> list[Row]:
    """Find what it belongs to, which its links name, and what belongs to it."""
    named = {f"link_{number}": each for number, each in enumerate(links) if each is not None}
    found: list[Row] = []
    for shelf in _SHELVES:
        here = [f"{shelf.table}.id = :{name}" for name in named]
        back = [f"{shelf.table}.{link} = :id" for link in shelf.links]
        its = _of(shelf, address, " OR ".join([*here, *back]))
        others = f"{its.text} AND {shelf.table}.id <> :id ORDER BY {shelf.at}, {shelf.table}.id LIMIT {MAX_RELATED}"
        found += rows(db, others, {**its.values, **named})
    return found
