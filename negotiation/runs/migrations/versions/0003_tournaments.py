"""Tournaments and their games."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "tournaments",
        sa.Column("tournament_id", sa.String(64), primary_key=True),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("owner", sa.String(64)),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("plan", sa.JSON, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("process", sa.String(200), nullable=False),
        sa.Column("heartbeat", sa.Float, nullable=False),
    )
    op.create_index("tournaments_by_time", "tournaments", ["created"])
    op.create_table(
        "games",
        sa.Column(
            "tournament_id",
            sa.String(64),
            sa.ForeignKey("tournaments.tournament_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("scenario_id", sa.String(64), primary_key=True),
        sa.Column("agent_a", sa.String(200), primary_key=True),
        sa.Column("agent_b", sa.String(200), primary_key=True),
        sa.Column("seed", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("moves", sa.String(64), nullable=False),
        sa.Column("run_id", sa.String(64), sa.ForeignKey("runs.run_id", ondelete="CASCADE"), nullable=False),
    )
    op.create_index("games_by_run", "games", ["run_id"])


def downgrade() -> None:
    """Drop both tables."""
    op.drop_table("games")
    op.drop_table("tournaments")
