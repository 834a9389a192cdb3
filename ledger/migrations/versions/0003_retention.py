"""Retention at a bearable price: an index that deletes need, and a vacuum that comes in time."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

LIVE_TABLES = ("events", "deliveries", "attempts", "effects")

VACUUM_OFTEN = "autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02"
# PostgreSQL's own 20 % of a table of millions is a lot of dead rows to carry along.


def upgrade() -> None:
    """Only add: the version before this one works beside it."""
    # Each delivery that is deleted is looked for among the effects.
    op.create_index("ix_effects_delivery_id", "effects", ["delivery_id"])
    if op.get_bind().dialect.name == "postgresql":
        for table in LIVE_TABLES:
            op.execute(sa.text(f"ALTER TABLE {table} SET ({VACUUM_OFTEN})"))


def downgrade() -> None:
    """Take it back."""
    op.drop_index("ix_effects_delivery_id", "effects")
    if op.get_bind().dialect.name == "postgresql":
        for table in LIVE_TABLES:
            names = "autovacuum_vacuum_scale_factor, autovacuum_analyze_scale_factor"
            op.execute(sa.text(f"ALTER TABLE {table} RESET ({names})"))
