"""Replays are rows, with what they run; and a dismissal keeps who, when and why."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Only add: the version before this one works beside it."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "replays",
        sa.Column("id", number, nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("who", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("chosen", sa.Text(), nullable=False),
        sa.Column("states", sa.Text(), nullable=False),
        sa.Column("again", sa.Boolean(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("cursor", sa.Integer(), nullable=False),
        sa.Column("finished_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replays")),
    )
    op.create_table(
        "replay_items",
        sa.Column("replay_id", number, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("event_id", number, nullable=False),
        sa.Column("handler", sa.String(length=255), nullable=False),
        sa.Column("queue", sa.String(length=64), nullable=False),
        sa.Column("delivery_id", number, nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.ForeignKeyConstraint(["replay_id"], ["replays.id"], name=op.f("fk_replay_items_replay_id")),
        sa.PrimaryKeyConstraint("replay_id", "position", name=op.f("pk_replay_items")),
    )
    op.create_table(
        "dismissals",
        sa.Column("id", number, nullable=False),
        sa.Column("delivery_id", number, nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("who", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_dismissals_delivery_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dismissals")),
    )
    op.create_index("ix_dismissals_delivery_id", "dismissals", ["delivery_id"])
    flawed = sa.text("flaw IS NOT NULL")
    op.create_index("ix_events_flawed", "events", ["id"], sqlite_where=flawed, postgresql_where=flawed)
    op.add_column("deliveries", sa.Column("replay_id", number, nullable=True))
    op.add_column("deliveries", sa.Column("again", sa.Boolean(), nullable=True))


def downgrade() -> None:
    """Take it back, and with it who replayed what."""
    op.drop_column("deliveries", "again")
    op.drop_column("deliveries", "replay_id")
    op.drop_index("ix_events_flawed", table_name="events")
    op.drop_table("dismissals")
    op.drop_table("replay_items")
    op.drop_table("replays")
