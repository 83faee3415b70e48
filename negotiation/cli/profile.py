"""The command that profiles how agents bargain."""

from __future__ import annotations

from typing import Annotated

import typer

from manager.errors import ConfigError
from negotiation.app.parley import Parley
from negotiation.behaviour import report
from negotiation.behaviour.profile import Profiles
from negotiation.behaviour.sides import observed
from negotiation.cli.common.base import Json, Output, opened
from negotiation.cli.common.sources import HELP, runs_from, runs_of_tournament
from negotiation.runs.record import Run
from negotiation.tournament.store import TournamentStore

app = typer.Typer()


@app.command()
def profile(
    sources: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN...]", help=f"{HELP}; by default the newest tournament.")
    ] = None,
    agent: Annotated[
        list[str] | None, typer.Option("--agent", metavar="AGENT", help="Only this agent. Repeatable.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown page.")] = False,
    json: Json = None,
) -> int:
    """Print how agents bargain: openings, concessions, false claims, broken promises, and what they could have gained.

    Every measure has 95 % intervals; docs/behaviour.md defines them all.
    """
    with opened() as parley, Output(json) as out:
        title, runs = _runs(parley, sources or [])
        profiles = Profiles([side for run in runs for side in observed(run)])
        if not profiles.sides:
            raise ConfigError(f"{title}: none of these runs has ended by its own rules")
        if unknown := [name for name in agent or () if name not in profiles.agents]:
            raise ConfigError(f"--agent: '{unknown[0]}' is none of the agents here: {', '.join(profiles.agents)}")
        chosen = agent or profiles.agents
        lines = report.to_markdown(profiles, chosen, title) if markdown else report.to_lines(profiles, chosen)
        out.write(report.to_json(profiles, chosen), lines)
    return 0


def _runs(parley: Parley, sources: list[str]) -> tuple[str, list[Run]]:
    """Return what is profiled in words, and its runs."""
    if sources:
        return ", ".join(sources), runs_from(parley, sources)
    latest = TournamentStore(parley.store).latest()
    if latest is None:
        raise ConfigError("there is no tournament yet; name runs, or files that `parley export` wrote")
    return latest.tournament.title, runs_of_tournament(parley, latest.tournament_id)
