"""What is looked for among very many: how an external id begins, on PostgreSQL, and a customer's payments.

PostgreSQL sorts words by the rules of some language, so that no ordinary index finds how one begins; SQLite's does.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

BEGINS, CUSTOMER = "ix_events_external_id_begins", "ix_payments_customer"


def upgrade() -> None:
    """Only add: the version before this one works beside it."""
    # On a large ledger both are built before the deploy, without a lock: docs/operations.md says how.
    if op.get_bind().dialect.name == "postgresql":
        op.create_index(
            BEGINS,
            "events",
            ["external_id"],
            postgresql_ops={"external_id": "text_pattern_ops"},
            if_not_exists=True,
        )
    known = sa.text("customer IS NOT NULL")
    op.create_index(CUSTOMER, "payments", ["customer"], sqlite_where=known, postgresql_where=known, if_not_exists=True)


def downgrade() -> None:
    """Take it back."""
    op.drop_index(CUSTOMER, "payments")
    op.drop_index(BEGINS, "events", if_exists=True)
