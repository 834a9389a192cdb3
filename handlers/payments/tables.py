"""The book's tables: one row an object of Stripe's, as its latest event showed it.

Ids are only unique within an account and a mode, so both are part of every key; `account` is '' for our own.
Amounts are in the smallest unit of the currency beside them. The `version_` columns order the events of one
object, see `handlers.payments.book`.
"""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table

from ledger.tables import NAME_CHARS, metadata


def _whose() -> tuple[Column[str], Column[bool], Column[str]]:
    return (
        Column("account", String(NAME_CHARS), primary_key=True),
        Column("livemode", Boolean, primary_key=True),
        Column("id", String(NAME_CHARS), primary_key=True),
    )


def _version() -> tuple[Column[int], Column[int], Column[int], Column[str]]:
    return (
        Column("version_standing", Integer, nullable=False),
        Column("version_created", BigInteger, nullable=False),  # Unix seconds
        Column("version_rank", Integer, nullable=False),
        Column("version_event", String(NAME_CHARS), nullable=False),
    )


payments = Table(
    "payments",
    metadata,
    *_whose(),  # the id of the payment intent, or of the charge where there is none
    Column("amount", BigInteger, nullable=False),
    Column("amount_received", BigInteger, nullable=False),
    Column("amount_refunded", BigInteger, nullable=False, server_default="0"),  # the most that a charge ever showed
    Column("currency", String(3), nullable=False),
    Column("customer", String(NAME_CHARS)),
    Column("status", String(NAME_CHARS), nullable=False),
    Column("failure_code", String(NAME_CHARS)),
    Column("latest_charge", String(NAME_CHARS)),
    *_version(),
)

refunds = Table(
    "refunds",
    metadata,
    *_whose(),
    Column("payment_intent", String(NAME_CHARS)),
    Column("charge", String(NAME_CHARS)),
    Column("amount", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("status", String(NAME_CHARS)),
    Column("reason", String(NAME_CHARS)),
    Column("failure_reason", String(NAME_CHARS)),
    *_version(),
    Index("ix_refunds_payment_intent", "payment_intent"),
)

disputes = Table(
    "disputes",
    metadata,
    *_whose(),
    Column("payment_intent", String(NAME_CHARS)),
    Column("charge", String(NAME_CHARS)),
    Column("amount", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("reason", String(NAME_CHARS), nullable=False),
    Column("status", String(NAME_CHARS), nullable=False),
    Column("due_by", BigInteger),  # Unix seconds; until then evidence counts
    *_version(),
    Index("ix_disputes_payment_intent", "payment_intent"),
)
