"""The first ledger: events, deliveries, attempts, effects, rejected requests; the book of payments."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "disputes",
        sa.Column("account", sa.String(length=255), nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("payment_intent", sa.String(length=255), nullable=True),
        sa.Column("charge", sa.String(length=255), nullable=True),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=255), nullable=False),
        sa.Column("due_by", sa.BigInteger(), nullable=True),
        sa.Column("version_standing", sa.Integer(), nullable=False),
        sa.Column("version_created", sa.BigInteger(), nullable=False),
        sa.Column("version_rank", sa.Integer(), nullable=False),
        sa.Column("version_event", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("account", "livemode", "id", name=op.f("pk_disputes")),
    )
    op.create_index("ix_disputes_payment_intent", "disputes", ["payment_intent"], unique=False)
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("dedupe_key", sa.String(length=600), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=255), nullable=False),
        sa.Column("account", sa.String(length=255), nullable=True),
        sa.Column("livemode", sa.Boolean(), nullable=True),
        sa.Column("received_at", sa.Float(), nullable=False),
        sa.Column("content_type", sa.String(length=255), nullable=False),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("body_sha256", sa.String(length=64), nullable=False),
        sa.Column("secret_position", sa.Integer(), nullable=False),
        sa.Column("flaw", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sa.UniqueConstraint("source", "dedupe_key", name=op.f("uq_events_source_dedupe_key")),
    )
    op.create_index("ix_events_external_id", "events", ["external_id"], unique=False)
    op.create_index("ix_events_received_at", "events", ["received_at"], unique=False)
    op.create_table(
        "payments",
        sa.Column("account", sa.String(length=255), nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("amount_received", sa.BigInteger(), nullable=False),
        sa.Column("amount_refunded", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("customer", sa.String(length=255), nullable=True),
        sa.Column("status", sa.String(length=255), nullable=False),
        sa.Column("failure_code", sa.String(length=255), nullable=True),
        sa.Column("latest_charge", sa.String(length=255), nullable=True),
        sa.Column("version_standing", sa.Integer(), nullable=False),
        sa.Column("version_created", sa.BigInteger(), nullable=False),
        sa.Column("version_rank", sa.Integer(), nullable=False),
        sa.Column("version_event", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("account", "livemode", "id", name=op.f("pk_payments")),
    )
    op.create_table(
        "probes",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_probes")),
    )
    op.create_table(
        "refunds",
        sa.Column("account", sa.String(length=255), nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("payment_intent", sa.String(length=255), nullable=True),
        sa.Column("charge", sa.String(length=255), nullable=True),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("status", sa.String(length=255), nullable=True),
        sa.Column("reason", sa.String(length=255), nullable=True),
        sa.Column("failure_reason", sa.String(length=255), nullable=True),
        sa.Column("version_standing", sa.Integer(), nullable=False),
        sa.Column("version_created", sa.BigInteger(), nullable=False),
        sa.Column("version_rank", sa.Integer(), nullable=False),
        sa.Column("version_event", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("account", "livemode", "id", name=op.f("pk_refunds")),
    )
    op.create_index("ix_refunds_payment_intent", "refunds", ["payment_intent"], unique=False)
    op.create_table(
        "channels",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("channel_id", sa.String(length=255), nullable=True),
        sa.Column("paused_until", sa.Float(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_channels")),
    )
    op.create_table(
        "requests",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("received_at", sa.Float(), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("path", sa.String(length=255), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("body_size", sa.BigInteger(), nullable=True),
        sa.Column("body_sha256", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_requests")),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("event_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("handler", sa.String(length=255), nullable=False),
        sa.Column("queue", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("due_at", sa.Float(), nullable=False),
        sa.Column("trigger", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("first_attempt_at", sa.Float(), nullable=True),
        sa.Column("crashes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("announcements", sa.Integer(), server_default="0", nullable=False),
        sa.Column("overdue_at", sa.Float(), nullable=True),
        sa.Column("token", sa.String(length=64), nullable=True),
        sa.Column("beat", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("started_at", sa.Float(), nullable=True),
        sa.Column("finished_at", sa.Float(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('pending', 'queued', 'running', 'failed', 'done', 'dead', 'dismissed')",
            name=op.f("ck_deliveries_state"),
        ),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_deliveries_event_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("event_id", "handler", name=op.f("uq_deliveries_event_id_handler")),
    )
    op.create_index(
        "ix_deliveries_dead",
        "deliveries",
        ["handler"],
        unique=False,
        sqlite_where=sa.text("state = 'dead'"),
        postgresql_where=sa.text("state = 'dead'"),
    )
    op.create_index(
        "ix_deliveries_queued",
        "deliveries",
        ["overdue_at", "queue"],
        unique=False,
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index(
        "ix_deliveries_running",
        "deliveries",
        ["token"],
        unique=False,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_index(
        "ix_deliveries_waiting",
        "deliveries",
        ["queue", "due_at"],
        unique=False,
        sqlite_where=sa.text("state IN ('pending', 'failed')"),
        postgresql_where=sa.text("state IN ('pending', 'failed')"),
    )
    op.create_table(
        "attempts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("delivery_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("trigger", sa.String(length=16), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=False),
        sa.Column("finished_at", sa.Float(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_attempts_delivery_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempts")),
    )
    op.create_index("ix_attempts_delivery_id", "attempts", ["delivery_id"], unique=False)
    op.create_table(
        "effects",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("event_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("delivery_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.String(length=600), nullable=False),
        sa.Column("channel", sa.String(length=255), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("planned_at", sa.Float(), nullable=False),
        sa.Column("due_at", sa.Float(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("first_attempt_at", sa.Float(), nullable=True),
        sa.Column("lost_answers", sa.Integer(), server_default="0", nullable=False),
        sa.Column("token", sa.String(length=64), nullable=True),
        sa.Column("beat", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("started_at", sa.Float(), nullable=True),
        sa.Column("finished_at", sa.Float(), nullable=True),
        sa.Column("channel_id", sa.String(length=255), nullable=True),
        sa.Column("ts", sa.String(length=64), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('planned', 'sending', 'sent', 'ambiguous', 'kept', 'dead')", name=op.f("ck_effects_state")
        ),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_effects_delivery_id")),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_effects_event_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_effects")),
        sa.UniqueConstraint("key", name=op.f("uq_effects_key")),
    )
    op.create_index(
        "ix_effects_dead",
        "effects",
        ["id"],
        unique=False,
        sqlite_where=sa.text("state = 'dead'"),
        postgresql_where=sa.text("state = 'dead'"),
    )
    op.create_index(
        "ix_effects_due",
        "effects",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("state IN ('planned', 'ambiguous')"),
        postgresql_where=sa.text("state IN ('planned', 'ambiguous')"),
    )
    op.create_index("ix_effects_event_id", "effects", ["event_id"], unique=False)
    op.create_index(
        "ix_effects_sending",
        "effects",
        ["token"],
        unique=False,
        sqlite_where=sa.text("state = 'sending'"),
        postgresql_where=sa.text("state = 'sending'"),
    )


def downgrade() -> None:
    """Drop all tables, and with them every event."""
    op.drop_index(
        "ix_effects_sending",
        table_name="effects",
        sqlite_where=sa.text("state = 'sending'"),
        postgresql_where=sa.text("state = 'sending'"),
    )
    op.drop_index("ix_effects_event_id", table_name="effects")
    op.drop_index(
        "ix_effects_due",
        table_name="effects",
        sqlite_where=sa.text("state IN ('planned', 'ambiguous')"),
        postgresql_where=sa.text("state IN ('planned', 'ambiguous')"),
    )
    op.drop_index(
        "ix_effects_dead",
        table_name="effects",
        sqlite_where=sa.text("state = 'dead'"),
        postgresql_where=sa.text("state = 'dead'"),
    )
    op.drop_table("effects")
    op.drop_index("ix_attempts_delivery_id", table_name="attempts")
    op.drop_table("attempts")
    op.drop_index(
        "ix_deliveries_waiting",
        table_name="deliveries",
        sqlite_where=sa.text("state IN ('pending', 'failed')"),
        postgresql_where=sa.text("state IN ('pending', 'failed')"),
    )
    op.drop_index(
        "ix_deliveries_running",
        table_name="deliveries",
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
    op.drop_index(
        "ix_deliveries_queued",
        table_name="deliveries",
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.drop_index(
        "ix_deliveries_dead",
        table_name="deliveries",
        sqlite_where=sa.text("state = 'dead'"),
        postgresql_where=sa.text("state = 'dead'"),
    )
    op.drop_table("deliveries")
    op.drop_table("requests")
    op.drop_table("channels")
    op.drop_index("ix_refunds_payment_intent", table_name="refunds")
    op.drop_table("refunds")
    op.drop_table("probes")
    op.drop_table("payments")
    op.drop_index("ix_events_received_at", table_name="events")
    op.drop_index("ix_events_external_id", table_name="events")
    op.drop_table("events")
    op.drop_index("ix_disputes_payment_intent", table_name="disputes")
    op.drop_table("disputes")
