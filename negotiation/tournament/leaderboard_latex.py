r"""A leaderboard as LaTeX tables for a paper: the points with their ranks, and what they are made of.

They need `\usepackage{booktabs}`. Comments above them say what the games were played with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from negotiation.families.people import People
from negotiation.figures.counts import counted, plural
from negotiation.figures.latex import LatexTable, comment, escaped, number, row_of
from negotiation.figures.points import points
from negotiation.figures.statistics import Interval
from negotiation.tournament.leaderboard import IN_POINTS, MEASURES, Leaderboard, Placing, Standing, scope_of
from negotiation.tournament.leaderboard_markdown import facts_of
from negotiation.tournament.plan import Tournament
from negotiation.tournament.provenance import PlayedWith
from negotiation.tournament.store import TournamentRow

NAMES = {
    "agreement": "Deals",
    "surplus_when_agreed": "Per deal",
    "pareto": "Pareto",
    "welfare": "Welfare",
    "rational": "Rational",
    "invalid": "Invalid",
}
LEGEND = {
    "agreement": "deals, the share of negotiations that ended in one",
    "surplus_when_agreed": "points per deal",
    "pareto": "Pareto-optimal deals",
    "welfare": "welfare, the joint worth as a share of the largest possible",
    "rational": "negotiations that were no worse than no deal",
    "invalid": "invalid replies",
}
SEEDS = "other seeds (these scenarios)"
KIND = "other scenarios of the same kind (scenarios like these)"
MOST_NAMED = 4
"""The most scenarios that a caption names; it counts more of them, and the comments name them all."""


def to_latex(row: TournamentRow, board: Leaderboard, played: PlayedWith) -> str:
    """Return the standings over all scenarios as LaTeX; before a negotiation is done, without what they are made of."""
    name = f"tab:parley-{row.tournament_id[:8]}"
    shown = [each for each in MEASURES if any(standing.measures[each] is not None for standing in board.standings)]
    tables = [_points(name, row.tournament, board, played)]
    tables += [_measures(name, row.tournament, board, played, shown)] if shown else []
    return "\n\n".join(["\n".join(_comments(row, board, played)), *map(str, tables)]) + "\n"


def _comments(row: TournamentRow, board: Leaderboard, played: PlayedWith) -> Iterator[str]:
    digests = {name: " ".join(given[:12] for given in found) for name, found in played.scenarios.items()}
    facts = {
        "Tournament": f"{row.tournament.title} ({row.tournament_id}, {row.status})",
        "Scenarios": ", ".join(f"{name} {digests.get(name, '')}".strip() for name in row.tournament.scenarios),
        **{name[0].upper() + name[1:]: value for name, value in facts_of(played).items()},
        "Failed": counted(len(board.failed), "negotiation") if board.failed else "",
    }
    yield comment("Written by Parley. Needs \\usepackage{booktabs}.")
    yield from (comment(f"{name}: {value}") for name, value in facts.items() if value)


def _points(name: str, asked: Tournament, board: Leaderboard, played: PlayedWith) -> LatexTable:
    people = asked.people
    several = any(standing.like_these for standing in board.standings)
    scopes = ["These scenarios", "Scenarios like these"] if several else ["These scenarios"]
    spans = [rf"\multicolumn{{2}}{{c}}{{{scope}}}" for scope in scopes]
    rules = "".join(rf"\cmidrule(lr){{{3 + 2 * at}-{4 + 2 * at}}}" for at in range(len(scopes)))
    head = [
        row_of(["", "", *spans, ""]),
        rules,
        row_of(["Agent", "Points", *(["Interval", "Rank"] * len(scopes)), "Games"]),
    ]
    rows = [
        [
            escaped(standing.agent),
            _mean(standing.these.surplus),
            *_scope(standing.these),
            *(_scope(standing.like_these) if several else []),
            f"{standing.games:,}",
        ]
        for standing in board.standings
    ]
    people_row = [] if people is None else [[_people_points(people, len(scopes))]]
    caption = (
        f"{_about(asked, board, played)} Points are the mean normalised surplus times 100: 0 is no deal, 100 the best "
        rf"deal that the other side could accept. Intervals (95\,\%) and ranks describe how results would vary "
        f"with {SEEDS}{f' or with {KIND}' if several else ''}. A rank is one plus the number of agents that are "
        "clearly ahead; = marks shared ranks."
    )
    note = "" if people is None else escaped(people.note)
    columns = "lr" + "cr" * len(scopes) + "r"
    return LatexTable(f"{name}-points", caption, columns, head, [rows, *people_row], note)


def _measures(name: str, asked: Tournament, board: Leaderboard, played: PlayedWith, shown: Sequence[str]) -> LatexTable:
    scope = KIND if scope_of(board.figures) == "like_these" else SEEDS
    caption = (
        f"{_about(asked, board, played)} Points are deals times points per deal. In per cent, except points: "
        rf"{'; '.join(LEGEND[each] for each in shown)}. Brackets are 95\,\% intervals "
        f"for how results would vary with {scope}."
    )
    rows = [[escaped(standing.agent), *_cells(standing, shown)] for standing in board.standings]
    people = [] if asked.people is None else [[_people_measures(asked.people, shown)]]
    head = [row_of(["Agent", *(NAMES[each] for each in shown)])]
    return LatexTable(f"{name}-measures", caption, "l" + "c" * len(shown), head, [rows, *people])


def _about(asked: Tournament, board: Leaderboard, played: PlayedWith) -> str:
    """Return the title and what was played, as the first sentences of a caption."""
    done = sum(each.status == "done" for each in board.games)
    count = f"{'' if done == asked.size else f'{done:,} of '}{counted(asked.size, 'negotiation')}"
    versions = played.prompt_versions if played.models else ()
    parts = [
        f"{counted(len(asked.agents), 'agent')} in {_scenarios(asked)}",
        _listed("seed", asked.seeds),
        "both seats" if asked.mirrored else "one seat each",
        count,
        *([_listed("prompt version", versions)] if versions else []),
    ]
    adaptive = " Play depended on the results; the intervals of these scenarios hold whenever it stops."
    return f"{escaped(asked.title)}: {'; '.join(parts)}.{adaptive if asked.adaptive else ''}"


def _scenarios(asked: Tournament) -> str:
    scenarios = asked.scenarios.values()
    origins = {(it.drawn_from.family, it.drawn_from.seed) if it.drawn_from else None for it in scenarios}
    if len(origins) == 1 and (origin := origins.pop()) is not None:
        return f"{counted(len(scenarios), 'scenario')} drawn from the family {escaped(origin[0])} with seed {origin[1]}"
    if len(scenarios) <= MOST_NAMED:
        named = ", ".join(escaped(scenario.title) for scenario in scenarios)
        return f"the {plural(len(scenarios), 'scenario')} {named}"
    return counted(len(scenarios), "scenario")


def _listed(noun: str, numbers: Sequence[int]) -> str:
    """Return numbers in words, with ranges: "seeds 1--3, 7"."""
    runs: list[list[int]] = []
    for each in sorted(numbers):
        if runs and each == runs[-1][-1] + 1:
            runs[-1].append(each)
        else:
            runs.append([each])
    listed = ", ".join(f"{run[0]}" if len(run) == 1 else f"{run[0]}--{run[-1]}" for run in runs)
    return f"{plural(len(numbers), noun)} {listed}"


def _people_points(people: People, scopes: int) -> list[str]:
    return [
        rf"\emph{{{escaped(people.label)}}}",
        _mean(people.interval),
        _ends(people.interval),
        *[""] * (2 * scopes - 1),
        f"{people.negotiations:,}",
    ]


def _people_measures(people: People, shown: Iterable[str]) -> list[str]:
    known = people.measures
    return [rf"\emph{{{escaped(people.label)}}}", *(_percent(known[each]) if each in known else "" for each in shown)]


def _scope(placing: Placing | None) -> list[str]:
    if placing is None or placing.surplus is None:
        return ["", ""]
    return [_ends(placing.surplus), f"{placing.rank}{'=' if placing.tied else ''}"]


def _cells(standing: Standing, shown: Iterable[str]) -> Iterator[str]:
    for name in shown:
        found = standing.measures[name]
        if found is None:
            yield ""
        elif name in IN_POINTS:
            yield f"{_mean(found)} {_ends(found)}"
        else:
            yield f"{_percent(found.mean)} [{_percent(found.low)}, {_percent(found.high)}]"


def _percent(share: float) -> str:
    return f"{share:.0%}".removesuffix("%")


def _mean(found: Interval | None) -> str:
    return "" if found is None else number(points(found.mean))


def _ends(found: Interval) -> str:
    return f"[{number(points(found.low))}, {number(points(found.high))}]"
