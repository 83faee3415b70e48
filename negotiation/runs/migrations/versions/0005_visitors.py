"""Visitors by a digest of the secret in their cookie, which was stored until now."""

from collections.abc import Iterable

import sqlalchemy as sa
from alembic import op

from negotiation.runs.owners import without_secret

revision = "0005"
down_revision = "0004"

COLUMNS = (("runs", "owner"), ("tournaments", "owner"), ("votes", "voter"))


def upgrade() -> None:
    """Replace secrets by their digests."""
    for table, column in COLUMNS:
        name: sa.ColumnClause[str] = sa.column(column)
        stored = sa.table(table, name)
        for secret in _different(stored, name):
            op.execute(stored.update().where(name == secret).values({column: without_secret(secret)}))


def downgrade() -> None:
    """Leave the digests: nobody can turn them back, and earlier versions take any text for a visitor."""


def _different(table: sa.TableClause, name: "sa.ColumnClause[str]") -> Iterable[str]:
    return [found for found in op.get_bind().execute(sa.select(name).distinct()).scalars() if found is not None]
