"""A leaderboard as a Markdown page (docs/leaderboard.md), with the commit and the machine it was written on."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from negotiation.comparison.votes import Preference
from negotiation.families.people import People
from negotiation.figures.bradley_terry import Place
from negotiation.figures.points import points
from negotiation.figures.statistics import Interval
from negotiation.scenario.model import SEATS
from negotiation.tournament.leaderboard import IN_POINTS, MEASURES, Cell, Leaderboard, Placing, Standing
from negotiation.tournament.provenance import PlayedWith
from negotiation.tournament.store import TournamentRow

NAMES = {
    "agreement": "deals",
    "surplus_when_agreed": "points per deal",
    "pareto": "Pareto-optimal deals",
    "welfare": "joint worth",
    "rational": "rational",
    "invalid": "invalid replies",
}
ABOUT = """\
Every two agents met on every scenario with the same seeds, in both seats where seats are mirrored. Agents are sorted by
their mean points over all opponents and scenarios, each counting equally: 0 is no deal, 100 the best deal that the
other side could accept. They are the share of negotiations with a deal times the points per deal. Brackets are 95 %
intervals. *These scenarios* is about playing these games again with other seeds, *like these* about other scenarios of
the same kind. A rank is 1 + the number of agents that are clearly ahead, with at most 5 % probability that any two
equal agents are told apart; `=` shares it. Intervals in the last columns are for scenarios like these.
[Tournaments](tournaments.md#reading-the-leaderboard) explains the columns."""


def to_markdown(
    row: TournamentRow,
    board: Leaderboard,
    span: tuple[float, float] | None,
    votes: Sequence[Preference],
    played_with: PlayedWith,
) -> str:
    """Return the page; `span` is when the first and the last negotiation began (seconds since 1970)."""
    asked, done = row.tournament, [played for played in board.games if played.status == "done"]
    agents = [row.agent for row in board.standings]
    seats = [each for played in done if played.measures for each in played.measures.seats.values()]
    facts = {
        "tournament": f"{asked.title} (`{row.tournament_id}`, {row.status})",
        "negotiations": f"{len(done):,} of {asked.size:,}, {len(board.failed)} failed",
        "agents, scenarios, seeds": f"{len(asked.agents)}, {len(asked.scenarios)}, {len(asked.seeds)}",
        "written by models": f"{sum(seat.tokens for seat in seats):,} tokens",
        "played": "" if span is None else f"first game started {_when(span[0])}, last game started {_when(span[1])}",
        **facts_of(played_with),
        "written at commit": commit(),
        "on": hardware(),
    }
    parts = [
        f"# Leaderboard: {asked.title}",
        "Written by `make leaderboard`; do not edit by hand.",
        _table(["", ""], ([name, value] for name, value in facts.items() if value)),
        ABOUT,
        *_deadlines(board),
        "## Standings",
        _standings(board.standings, asked.people),
        *([asked.people.note] if asked.people else []),
        "## By seat",
        _table(
            ["agent", *(f"points in seat {seat}" for seat in SEATS)],
            ([row.agent, *(_points(board.by_seat[row.agent][s]["surplus"]) for s in SEATS)] for row in board.standings),
        ),
        "## Against each other",
        "Mean points of the row's agent against the column's.",
        _cells({agent: board.by_opponent[agent] for agent in agents}, agents),
        "## By scenario",
        "Mean points of each agent on each scenario.",
        _turned({agent: board.by_agent_and_scenario[agent] for agent in agents}, list(asked.scenarios)),
    ]
    if board.failed:
        failures = (
            [played.game.scenario_id, played.game.a, played.game.b, str(played.game.seed), played.reason]
            for played in board.failed
        )
        parts += ["## Failed", _table(["scenario", "a", "b", "seed", "reason"], failures)]
    if votes:
        parts += ["## Blind votes", "The agents that people preferred, in the comparisons they watched.", _votes(votes)]
    return "\n\n".join(parts) + "\n"


def facts_of(found: PlayedWith) -> dict[str, str]:
    """Return what the games were played with; more than one entry where they were not played alike."""
    programs = [f"Parley {p.parley}, torch {p.torch}, transformers {p.transformers}" for p in found.programs]
    weights = [use.identity for uses in found.models.values() for use in uses]
    models = [
        " ".join(part for part in (it.model_name, it.revision or it.package or it.sha256, it.dtype) if part)
        for it in weights
    ]
    return {
        "prompt version": ", ".join(map(str, found.prompt_versions)) if found.models else "",
        "played with": "; ".join(dict.fromkeys(programs)),
        "models": "; ".join(dict.fromkeys(models)),
        "games without provenance": f"{found.unrecorded:,}" if found.unrecorded else "",
    }


def _deadlines(board: Leaderboard) -> list[str]:
    """Say in how many scenarios the deadline is too short to judge MiCRO."""
    short, scenarios = board.too_short_for_micro, board.tournament.scenarios
    if not short:
        return []
    return [
        f"**Deadlines.** In {len(short)} of {len(scenarios)} scenarios the deadline ends `micro` before it could agree "
        f"even with itself, for which it would need {min(short.values()):,} to {max(short.values()):,} rounds. Its "
        "points say nothing about MiCRO without a deadline ([which strategies a deadline can "
        "judge](scenarios.md#deadlines))."
    ]


def commit() -> str:
    """Return the commit of the checkout that this runs from and whether files differ, else the installed version."""
    package = Path(__file__).resolve().parent
    try:
        _git(package, "ls-files", "--error-unmatch", Path(__file__).name)  # not a package inside another repository
        name = _git(package, "rev-parse", "--short=12", "HEAD")
        changed = _git(package, "status", "--porcelain", "--untracked-files=no", ":/")
    except (OSError, subprocess.CalledProcessError):
        return _version()
    return f"`{name}`" + (" with changes" if changed else "")


def hardware() -> str:
    """Return this machine in a line: processor, usable cores, memory and GPUs."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
        memory = f", {os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 1e9:.0f} GB of memory"
    except (OSError, StopIteration, ValueError):
        processor, memory = platform.processor() or platform.machine(), ""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{processor}, {cores} cores{memory}, {_gpus()}, Python {platform.python_version()}"


def _gpus() -> str:
    try:
        asked = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        found = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=20).stdout.split("\n")
    except (OSError, subprocess.SubprocessError):
        return "no NVIDIA GPU"
    return ", ".join(filter(None, found)) or "no NVIDIA GPU"


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def _version() -> str:
    try:
        return f"version {version('parley')}"
    except PackageNotFoundError:
        return "unknown"


def _standings(rows: Iterable[Standing], people: People | None) -> str:
    scopes = ["these scenarios", "rank", "scenarios like these", "rank"]
    return _table(
        ["agent", "points", *scopes, "games", *NAMES.values(), "tokens"],
        [
            [
                f"**{row.agent}**",
                "" if row.these.surplus is None else points(row.these.surplus.mean),
                *_scope(row.these),
                *_scope(row.like_these),
                str(row.games),
                *((_points if name in IN_POINTS else _percent)(row.measures[name]) for name in MEASURES),
                f"{row.tokens:,}" + ("" if row.cost is None else f" (${row.cost:.4f})"),
            ]
            for row in rows
        ]
        + ([] if people is None else [_people(people)]),
    )


def _people(people: People) -> list[str]:
    found = people.interval
    shares = [f"{people.measures[name]:.0%}" if name in people.measures else "" for name in MEASURES]
    ends = f"[{points(found.low)}, {points(found.high)}]"
    return [f"*{people.label}*", points(found.mean), ends, "", "", "", f"{people.negotiations:,}", *shares, ""]


def _scope(placing: Placing | None) -> list[str]:
    if placing is None or placing.surplus is None:
        return ["", ""]
    found = placing.surplus
    return [f"[{points(found.low)}, {points(found.high)}]", f"{placing.rank}{'=' if placing.tied else ''}"]


def _votes(rows: Sequence[Preference]) -> str:
    head = ["rank", "agent", "rating", "won, drawn, lost"]
    tallies = (f"{row.tally.wins}, {row.tally.draws}, {row.tally.losses}" for row in rows)
    return _table(head, ([*_placed(row.place, row.agent), tally] for row, tally in zip(rows, tallies, strict=True)))


def _placed(place: Place, agent: str) -> list[str]:
    rating = place.rating
    return [
        f"{place.rank}{'=' if place.tied else ''}",
        agent,
        f"{rating.mean:.0f} [{rating.low:.0f}, {rating.high:.0f}]",
    ]


def _cells(table: Mapping[str, Mapping[str, Cell]], columns: Sequence[str]) -> str:
    rows = ([name, *(_mean(cells.get(column)) for column in columns)] for name, cells in table.items())
    return _table(["", *columns], rows)


def _turned(table: Mapping[str, Mapping[str, Cell]], columns: Sequence[str]) -> str:
    """Show columns as rows: there are more scenarios than fit side by side."""
    rows = ([column, *(_mean(cells.get(column)) for cells in table.values())] for column in columns)
    return _table(["", *table], rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(each) for each in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _mean(cell: Cell | None) -> str:
    return "" if cell is None else points(cell.surplus.mean)


def _points(interval: Interval | None) -> str:
    if interval is None:
        return ""
    return f"{points(interval.mean)} [{points(interval.low)}, {points(interval.high)}]"


def _percent(interval: Interval | None) -> str:
    return "" if interval is None else f"{interval.mean:.0%} [{interval.low:.0%}, {interval.high:.0%}]"


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
