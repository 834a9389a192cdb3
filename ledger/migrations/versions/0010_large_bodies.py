"""Large bodies are kept in pieces, so that nobody waits for one to be written."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Only add: the version before this one works beside it, but for the bodies in these tables."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "large_bodies",
        sa.Column("id", number, nullable=False),
        sa.Column("begun_at", sa.Float(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("event_id", number, nullable=True),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_large_bodies_event_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_large_bodies")),
        sa.UniqueConstraint("event_id", name=op.f("uq_large_bodies_event_id")),
    )
    op.create_table(
        "body_pieces",
        sa.Column("body_id", number, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["body_id"], ["large_bodies.id"], name=op.f("fk_body_pieces_body_id")),
        sa.PrimaryKeyConstraint("body_id", "number", name=op.f("pk_body_pieces")),
    )


def downgrade() -> None:
    """Take it back, and with it these bodies."""
    op.drop_table("body_pieces")
    op.drop_table("large_bodies")
