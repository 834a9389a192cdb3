"""What became of money in a span of time, by currency: taken, failed, refunded, disputed, paid out. Reads only.

Times are Stripe's, not ours: of the event that brought a payment or payout where it stands, and when a refund or
dispute was made. An object counts once, as it stands now: a payment that failed and was taken later is taken. Sums are
of one currency and one account each; test money is never added to real money.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Integer,
    Select,
    Table,
    and_,
    case,
    func,
    literal,
    or_,
    select,
)

from handlers.payments import lifecycle
from handlers.payments.tables import disputes, objects, payments, refunds
from ledger.shown import View, rfc3339

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

    def __add__(self, other: "Sum") -> "Sum":
        return Sum(self.count + other.count, self.amount + other.amount)


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
        settled: charges and disputes that were settled in this currency and whose fees are known: what they changed
            in our balance, fees included. Stripe's events mostly name a settlement without saying what it came to.
        fees: what Stripe took for these; None where nothing is known.

    """

    currency: str
    taken: Sum = NOTHING
    failed: Sum = NOTHING
    refunded: Sum = NOTHING
    disputed: Sum = NOTHING
    paid_out: Sum = NOTHING
    settled: Sum = NOTHING
    fees: int | None = None

    @property
    def net(self) -> int | None:
        """What `settled` came to; None where nothing is known."""
        return self.settled.amount if self.settled.count else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How much stands in one state."""

    kind: str  # payment, refund, dispute, …
    state: str
    currency: str | None
    count: int
    amount: int | None  # None where none of them has an amount


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
        account: whose: a connected account; None is our own.
        by_currency: sorted by currency; only those in which something happened.
        by_state: every object that came to its state in this time, by kind, state and currency.
        failure_codes: of the payments whose last try failed, the most frequent first.

    """

    since: float
    until: float
    livemode: bool
    account: str | None
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

    def holds(self, at: ColumnElement[int], table: Table) -> ColumnElement[bool]:
        conditions = [at >= self.since, at < self.until, table.c.livemode == self.livemode]
        if table is payments:
            conditions.append(table.c.version_created >= self.since)  # nothing is older than this: for the index
        if self.account is not None:
            conditions.append(table.c.account == self.account)
        return and_(*conditions)


OWN = ""
# What the book calls our own account.


def summarise(db: Connection, *, since: float, until: float, livemode: bool = True, account: str = OWN) -> Summary:
    """Sum up what became of one account's money, as `summaries` does."""
    found = summaries(db, since=since, until=until, livemode=livemode, account=account)
    return found[0]


def summaries(
    db: Connection, *, since: float, until: float, livemode: bool = True, account: str | None = None
) -> list[Summary]:
    """Sum up what became of payments, refunds, disputes and payouts from `since` until before `until`.

    Args:
        db: a transaction that reads.
        since: Unix seconds, inclusive, of Stripe's clock.
        until: Unix seconds, exclusive.
        livemode: real money, or test money.
        account: only this connected account; OWN is our own, None each of them.

    Returns:
        One of each account in which something happened, our own first: what two accounts have is nobody's sum. Where
        nothing happened, one that says so, of the account that was asked for or of our own.

    """
    span = _Span(since=since, until=until, livemode=livemode, account=account)
    by_currency, by_state, codes = _by_currency(db, span), _by_state(db, span), _failure_codes(db, span)
    accounts = sorted({*by_currency, *by_state, *codes}) or [account or OWN]
    return [
        Summary(
            since=since,
            until=until,
            livemode=livemode,
            account=each or None,
            by_currency=tuple(by_currency.get(each, ())),
            by_state=tuple(by_state.get(each, ())),
            failure_codes=tuple(_ranked(codes.get(each, ()))),
        )
        for each in accounts
    ]


def summary_view(found: Summary) -> View:
    """Show one as a JSON object."""
    by_currency = [{**asdict(each), "net": each.net} for each in found.by_currency]
    return {**asdict(found), "since": rfc3339(found.since), "until": rfc3339(found.until), "by_currency": by_currency}


_TRY_FAILED = and_(
    payments.c.status == "requires_payment_method",
    # Not every failure has a code.
    or_(
        payments.c.failure_code.is_not(None),
        payments.c.version_rank == lifecycle.PAYMENT.rank(lifecycle.TRY_FAILED),
    ),
)

_ITS_CHARGE = objects.alias("its_charge")
_CHARGED_AT = (
    select(_ITS_CHARGE.c.made_at)
    .where(
        _ITS_CHARGE.c.account == payments.c.account,
        _ITS_CHARGE.c.livemode == payments.c.livemode,
        _ITS_CHARGE.c.id == payments.c.latest_charge,
    )
    .correlate(payments)
    .scalar_subquery()
)
_PAID_AT = case(
    # Of a payment that only its refund told of, the event's time is the refund's: it was taken when it was charged.
    (
        payments.c.version_standing == int(lifecycle.Standing.CHARGE),
        func.coalesce(_CHARGED_AT, payments.c.version_created),
    ),
    else_=payments.c.version_created,
)

_MADE_AT = {
    refunds: func.coalesce(refunds.c.made_at, refunds.c.version_created),
    disputes: func.coalesce(disputes.c.made_at, disputes.c.version_created),
}
_REACHED_AT = {
    payments: _PAID_AT,
    refunds: refunds.c.version_created,
    disputes: disputes.c.version_created,
    objects: objects.c.reached_at,
}
_STATES = {
    payments: (literal("payment"), payments.c.status),
    refunds: (literal("refund"), func.coalesce(refunds.c.status, "")),
    disputes: (literal("dispute"), disputes.c.status),
    objects: (objects.c.kind, objects.c.state),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """What is summed up under one name, in one table."""

    name: str
    amount: Column[int]
    currency: Column[str]
    at: ColumnElement[int]
    counts: ColumnElement[bool]


_ROWS = (
    _Row(
        name="taken",
        amount=payments.c.amount_received,
        currency=payments.c.currency,
        at=_PAID_AT,
        counts=payments.c.status == "succeeded",
    ),
    _Row(
        name="failed",
        amount=payments.c.amount,
        currency=payments.c.currency,
        at=payments.c.version_created,
        counts=_TRY_FAILED,
    ),
    _Row(
        name="refunded",
        amount=refunds.c.amount,
        currency=refunds.c.currency,
        at=_MADE_AT[refunds],
        counts=or_(refunds.c.status.is_(None), refunds.c.status.not_in(NOT_REFUNDED)),
    ),
    _Row(
        name="disputed",
        amount=disputes.c.amount,
        currency=disputes.c.currency,
        at=_MADE_AT[disputes],
        counts=disputes.c.status.not_in(INQUIRIES),
    ),
    _Row(
        name="paid_out",
        amount=objects.c.amount,
        currency=objects.c.currency,
        at=objects.c.reached_at,
        counts=and_(objects.c.kind == "payout", objects.c.state == "paid"),
    ),
)

_SETTLED = tuple(
    _Row(name=name, amount=column, currency=table.c.settled_currency, at=at, counts=and_(known, counts))
    for table, at, counts in (
        (objects, objects.c.reached_at, and_(objects.c.kind == "charge", objects.c.state == "succeeded")),
        (disputes, _MADE_AT[disputes], disputes.c.status.is_not(None)),
    )
    for known in (and_(table.c.fee.is_not(None), table.c.net.is_not(None), table.c.settled_currency.is_not(None)),)
    for name, column in (("fees", table.c.fee), ("settled", table.c.net))
)


def _by_currency(db: Connection, span: _Span) -> dict[str, list[Money]]:
    found: dict[tuple[str, str], dict[str, Sum]] = defaultdict(lambda: defaultdict(Sum))
    for row in (*_ROWS, *_SETTLED):
        conditions = and_(span.holds(row.at, row.amount.table), row.counts, row.currency.is_not(None))
        by = [row.amount.table.c.account, row.currency]
        for account, currency, *parts in db.execute(_summed(row.amount, by, conditions)):
            found[account, currency][row.name] += _sum(*parts)
    of: dict[str, list[Money]] = defaultdict(list)
    for account, currency in sorted(found):
        sums: dict[str, Any] = dict(found[account, currency])
        fees = sums.pop("fees", None)
        of[account].append(Money(currency=currency, **sums, fees=fees.amount if fees else None))
    return of


def _by_state(db: Connection, span: _Span) -> dict[str, list[Standing]]:
    of: dict[str, list[Standing]] = defaultdict(list)
    for table, (kind, state) in _STATES.items():
        named = [table.c.account, kind.label("its_kind"), state.label("its_state"), table.c.currency]
        rows = db.execute(_summed(table.c.amount, named, span.holds(_REACHED_AT[table], table))).all()
        for account, its_kind, its_state, currency, *parts in sorted(rows, key=lambda each: tuple(map(str, each[:4]))):
            total = _sum(*parts)
            amount = total.amount if parts[1] is not None else None
            of[account].append(
                Standing(kind=its_kind, state=its_state, currency=currency, count=total.count, amount=amount)
            )
    return of


def _failure_codes(db: Connection, span: _Span) -> dict[str, list[FailureCode]]:
    account, code = payments.c.account, payments.c.failure_code
    statement = select(account, code, func.count().label("number")).where(
        span.holds(payments.c.version_created, payments), _TRY_FAILED, code.is_not(None)
    )
    of: dict[str, list[FailureCode]] = defaultdict(list)
    for row in db.execute(statement.group_by(account, code)):
        of[row.account].append(FailureCode(code=row.failure_code, count=row.number))
    return of


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


def _sum(count: int, high: int | None, low: int | None) -> Sum:
    return Sum(count, (int(high or 0) << HALF_BITS) + int(low or 0))
