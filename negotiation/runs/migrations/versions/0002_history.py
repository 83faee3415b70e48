"""What History lists without reading whole runs; publishing, forks and votes."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

NEW: list[sa.Column[Any]] = [
    sa.Column("published", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("title", sa.Text, nullable=False, server_default=""),
    sa.Column("forked_from", sa.String(64)),
    sa.Column("forked_turns", sa.Integer),
    sa.Column("outcome", sa.Text, nullable=False, server_default=""),
    sa.Column("utility_a", sa.Float),
    sa.Column("utility_b", sa.Float),
]


def upgrade() -> None:
    """Add the columns and fill them from what is stored."""
    with op.batch_alter_table("runs") as runs:
        for column in NEW:
            runs.add_column(column)
        runs.create_index("runs_by_publication", ["published", "created"])
        runs.create_index("runs_by_comparison", ["comparison"])
    op.create_table(
        "votes",
        sa.Column("comparison", sa.String(64), primary_key=True),
        sa.Column("voter", sa.String(64), primary_key=True),
        sa.Column("choice", sa.String(16), nullable=False),
        sa.Column("blind", sa.Boolean, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
    )
    _fill()


def downgrade() -> None:
    """Drop them."""
    op.drop_table("votes")
    with op.batch_alter_table("runs") as runs:
        runs.drop_index("runs_by_publication")
        runs.drop_index("runs_by_comparison")
        for column in NEW:
            runs.drop_column(column.name)


def _fill() -> None:
    runs = sa.table(
        "runs",
        *(sa.column(name, sa.JSON) for name in ("scenario", "agreement", "measures")),
        *(sa.column(name) for name in ("run_id", "title", "outcome", "utility_a", "utility_b")),
    )
    connection = op.get_bind()
    for row in connection.execute(sa.select(runs.c.run_id, runs.c.scenario, runs.c.agreement, runs.c.measures)).all():
        scenario, measures = _dict(row.scenario), _dict(row.measures)
        values = {
            "title": str(scenario.get("title", "")),
            "outcome": ", ".join(f"{name}: {value}" for name, value in _dict(row.agreement).items()),
            "utility_a": measures.get("utility_a"),
            "utility_b": measures.get("utility_b"),
        }
        connection.execute(runs.update().where(runs.c.run_id == row.run_id).values(**values))


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
