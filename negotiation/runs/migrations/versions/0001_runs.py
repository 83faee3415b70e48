"""Runs and their turns."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "runs",
        sa.Column("run_id", sa.String(64), primary_key=True),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("owner", sa.String(64)),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("process", sa.String(200), nullable=False),
        sa.Column("heartbeat", sa.Float, nullable=False),
        sa.Column("scenario_id", sa.String(64), nullable=False),
        sa.Column("scenario", sa.JSON, nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("agent_a", sa.String(100), nullable=False),
        sa.Column("agent_b", sa.String(100), nullable=False),
        sa.Column("agents", sa.JSON, nullable=False),
        sa.Column("comparison", sa.String(64)),
        sa.Column("lane", sa.Integer),
        sa.Column("ending", sa.String(16)),
        sa.Column("ended_by", sa.String(1)),
        sa.Column("agreement", sa.JSON),
        sa.Column("measures", sa.JSON),
    )
    op.create_index("runs_by_owner", "runs", ["owner", "created"])
    op.create_index("runs_by_time", "runs", ["created"])
    op.create_index("runs_by_status", "runs", ["status"])
    op.create_table(
        "turns",
        sa.Column("run_id", sa.String(64), sa.ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("index", sa.Integer, primary_key=True),
        sa.Column("turn", sa.JSON, nullable=False),
    )


def downgrade() -> None:
    """Drop both tables."""
    op.drop_table("turns")
    op.drop_table("runs")
