"""Cases, messages that change, folding, and what Hookline watches itself by."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NEW_COLUMNS: dict[str, Any] = {
    "parent": sa.String(length=600),
    "may_repeat": sa.Boolean(),
    "held_until": sa.Float(),
    "alike": sa.String(length=255),
    "fold_at": sa.Integer(),
    "folded_into": sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
    "amount": sa.BigInteger(),
    "currency": sa.String(length=3),
    "customer": sa.String(length=255),
    "reason": sa.String(length=255),
}

PARTIAL = {
    "ix_effects_line": ("effects", ["channel", "due_at"], "state IN ('planned', 'ambiguous') AND folded_into IS NULL"),
    "ix_effects_folded_into": ("effects", ["folded_into"], "folded_into IS NOT NULL"),
    "ix_effects_parent": ("effects", ["parent"], "parent IS NOT NULL"),
    "ix_cases_open": ("cases", ["kind"], "state = 'open'"),
}


def upgrade() -> None:
    """Only add: the version before this one works beside it."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("effects", sa.Column("revision", sa.Integer(), server_default="0", nullable=False))
    for name, kind in NEW_COLUMNS.items():
        op.add_column("effects", sa.Column(name, kind, nullable=True))
    op.add_column("channels", sa.Column("next_at", sa.Float(), server_default="0", nullable=False))
    op.add_column("channels", sa.Column("pause_s", sa.Float(), nullable=True))
    op.create_table(
        "storms",
        sa.Column("channel", sa.String(length=255), nullable=False),
        sa.Column("alike", sa.String(length=255), nullable=False),
        sa.Column("effect_id", number, nullable=False),
        sa.Column("began_at", sa.Float(), nullable=False),
        sa.Column("last_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "alike", name=op.f("pk_storms")),
    )
    op.create_table(
        "cases",
        sa.Column("key", sa.String(length=600), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=255), nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=255), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("due_by", sa.Float(), nullable=True),
        sa.Column("facets", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.Float(), nullable=False),
        sa.Column("changed_at", sa.Float(), nullable=False),
        sa.Column("closed_at", sa.Float(), nullable=True),
        sa.Column("channel", sa.String(length=255), nullable=False),
        sa.Column("channel_id", sa.String(length=255), nullable=True),
        sa.Column("ts", sa.String(length=64), nullable=True),
        sa.Column("event_id", number, nullable=True),
        sa.Column("acknowledged_by", sa.String(length=64), nullable=True),
        sa.Column("acknowledged_at", sa.Float(), nullable=True),
        sa.Column("snoozed_until", sa.Float(), nullable=True),
        sa.Column("reminded_of", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_cases")),
    )
    op.create_table(
        "alarms",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("episode", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("told_at", sa.Float(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_alarms")),
    )
    op.create_table(
        "rhythms",
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("last_id", number, nullable=False),
        sa.Column("last_at", sa.Float(), nullable=False),
        sa.Column("gaps", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_rhythms")),
    )
    for name, (table, columns, condition) in PARTIAL.items():
        where = sa.text(condition)
        # On a large ledger what can be is built before the deploy, without a lock: docs/decisions/0016.
        op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where, if_not_exists=True)
    _know_the_channels()


def _know_the_channels() -> None:
    # What waits is found by its channel: also what was planned before.
    op.execute(
        sa.text(
            "INSERT INTO channels (name) SELECT DISTINCT channel FROM effects "
            "WHERE state IN ('planned', 'ambiguous', 'sending') "
            "AND NOT EXISTS (SELECT 1 FROM channels WHERE channels.name = effects.channel)",
        ),
    )


def downgrade() -> None:
    """Take it back: messages stay as they are, and nothing changes them any more."""
    for name, (table, _, _) in reversed(PARTIAL.items()):
        op.drop_index(name, table_name=table)
    for table in ("rhythms", "alarms", "cases", "storms"):
        op.drop_table(table)
    op.drop_column("channels", "pause_s")
    op.drop_column("channels", "next_at")
    for name in (*NEW_COLUMNS, "revision"):
        op.drop_column("effects", name)
