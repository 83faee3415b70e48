"""The commands that run a tournament and show its leaderboard."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from manager.errors import ConfigError
from negotiation import tournament
from negotiation.commands.base import Add, Output, one_line, opened, say
from negotiation.leaderboard import MEASURES, Leaderboard, Standing
from negotiation.leaderboard_export import to_csv, to_json
from negotiation.parley import Parley
from negotiation.pool import Executor, Threads
from negotiation.statistics import Interval
from negotiation.tournament import Progress
from negotiation.tournament_plan import Game, Tournament, load_tournament
from negotiation.tournament_store import TournamentRow, TournamentStore


def register(add: Add) -> None:
    """Add the commands of this module."""
    one = add("tournament", run, "run a tournament and print its leaderboard")
    one.add_argument("file", type=Path, metavar="FILE", help="like configs/tournaments/example.yaml")
    one.add_argument("--resume", action="store_true", help="go on with what was begun, playing what is missing")
    one.add_argument("--executor", choices=["local", "ray"], default="local", help="where negotiations are run")
    shown = add("leaderboard", leaderboard, "print the leaderboard of a tournament")
    shown.add_argument("tournament_id", nargs="?", help="default: the newest tournament")
    shown.add_argument("--csv", action="store_true", help="print a table for spreadsheets")
    add("tournaments", tournaments, "list the tournaments")


def run(options: argparse.Namespace) -> int:
    """Run a tournament; the exit status is 1 if games failed or it was stopped."""
    with Output(options.json) as out, opened() as parley:
        store = TournamentStore(parley.store)
        asked = load_tournament(options.file, parley.catalog, parley.scenarios)
        tournament_id = tournament.begin(asked, store, resume=options.resume)
        places = parley.settings.app.max_loaded_models
        say(f"tournament {tournament_id}: {asked.size} negotiations at most")
        with _executor(options.executor, parley, asked) as executor, _shown() as show:
            playing = tournament.run(asked, tournament_id, store, parley.catalog, executor, places=places)
            with closing(playing):
                for progress in playing:
                    show(progress)
        row = store.get(tournament_id)
        board = Leaderboard(row.tournament, store.games(tournament_id))
        out.write(describe(row, board), _lines(row, board))
    return 0 if row.status == "done" and not board.failed else 1


def leaderboard(options: argparse.Namespace) -> int:
    """Print the leaderboard of a tournament as it stands."""
    with opened() as parley:
        store = TournamentStore(parley.store)
        row = store.get(options.tournament_id) if options.tournament_id else store.latest()
        if row is None:
            raise ConfigError("there is no tournament yet; run one with `tournament FILE`")
        board = Leaderboard(row.tournament, store.games(row.tournament_id))
        lines = to_csv(board).splitlines() if options.csv else _lines(row, board)
        with Output(options.json) as out:
            out.write(describe(row, board), lines)
    return 0


def tournaments(options: argparse.Namespace) -> int:
    """List the tournaments, newest first."""
    with opened() as parley, Output(options.json) as out:
        rows = TournamentStore(parley.store).newest()
        listed = [{"tournament_id": r.tournament_id, "title": r.tournament.title, "status": r.status} for r in rows]
        out.write(listed, [f"{row['tournament_id']} {row['status']:12} {row['title']}" for row in listed])
    return 0


def describe(row: TournamentRow, board: Leaderboard) -> dict[str, Any]:
    """A tournament and its leaderboard as the command line prints them."""
    done = sum(played.status == "done" for played in board.games)
    return {
        "tournament_id": row.tournament_id,
        "title": row.tournament.title,
        "status": row.status,
        "reason": row.reason,
        "negotiations": row.tournament.size,
        "done": done,
        **to_json(board),
    }


@contextmanager
def _executor(kind: str, parley: Parley, asked: Tournament) -> Iterator[Executor]:
    slots = asked.limits.at_once
    if kind == "local":
        yield Threads(parley.catalog, slots)
        return
    from negotiation.cluster import WorkerSettings, ray_workers  # only who has the extra `ray` can import it

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
def _shown() -> Iterator[Any]:
    """A function that shows progress: a bar in a terminal, else a line for whatever fails and every tenth of it all."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _tell
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"))
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("negotiations", total=None, left="")

        def show(progress: Progress) -> None:
            if progress.status != "done":
                bar.console.print(_failure(progress), markup=False, highlight=False)
            left = _left(progress.seconds_left)
            bar.update(task, completed=progress.done + progress.failed, total=progress.total, left=left)

        yield show


def _tell(progress: Progress) -> None:
    if progress.status != "done":
        say(_failure(progress))
        return
    step = max(1, progress.total // 10)
    if progress.done % step == 0 or progress.done == progress.total:
        say(f"{progress.done}/{progress.total} {_left(progress.seconds_left)}")


def _failure(progress: Progress) -> str:
    return f"{progress.status}: {_who(progress.game)}: {one_line(progress.run.reason)}"


def _who(game: Game) -> str:
    return f"{game.scenario_id}, {game.a} against {game.b}, seed {game.seed}"


def _left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"about {minutes // 60} h {minutes % 60} min left" if minutes >= 60 else f"about {minutes}:{rest:02} left"


def _lines(row: TournamentRow, board: Leaderboard) -> list[str]:
    width = max(len(name) for name in ["agent", *row.tournament.agents])
    header = f"{'rank':>4}  {'agent':{width}}  {'rating':>19}  {'games':>5}  " + "  ".join(f"{m:>17}" for m in MEASURES)
    lines = [f"{row.tournament.title} ({row.tournament_id}): {row.status} {row.reason}".rstrip(), header]
    lines += [_standing(standing, width) for standing in board.standings]
    for played in board.failed:
        game = played.game
        lines.append(
            f"failed: {game.scenario_id}, {game.a} against {game.b}, seed {game.seed}: {one_line(played.reason)}"
        )
    return lines


def _standing(row: Standing, width: int) -> str:
    rank = f"{row.rank}{'=' if row.tied else ''}"
    rating = f"{row.rating.mean:5.0f} [{row.rating.low:5.0f}, {row.rating.high:5.0f}]"
    measures = "  ".join(f"{_short(row.measures[name]):>17}" for name in MEASURES)
    return f"{rank:>4}  {row.agent:{width}}  {rating:>19}  {row.games:>5}  {measures}"


def _short(interval: Interval | None) -> str:
    return "" if interval is None else f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]"
