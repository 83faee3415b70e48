"""The command that writes stored runs for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from negotiation.cli.base import Output, opened, say
from negotiation.cli.sources import HELP, runs_from
from negotiation.runs.columns import MEASURED_TURN, RUN, measured_turns, run_row
from negotiation.runs.export import to_jsonl
from negotiation.runs.parquet import write_parquet
from negotiation.runs.record import Run
from negotiation.tournament.plan import Game
from negotiation.tournament.provenance import played_with

app = typer.Typer()


@app.command()
def export(
    sources: Annotated[list[str], typer.Argument(metavar="RUN...", help=f"{HELP}.")],
    parquet: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write runs.parquet and turns.parquet to a folder.")
    ] = None,
    inspect: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write logs of Inspect to a folder, one for each two agents.")
    ] = None,
    page: Annotated[
        str | None, typer.Option(metavar="URL", help="Address of the page, for the links to replays in those logs.")
    ] = None,
) -> int:
    """Print stored runs as JSON Lines, or write them as Parquet or as logs of Inspect.

    JSON Lines have everything that is stored of a run except its owner; `reproduce` reads them.
    """
    if page is not None and inspect is None:
        raise typer.BadParameter("use it with --inspect", param_hint="--page")
    with opened() as parley:
        found = [run for source in sources for run in runs_from(parley, source)]
        address = page or f"http://127.0.0.1:{parley.settings.port}/"
    if parquet is not None:
        _write_tables(parquet, found)
    if inspect is not None:
        from negotiation.runs.inspect_log import write_logs  # needs the extra `inspect`

        for path in write_logs(inspect, found, address):
            say(f"{path}: written")
    if parquet is None and inspect is None:
        with Output(None) as out:
            out.write(None, lines=[line.removesuffix("\n") for line in to_jsonl(found)])
    return 0


def _write_tables(folder: Path, runs: list[Run]) -> None:
    games = [Game(run.scenario.scenario_id, run.agents["a"].label, run.agents["b"].label, run.seed) for run in runs]
    about = played_with(zip(games, (run.provenance for run in runs), strict=True)).to_metadata()
    write_parquet(folder / "runs.parquet", RUN, map(run_row, runs), about)
    write_parquet(folder / "turns.parquet", MEASURED_TURN, (row for run in runs for row in measured_turns(run)), about)
    say(f"{folder}: {len(runs):,} runs written")
