"""What runs were played with."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column; earlier runs have no provenance."""
    op.add_column("runs", sa.Column("provenance", sa.JSON))


def downgrade() -> None:
    """Drop it."""
    with op.batch_alter_table("runs") as runs:
        runs.drop_column("provenance")
