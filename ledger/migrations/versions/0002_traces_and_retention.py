"""Room for traces and for retention: where a request's trace goes on, and what is known of pruned events."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Only add: the version before this one works beside it."""
    op.add_column("events", sa.Column("traceparent", sa.String(length=64), nullable=True))
    op.add_column("events", sa.Column("payload_pruned_at", sa.Float(), nullable=True))
    op.create_table(
        "past_effects",
        sa.Column("key", sa.String(length=600), nullable=False),
        sa.Column("finished_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_past_effects")),
    )


def downgrade() -> None:
    """Give the room back."""
    op.drop_table("past_effects")
    op.drop_column("events", "payload_pruned_at")
    op.drop_column("events", "traceparent")
