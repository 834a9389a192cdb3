"""The book's tables: one row an object of Stripe's, as its latest event showed it.

Ids are only unique within an account and a mode, so both are part of every key; `account` is '' for our own.
Amounts are in the smallest unit of the currency beside them. The `version_` columns order the events of one
object, see `handlers.payments.book`. The partial indexes are in `handlers.payments.indexes`.
"""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, String, Table, Text

from handlers.payments.names import LINKS
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
    Column("invoice", String(NAME_CHARS)),  # known from older versions of Stripe's API only
    *_version(),
    Index("ix_payments_version_created", "version_created"),
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
    Column("made_at", BigInteger),  # Unix seconds; null where only an older version of Hookline wrote it
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
    Column("made_at", BigInteger),  # Unix seconds; null where only an older version of Hookline wrote it
    Column("fee", BigInteger),  # what Stripe took for it so far, in `settled_currency`
    Column("net", BigInteger),  # what it changed in our balance so far, fees included
    Column("settled_currency", String(3)),
    *_version(),
    Index("ix_disputes_payment_intent", "payment_intent"),
)

objects = Table(
    "objects",
    metadata,
    *_whose(),  # what has no id of its own is named after what it belongs to, see `handlers.payments.kinds`
    Column("kind", String(64), nullable=False),
    Column("state", String(NAME_CHARS), nullable=False),
    Column("amount", BigInteger),
    Column("currency", String(3)),
    Column("customer", String(NAME_CHARS)),
    Column("failure_code", String(NAME_CHARS)),
    Column("reason", String(NAME_CHARS)),
    *(Column(name, String(NAME_CHARS)) for name in LINKS),
    Column("fee", BigInteger),  # what Stripe took for it, in `settled_currency`
    Column("net", BigInteger),  # what it changed in our balance, fee included
    Column("settled_currency", String(3)),
    Column("made_at", BigInteger),  # Unix seconds
    Column("reached_at", BigInteger, nullable=False),  # Unix seconds; when it came to its state, as far as we know
    Column("details", Text, nullable=False),  # a JSON object: what else its kind has
    Column("trace", Text, nullable=False),  # a JSON object: which version each kept fact is of, and when states began
    *_version(),
    Index("ix_objects_reached_at", "reached_at"),
)

history = Table(
    "history",
    metadata,
    Column("account", String(NAME_CHARS), primary_key=True),
    Column("livemode", Boolean, primary_key=True),
    Column("object_id", String(NAME_CHARS), primary_key=True),
    Column("event", String(NAME_CHARS), primary_key=True),  # its external id; the event itself may have been pruned
    Column("kind", String(64), nullable=False),
    Column("type", String(NAME_CHARS), nullable=False),
    Column("standing", Integer, nullable=False),
    Column("created", BigInteger, nullable=False),  # Unix seconds
    Column("rank", Integer, nullable=False),
    Column("received_at", Float, nullable=False),  # Unix seconds
    Column("facts", Text, nullable=False),  # a JSON object: what the event said of the object
)
