"""Commands that run a tournament and print leaderboards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from manager.cancel import CancelToken
from manager.errors import ConfigError
from negotiation.agents.purse import LIMIT, Purse
from negotiation.app.parley import Parley
from negotiation.batch.executor import Executor, Threads
from negotiation.cli.common.base import Json, Output, one_line, opened, say
from negotiation.cli.common.own_keys import AskKey, CostLimit, KeyVariables, OwnKeys, spent, wait_for_listing
from negotiation.comparison import votes as vote_ratings
from negotiation.comparison.votes import preferences
from negotiation.families.people import People
from negotiation.figures.bradley_terry import Place
from negotiation.figures.points import points
from negotiation.figures.statistics import Interval
from negotiation.runs.exports.parquet import write_parquet
from negotiation.tournament import runner as tournament
from negotiation.tournament.leaderboard import MEASURES, Leaderboard, Placing, Standing
from negotiation.tournament.leaderboard_export import COLUMNS as TABLE
from negotiation.tournament.leaderboard_export import describe, table, to_csv
from negotiation.tournament.leaderboard_latex import to_latex
from negotiation.tournament.leaderboard_markdown import to_markdown
from negotiation.tournament.plan import Game, Tournament
from negotiation.tournament.plan_file import named_models, read_tournament, resolve
from negotiation.tournament.runner import GameProgress
from negotiation.tournament.store import TournamentRow, TournamentStore

Runner = Literal["local", "ray"]
STOPPED = "stopped by its owner"

COLUMNS = {
    "agreement": "agreement %",
    "surplus_when_agreed": "pts. if agreed",
    "pareto": "pareto %",
    "welfare": "welfare %",
    "rational": "rational %",
    "invalid": "invalid %",
}
LEGEND = (
    "points: mean over opponents and scenarios; 0 is no deal, 100 the best deal that the other side could accept",
    "these scenarios: 95 % interval and rank, were these games played again with other seeds",
    "like these: the same, were other scenarios of this kind played; = shares a rank, as no difference is certain",
    "agreement: negotiations with a deal; pareto: deals that no other deal beats for both sides",
    "welfare: joint points, of the most possible; rational: results no worse than no deal; invalid: invalid replies",
)

app = typer.Typer()


@app.command("tournament")
def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML file, like configs/tournaments/example.yaml.")],
    resume: Annotated[bool, typer.Option("--resume", help="Continue, playing only what is missing.")] = False,
    executor: Annotated[Runner, typer.Option(help="Run on this machine, or on a Ray cluster.")] = "local",
    api_key: KeyVariables = None,
    ask_api_key: AskKey = False,
    cost_limit: CostLimit = LIMIT,
    json: Json = None,
) -> int:
    """Run a tournament and print its leaderboard.

    The exit status is 1 if games failed or the tournament was stopped.
    """
    with Output(json) as out, opened() as parley:
        store = TournamentStore(parley.store)
        given = read_tournament(file)
        wait_for_listing(parley.catalog, named_models(given))
        families = parley.settings.config_file("families")
        asked = resolve(given, parley.catalog, parley.scenarios, str(file), families)
        keys = OwnKeys(api_key or (), ask_api_key, cost_limit)
        payer = keys.payer(parley.catalog, asked.agents.values(), asked.size)
        if payer.credential is not None and executor != "local":
            raise ConfigError("--executor: models on your own key run on this machine only, because the key stays here")
        purse, cancel = Purse(payer), CancelToken()
        tournament_id = tournament.begin(asked, store, resume=resume)
        max_loaded = parley.settings.app.max_loaded_models
        say(f"tournament {tournament_id}: at most {asked.size} negotiations")
        with _executor(executor, parley, asked, purse) as pool, _progress() as show:
            playing = tournament.run(
                asked,
                tournament_id,
                store,
                parley.catalog,
                pool,
                max_loaded=max_loaded,
                cancel=cancel,
                cancelled=lambda: str(purse.trouble or STOPPED),
            )
            with closing(playing):
                for progress in playing:
                    show(progress)
                    if purse.trouble is not None:  # it can be resumed once more can be paid for
                        cancel.cancel()
        spent(payer, purse.spent)
        row = store.get(tournament_id)
        board = Leaderboard(row.tournament, store.games(tournament_id))
        out.write(describe(row, board, store.played_with(tournament_id)), lines_of(row, board))
    return 0 if row.status == "done" and not board.failed else 1


@app.command()
def leaderboard(
    tournament_id: Annotated[
        str | None, typer.Argument(metavar="TOURNAMENT_ID", help="ID of the tournament; by default the newest.")
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print a CSV table.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print a Markdown page that names the commit and machine.")
    ] = False,
    latex: Annotated[bool, typer.Option("--latex", help="Print tables for a paper in LaTeX.")] = False,
    votes: Annotated[bool, typer.Option("--votes", help="Print people's preferences in blind votes.")] = False,
    parquet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the table of --csv, with types, to a Parquet file.")
    ] = None,
    json: Json = None,
) -> int:
    """Print the leaderboard of a tournament."""
    if csv + markdown + latex + votes + (parquet is not None) > 1:
        options = "--csv", "--markdown", "--latex", "--votes", "--parquet"
        raise typer.BadParameter("use only one of them", param_hint=options)
    if votes:
        return _print_votes(json)
    with opened() as parley:
        store = TournamentStore(parley.store)
        row = store.get(tournament_id) if tournament_id else store.latest()
        if row is None:
            raise ConfigError("there is no tournament yet; run one with `parley tournament FILE`")
        board = Leaderboard(row.tournament, store.games(row.tournament_id))
        played = store.played_with(row.tournament_id)
        lines = lines_of(row, board)
        if csv:
            lines = to_csv(board).splitlines()
        elif markdown:
            lines = to_markdown(
                row, board, store.span(row.tournament_id), preferences(parley.store), played
            ).splitlines()
        elif latex:
            lines = to_latex(row, board, played).splitlines()
        elif parquet is not None:
            about = {"tournament_id": row.tournament_id, "title": row.tournament.title, **played.to_metadata()}
            write_parquet({parquet: (TABLE, table(board))}, about)
            lines = [f"{parquet}: written"]
        with Output(json) as out:
            out.write(describe(row, board, played), lines)
    return 0


def _print_votes(json: str | None) -> int:
    with opened() as parley, Output(json) as out:
        rows = preferences(parley.store)
        width = max(len(name) for name in ["agent", *(row.agent for row in rows)])
        lines = [f"{'rank':>4}  {'agent':{width}}  {'rating':>19}  {'won':>5} {'drawn':>5} {'lost':>5}"]
        for row in rows:
            rank, rating = _placed(row.place)
            tally = f"{row.tally.wins:>5} {row.tally.draws:>5} {row.tally.losses:>5}"
            lines.append(f"{rank:>4}  {row.agent:{width}}  {rating:>19}  {tally}")
        none = ["there are no blind votes yet on lanes that differ in one agent"]
        out.write(vote_ratings.to_json(rows), lines if rows else none)
    return 0


@app.command()
def tournaments(json: Json = None) -> int:
    """List the tournaments, newest first."""
    with opened() as parley, Output(json) as out:
        rows = TournamentStore(parley.store).newest()
        listed = [{"tournament_id": r.tournament_id, "title": r.title, "status": r.status} for r in rows]
        out.write(listed, [f"{row['tournament_id']} {row['status']:12} {row['title']}" for row in listed])
    return 0


@contextmanager
def _executor(kind: Runner, parley: Parley, asked: Tournament, purse: Purse) -> Iterator[Executor]:
    slots = asked.limits.at_once
    if kind == "local":
        yield Threads(parley.catalog, slots, purse=purse)
        return
    from negotiation.batch.ray_executor import WorkerSettings, ray_workers  # needs the extra `ray`

    app, models = parley.settings.app, [config.agent for config in asked.agents.values()]
    listed = parley.manager.list_models()
    settings = WorkerSettings(
        specs=tuple(parley.manager.spec(name) for name in dict.fromkeys(models) if name in listed),
        max_loaded_models=app.max_loaded_models,
        budgets={device: int(gigabytes * 1e9) for device, gigabytes in app.memory_budget.items()},
        max_queue=app.max_queue,
        max_wait=app.max_wait_seconds,
        cache_dir=str(parley.settings.cache),
    )
    with ray_workers(settings, slots) as executor:
        yield executor


@contextmanager
def _progress() -> Iterator[Callable[[GameProgress], None]]:
    """Give a function that shows progress: a bar on a terminal, else a line per failure and per tenth."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _say_progress
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"))
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("negotiations", total=None, left="")

        def show(progress: GameProgress) -> None:
            if progress.status != "done":
                bar.console.print(_failure(progress), markup=False, highlight=False)
            left = _left(progress.seconds_left)
            bar.update(task, completed=progress.done + progress.failed, total=progress.total, left=left)

        yield show


def _say_progress(progress: GameProgress) -> None:
    if progress.status != "done":
        say(_failure(progress))
        return
    step = max(1, progress.total // 10)
    if progress.done % step == 0 or progress.done == progress.total:
        say(f"{progress.done}/{progress.total} {_left(progress.seconds_left)}")


def _failure(progress: GameProgress) -> str:
    return f"{progress.status}: {_matchup(progress.game)}: {one_line(progress.run.reason)}"


def _matchup(game: Game) -> str:
    return f"{game.scenario_id}, {game.a} against {game.b}, seed {game.seed}"


def _left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"about {minutes // 60} h {minutes % 60} min left" if minutes >= 60 else f"about {minutes}:{rest:02} left"


def lines_of(row: TournamentRow, board: Leaderboard) -> list[str]:
    """Return a leaderboard as lines of text."""
    people = row.tournament.people
    width = max(len(name) for name in ["agent", *row.tournament.agents, *([people.label] if people else [])])
    several = any(standing.like_these for standing in board.standings)
    scopes = ["these scenarios", "like these"] if several else ["these scenarios"]
    header = f"{'agent':{width}}  {'points':>6}  " + "  ".join(
        [*(f"{scope:>15} {'rank':>5}" for scope in scopes), f"{'games':>5}", *(f"{COLUMNS[m]:>14}" for m in MEASURES)]
    )
    lines = [f"{row.tournament.title} ({row.tournament_id}): {row.status} {row.reason}".rstrip(), header]
    lines += [_standing(standing, width) for standing in board.standings]
    if people is not None:
        lines.append(_people(people, width, len(scopes)))
    lines += LEGEND
    lines += [] if people is None else [people.note]
    if short := board.too_short_for_micro:
        lines.append(f"micro: the deadline ends it before it could agree with itself in {', '.join(short)}")
    return lines + [f"failed: {_matchup(played.game)}: {one_line(played.reason)}" for played in board.failed]


def _standing(row: Standing, width: int) -> str:
    mean = "" if row.these.surplus is None else points(row.these.surplus.mean)
    scopes = [_scope(placing) for placing in (row.these, row.like_these) if placing is not None]
    measures = [f"{_short(row.measures[name]):>14}" for name in MEASURES]
    return f"{row.agent:{width}}  {mean:>6}  " + "  ".join([*scopes, f"{row.games:>5}", *measures])


def _people(people: People, width: int, scopes: int) -> str:
    found = people.interval
    ends = [f"[{points(found.low)}, {points(found.high)}]", *[""] * (scopes - 1)]
    measures = [f"{points(people.measures[name]) if name in people.measures else '':>14}" for name in MEASURES]
    placed = [f"{each:>15} {'':>5}" for each in ends]
    return f"{people.label:{width}}  {points(found.mean):>6}  " + "  ".join(
        [*placed, f"{people.negotiations:>5}", *measures]
    )


def _scope(placing: Placing) -> str:
    found, rank = placing.surplus, f"{placing.rank}{'=' if placing.tied else ''}"
    ends = "" if found is None else f"[{points(found.low)}, {points(found.high)}]"
    return f"{ends:>15} {rank:>5}"


def _placed(place: Place) -> tuple[str, str]:
    rating = place.rating
    return f"{place.rank}{'=' if place.tied else ''}", f"{rating.mean:5.0f} [{rating.low:5.0f}, {rating.high:5.0f}]"


def _short(interval: Interval | None) -> str:
    if interval is None:
        return ""
    mean, low, high = (points(value) for value in (interval.mean, interval.low, interval.high))
    return f"{mean} [{low}, {high}]"
