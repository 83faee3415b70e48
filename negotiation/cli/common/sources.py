"""What commands read runs from: their ids, the ids of tournaments, and files of exported runs."""

from __future__ import annotations

from collections.abc import Iterable

from manager.errors import ConfigError
from negotiation.app.parley import Parley
from negotiation.cli.common.base import runs_named
from negotiation.errors import UnknownRun, UnknownTournament
from negotiation.runs.record import Run
from negotiation.tournament.store import TournamentStore

HELP = "IDs of runs or tournaments, or files of exported runs"


def runs_from(parley: Parley, sources: Iterable[str]) -> list[Run]:
    """Return the runs that sources name, with their turns, each once; raise ConfigError if one names nothing."""
    return list({run.run_id: run for source in sources for run in _runs_of(parley, source)}.values())


def _runs_of(parley: Parley, source: str) -> list[Run]:
    """Return the runs that a source names, with their turns; raise ConfigError if there is no such source."""
    try:
        return runs_named(parley, source)
    except UnknownRun:
        try:
            return runs_of_tournament(parley, source)
        except UnknownTournament:
            raise ConfigError(f"{source[:80]}: there is no run, tournament or file of this name") from None


def runs_of_tournament(parley: Parley, tournament_id: str) -> list[Run]:
    """Return the runs of a tournament, with their turns; raise UnknownTournament."""
    store = TournamentStore(parley.store)
    store.get(tournament_id)
    return [parley.store.run(played.run_id) for played in store.games(tournament_id)]
