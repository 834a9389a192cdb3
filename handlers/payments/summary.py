"""What became of money in a span of time, by currency: taken, failed, refunded, disputed, paid out. Reads only.

Times are Stripe's, not ours: of the event that brought an object where it stands. An object counts once, as it stands
now: a payment that failed and was taken later is taken. Sums are of one currency each; test money is never added to
real money.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Integer, Select, Table, and_, func, literal, or_, select

from handlers.payments.tables import disputes, payments, refunds

HALF_BITS = 32
# A sum of many amounts may be more than the database's own integers hold, so their halves are added up.

NOT_REFUNDED = ("failed", "canceled")
INQUIRIES = ("warning_needs_response", "warning_under_review", "warning_closed", "prevented")
# An inquiry takes no money back yet, and what was prevented never did.


@dataclass(frozen=True, slots=True)
class Sum:
    """How many, and how much together, in the currency's smallest unit."""

    count: int = 0
    amount: int = 0


NOTHING = Sum()


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """What became of the money of one currency.

    Attributes:
        currency: as Stripe spells it (lower case).
        taken: payments that succeeded: what was received.
        failed: payments whose last try failed: what was asked for.
        refunded: refunds, but those that came back.
        disputed: disputes, but inquiries.
        paid_out: payouts that arrived.
        fees: what Stripe kept, of payments and disputes settled in this currency; None where nothing is known.
        net: what is left of the same; None where nothing is known.

    """

    currency: str
    taken: Sum = NOTHING
    failed: Sum = NOTHING
    refunded: Sum = NOTHING
    disputed: Sum = NOTHING
    paid_out: Sum = NOTHING
    fees: int | None = None
    net: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How much stands in one state."""

    kind: str  # payment, refund, dispute, …
    state: str
    currency: str | None
    count: int
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureCode:
    """Why payments failed, and how many."""

    code: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One span of time.

    Attributes:
        since: Unix seconds, inclusive.
        until: Unix seconds, exclusive.
        livemode: real money, or test money.
        by_currency: sorted by currency; only those in which something happened.
        by_state: every object that came to its state in this time, by kind, state and currency.
        failure_codes: of the payments whose last try failed, the most frequent first.

    """

    since: float
    until: float
    livemode: bool
    by_currency: tuple[Money, ...]
    by_state: tuple[Standing, ...]
    failure_codes: tuple[FailureCode, ...]

    def of(self, currency: str) -> Money:
        """Give one currency's sums; all nothing where nothing happened in it."""
        return next((each for each in self.by_currency if each.currency == currency), Money(currency=currency))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """Which objects are looked at."""

    since: float
    until: float
    livemode: bool
    account: str | None

    def holds(self, table: Table) -> ColumnElement[bool]:
        conditions = [
            table.c.version_created >= self.since,
            table.c.version_created < self.until,
            table.c.livemode == self.livemode,
        ]
        if self.account is not None:
            conditions.append(table.c.account == self.account)
        return and_(*conditions)


def summarise(
    db: Connection, *, since: float, until: float, livemode: bool = True, account: str | None = None
) -> Summary:
    """Sum up what became of payments, refunds, disputes and payouts from `since` until before `until`.

    Args:
        db: a transaction that reads.
        since: Unix seconds, inclusive, of Stripe's clock.
        until: Unix seconds, exclusive.
        livemode: real money, or test money.
        account: only this connected account; '' is our own, None all of them.

    """
    span = _Span(since=since, until=until, livemode=livemode, account=account)
    return Summary(
        since=since,
        until=until,
        livemode=livemode,
        by_currency=tuple(_by_currency(db, span)),
        by_state=tuple(_by_state(db, span)),
        failure_codes=tuple(_failure_codes(db, span)),
    )


_TRY_FAILED = and_(payments.c.status == "requires_payment_method", payments.c.failure_code.is_not(None))

# What is summed up, by the name of its field: the amount's column and which rows count.
_SUMS: tuple[tuple[str, Column[int], ColumnElement[bool]], ...] = (
    ("taken", payments.c.amount_received, payments.c.status == "succeeded"),
    ("failed", payments.c.amount, _TRY_FAILED),
    ("refunded", refunds.c.amount, or_(refunds.c.status.is_(None), refunds.c.status.not_in(NOT_REFUNDED))),
    ("disputed", disputes.c.amount, disputes.c.status.not_in(INQUIRIES)),
)

_KINDS = {"payment": payments, "refund": refunds, "dispute": disputes}


def _by_currency(db: Connection, span: _Span) -> Iterator[Money]:
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for name, amount, counts in _SUMS:
        rows = db.execute(_summed(amount, [amount.table.c.currency], and_(span.holds(amount.table), counts)))
        for row in rows:
            found[row.currency][name] = Sum(row.number, _whole(row))
    for currency in sorted(found):
        yield Money(currency=currency, **found[currency])


def _by_state(db: Connection, span: _Span) -> Iterator[Standing]:
    for kind, table in _KINDS.items():
        columns = [func.coalesce(table.c.status, "").label("state"), table.c.currency]
        rows = db.execute(_summed(table.c.amount, columns, span.holds(table))).all()
        for row in sorted(rows, key=lambda each: (each.state, each.currency)):
            yield Standing(kind=kind, state=row.state, currency=row.currency, count=row.number, amount=_whole(row))


def _failure_codes(db: Connection, span: _Span) -> Sequence[FailureCode]:
    code = payments.c.failure_code
    statement = select(code, func.count().label("number")).where(span.holds(payments), _TRY_FAILED).group_by(code)
    return _ranked(FailureCode(code=row.failure_code, count=row.number) for row in db.execute(statement))


def _ranked(codes: Iterable[FailureCode]) -> list[FailureCode]:
    return sorted(codes, key=lambda each: (-each.count, each.code))


def _summed(amount: Column[int], by: Sequence[ColumnElement[Any]], counts: ColumnElement[bool]) -> Select[Any]:
    low = literal(2**HALF_BITS - 1)
    return (
        select(
            *by,
            func.count().label("number"),
            func.sum(amount.bitwise_rshift(literal(HALF_BITS, Integer))).label("high"),
            func.sum(amount.bitwise_and(low)).label("low"),
        )
        .where(counts)
        .group_by(*by)
    )


def _whole(row: Any) -> int:  # noqa: ANN401  # a row of no fixed shape
    return (int(row.high or 0) << HALF_BITS) + int(row.low or 0)
