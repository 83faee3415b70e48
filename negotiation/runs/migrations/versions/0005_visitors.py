"""Visitors by a digest of the secret in their cookie, which was stored until now."""

from collections.abc import Iterable

import sqlalchemy as sa
from alembic import op

from negotiation.runs.owners import without_secret

revision = "0005"
down_revision = "0004"

COLUMNS = (("runs", "owner"), ("tournaments", "owner"), ("votes", "voter"))


def upgrade() -> None:
    """Replace secrets by their digests. Of two votes, the one under the digest stays, as this version wrote it."""
    votes = sa.table("votes", sa.column("comparison"), sa.column("voter"))
    for voter in _different(votes, votes.c.voter):
        if (name := without_secret(voter)) != voter:
            counted = sa.select(votes.c.comparison).where(votes.c.voter == name).scalar_subquery()
            op.execute(votes.delete().where(votes.c.voter == voter, votes.c.comparison.in_(counted)))
    for table, column in COLUMNS:
        visitor: sa.ColumnClause[str] = sa.column(column)
        stored = sa.table(table, visitor)
        for secret in _different(stored, visitor):
            op.execute(stored.update().where(visitor == secret).values({column: without_secret(secret)}))


def downgrade() -> None:
    """Leave the digests: nobody can turn them back, and earlier versions take any text for a visitor."""


def _different(table: sa.TableClause, name: "sa.ColumnElement[str]") -> Iterable[str]:
    return [found for found in op.get_bind().execute(sa.select(name).distinct()).scalars() if found is not None]
