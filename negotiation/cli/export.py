"""The command that writes stored runs for other programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from negotiation.cli.common.base import Output, opened, say
from negotiation.cli.common.sources import HELP, runs_from
from negotiation.figures.counts import counted
from negotiation.runs.export import to_jsonl
from negotiation.runs.exports.columns import (
    MEASURED_TURN,
    RUN,
    Columns,
    Row,
    RunPlace,
    measured_turns,
    place_outside,
    run_row,
)
from negotiation.runs.exports.parquet import write_parquet
from negotiation.runs.record import Run
from negotiation.tournament.plan import Game
from negotiation.tournament.provenance import played_with
from negotiation.tournament.store import TournamentStore

app = typer.Typer()


@app.command()
def export(
    sources: Annotated[list[str], typer.Argument(metavar="RUN...", help=f"{HELP}.")],
    parquet: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write runs.parquet and turns.parquet to a folder.")
    ] = None,
    inspect: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write Inspect logs to a folder, one per pair of agents and seating."),
    ] = None,
    page: Annotated[
        str | None, typer.Option(metavar="URL", help="Address of the page, for the links to replays in those logs.")
    ] = None,
) -> int:
    """Print stored runs as JSON Lines, or write them as Parquet or as Inspect logs.

    JSON Lines have everything that is stored of a run, except whose it is, whether it is published, and which run a
    published one continues. `reproduce` reads them.
    """
    if page is not None and inspect is None:
        raise typer.BadParameter("use it with --inspect", param_hint="--page")
    with opened() as parley:
        found = runs_from(parley, sources)
        games = TournamentStore(parley.store).games_of(run.run_id for run in found)
        address = page or f"http://127.0.0.1:{parley.settings.port}/"
    places = {run.run_id: _place(run, games.get(run.run_id)) for run in found}
    if parquet is not None:
        _write_tables(parquet, found, places)
    if inspect is not None:
        from negotiation.runs.exports.inspect_log import write_logs  # needs the extra `inspect`

        for path in write_logs(inspect, found, address, places):
            say(f"{path}: written")
    if parquet is None and inspect is None:
        with Output(None) as out:
            out.write(None, lines=[line.removesuffix("\n") for line in to_jsonl(found)])
    return 0


def _place(run: Run, played: tuple[str, Game] | None) -> RunPlace:
    if played is None:
        return place_outside(run)
    tournament_id, game = played
    return RunPlace(tournament_id, {"a": game.a, "b": game.b})


def _write_tables(folder: Path, runs: list[Run], places: Mapping[str, RunPlace]) -> None:
    labels = [places[run.run_id].labels for run in runs]
    games = [Game(run.scenario.scenario_id, it["a"], it["b"], run.seed) for run, it in zip(runs, labels, strict=True)]
    about = played_with(zip(games, (run.provenance for run in runs), strict=True)).to_metadata()
    tables: dict[Path, tuple[Columns, Iterator[Row]]] = {
        folder / "runs.parquet": (RUN, (run_row(run, places[run.run_id]) for run in runs)),
        folder / "turns.parquet": (MEASURED_TURN, (row for run in runs for row in measured_turns(run))),
    }
    write_parquet(tables, about)
    say(f"{folder}: {counted(len(runs), 'run')} written")
