"""The book of all that a finance team cares about, with the history of each object."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

LINKS = ("payment_intent", "charge", "invoice", "subscription")

NEW_COLUMNS: tuple[tuple[str, str, Any], ...] = (
    ("payments", "invoice", sa.String(length=255)),
    ("refunds", "made_at", sa.BigInteger()),
    ("disputes", "made_at", sa.BigInteger()),
    ("disputes", "fee", sa.BigInteger()),
    ("disputes", "net", sa.BigInteger()),
    ("disputes", "settled_currency", sa.String(length=3)),
)


def upgrade() -> None:
    """Only add: the version before this one works beside it."""
    for table, name, kind in NEW_COLUMNS:
        op.add_column(table, sa.Column(name, kind, nullable=True))
    # On a large ledger it is built before the deploy, without a lock: docs/decisions/0016.
    op.create_index("ix_payments_version_created", "payments", ["version_created"], if_not_exists=True)
    op.create_table(
        "objects",
        sa.Column("account", sa.String(length=255), nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=255), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("customer", sa.String(length=255), nullable=True),
        sa.Column("failure_code", sa.String(length=255), nullable=True),
        sa.Column("reason", sa.String(length=255), nullable=True),
        *(sa.Column(name, sa.String(length=255), nullable=True) for name in LINKS),
        sa.Column("fee", sa.BigInteger(), nullable=True),
        sa.Column("net", sa.BigInteger(), nullable=True),
        sa.Column("settled_currency", sa.String(length=3), nullable=True),
        sa.Column("made_at", sa.BigInteger(), nullable=True),
        sa.Column("reached_at", sa.BigInteger(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("trace", sa.Text(), nullable=False),
        sa.Column("version_standing", sa.Integer(), nullable=False),
        sa.Column("version_created", sa.BigInteger(), nullable=False),
        sa.Column("version_rank", sa.Integer(), nullable=False),
        sa.Column("version_event", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("account", "livemode", "id", name=op.f("pk_objects")),
    )
    op.create_index("ix_objects_reached_at", "objects", ["reached_at"])
    for name in (*LINKS, "customer"):
        known = sa.text(f"{name} IS NOT NULL")
        op.create_index(f"ix_objects_{name}", "objects", [name], sqlite_where=known, postgresql_where=known)
    op.create_table(
        "history",
        sa.Column("account", sa.String(length=255), nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("object_id", sa.String(length=255), nullable=False),
        sa.Column("event", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=255), nullable=False),
        sa.Column("standing", sa.Integer(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.Float(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account", "livemode", "object_id", "event", name=op.f("pk_history")),
    )


def downgrade() -> None:
    """Take it back, and with it all that is known of charges, invoices, subscriptions and payouts."""
    op.drop_table("history")
    op.drop_table("objects")
    op.drop_index("ix_payments_version_created", table_name="payments")
    for table, name, _ in reversed(NEW_COLUMNS):
        op.drop_column(table, name)
