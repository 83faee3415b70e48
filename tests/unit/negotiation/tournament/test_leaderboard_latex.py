"""A leaderboard in LaTeX says what was measured and how certain it is, and no name in it can do harm."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from manager.identity import Identity
from negotiation.agents.config import AgentConfig
from negotiation.families.family import load_family
from negotiation.figures.points import points as text_of
from negotiation.game.events import Measures, SeatMeasures
from negotiation.runs.provenance import ModelUse, Provenance
from negotiation.scenario.model import SEATS, Scenario, Seat
from negotiation.tournament.leaderboard import Leaderboard
from negotiation.tournament.leaderboard_latex import to_latex
from negotiation.tournament.plan import Tournament
from negotiation.tournament.provenance import PlayedWith, played_with
from negotiation.tournament.store import PlayedGame, TournamentRow
from tests.support.latex import check_text, rows_of

HOSTILE = ["{\\input{secrets} & 5% _#$", "[9cm] * ^^M~漢🤝\n\\end{table}"]


@pytest.fixture
def scenario(of_points: Callable[..., Scenario]) -> Scenario:
    """Both can hope for everything; the outcomes are worth (1, 0) and (0.5, 1)."""
    return of_points((1.0, 0.0), (0.5, 1.0))


def board_of(asked: Tournament) -> Leaderboard:
    """The first agent gets everything in seat a, and half in seat b, with every seed; then there is no deal."""
    first = next(iter(asked.agents))
    seats: dict[Seat, SeatMeasures] = {seat: SeatMeasures((), (0.0,)) for seat in SEATS}
    games = [
        PlayedGame(game, "done", 1, f"{game}", "x", "", {"deal": "o0"}, Measures(1, 0, 0.7, 0, 0, True, True, seats))
        if game.a == first
        else PlayedGame(game, "done", 1, f"{game}", "x", "", None, Measures(0, 0, 0, 0, 0, True, True, seats))
        for game in asked.games()
    ]
    return Leaderboard(asked, games)


def written(
    asked: Tournament, played: PlayedWith | None = None, board: Leaderboard | None = None
) -> tuple[list[str], list[str]]:
    """The comments and the tables."""
    nothing = PlayedWith(programs=(), scenarios={}, models={}, unrecorded=0)
    row = TournamentRow("0123456789abcdef", asked, 0.0, None, "done", "")
    comments, *tables = to_latex(row, board or board_of(asked), played or nothing).split("\n\n")
    assert all(line.startswith("% ") for line in comments.splitlines())
    return comments.splitlines(), tables


def test_the_standings_of_a_small_tournament(scenario: Scenario) -> None:
    asked = Tournament(
        "Cup", {name: AgentConfig(name) for name in ("tit_for_tat", "micro")}, {"points": scenario}, (1, 2, 3, 7)
    )
    _, (points, measures) = written(asked)
    assert "\\caption{Cup: 2 agents in the scenario Points; seeds 1--3, 7; both seats; 8 negotiations." in points
    assert "\\label{tab:parley-01234567-points}" in points
    ends = {row.agent: row.these.surplus for row in board_of(asked).standings}
    shown = {
        agent: f"[{text_of(found.low)}, {text_of(found.high)}]".replace("-", "$-$")
        for agent, found in ends.items()
        if found is not None
    }
    assert rows_of(points)[1:] == [
        ["Agent", "Points", "Interval", "Rank", "Games"],
        [r"tit\_for\_tat", "50", shown["tit_for_tat"], "1=", "8"],
        ["micro", "0", shown["micro"], "1=", "8"],
    ]
    assert "$-$" in shown["micro"]
    head, x, y = rows_of(measures)
    assert head == ["Agent", "Deals", "Per deal", "Pareto", "Welfare", "Rational", "Invalid"]
    assert [cell.split(" ")[0] for cell in x] == [r"tit\_for\_tat", "50", "100", "100", "35", "100", "0"]
    assert y[2].split(" ")[0] == "0"


def test_what_was_played_with_is_named(scenario: Scenario) -> None:
    models = {f"m{number}": AgentConfig(f"m{number}") for number in (1, 2)}
    scenarios = {f"points_{number}": scenario for number in range(1, 6)}
    asked = Tournament("Cup", models, scenarios, (4,), mirrored=False)
    use = ModelUse(first_turn=0, identity=Identity(model_name="small", revision="abc", device="cpu"), sampling={})
    begun = Provenance.begun(scenario).model_copy(update={"models": {"a": (use,)}})
    comments, (points, measures) = written(asked, played_with((game, begun) for game in asked.games()))
    version = begun.program.prompt_version
    for caption in (points, measures):
        assert f"in 5 scenarios; seed 4; one seat each; 5 negotiations; prompt version {version}." in caption
    assert "Scenarios like these" in points
    assert re.search(f"^% Scenarios: points_1 {scenario.sha256[:12]}, points_2", "\n".join(comments), re.MULTILINE)
    assert "% Models: small abc" in comments
    assert f"% Played with: Parley {begun.program.parley}" in "\n".join(comments)


def test_drawn_scenarios_are_named_by_their_family_and_people_stand_apart(scenario: Scenario) -> None:
    origin = {"family": "price_war", "seed": 9, "index": 1, "sha256": "0" * 64}
    drawn = Scenario.model_validate({**scenario.model_dump(), "drawn_from": origin})
    people = load_family("casino").people
    assert people is not None
    agents = {name: AgentConfig(name) for name in ("x", "y")}
    asked = Tournament("Cup", agents, {"one": drawn, "two": drawn}, (1, 2), people=people)
    _, (points, measures) = written(asked)
    assert "2 scenarios drawn from the family price\\_war with seed 9" in points
    assert rows_of(points)[-1] == ["\\emph{people (CaSiNo)}", "51", "[50, 51]", "", "", "", "1,030"]
    assert rows_of(measures)[-1][:4] == ["\\emph{people (CaSiNo)}", "98", "", "67"]
    assert r"\par\smallskip people (CaSiNo): " in points


def test_tournaments_of_one_negotiation_or_none(scenario: Scenario) -> None:
    origin = {"family": "price_war", "seed": 9, "index": 1, "sha256": "0" * 64}
    drawn = Scenario.model_validate({**scenario.model_dump(), "drawn_from": origin})
    asked = Tournament("Cup", {name: AgentConfig(name) for name in "xy"}, {"one": drawn}, (1,), mirrored=False)
    _, (points, measures) = written(asked)
    for caption in (points, measures):
        assert "1 scenario drawn from" in caption
        assert "one seat each; 1 negotiation." in caption
    (game,) = board_of(asked).games
    failed = replace(game, status="failed", measures=None)
    for games, said in (([], []), ([failed], ["% Failed: 1 negotiation"])):
        comments, tables = written(asked, board=Leaderboard(asked, games))
        assert [line for line in comments if "Failed" in line] == said
        (points,) = tables  # there is nothing to measure
        assert "0 of 1 negotiation." in points
        assert rows_of(points)[-1] == ["y", "", "", "", "0"]


def test_hostile_names_are_harmless(scenario: Scenario) -> None:
    named = scenario.model_copy(update={"title": HOSTILE[0]})
    asked = Tournament(HOSTILE[1], {name: AgentConfig(name) for name in HOSTILE}, {"points": named}, (1, 2))
    comments, tables = written(replace(asked, people=None))
    assert len(comments) == 3
    for table in tables:
        caption = re.search(r"^  \\caption\{(.*)\}$", table, re.MULTILINE)
        assert caption is not None
        check_text(caption[1])
        assert {len(row) for row in rows_of(table)[-2:]} <= {5, 7}
        assert table.count("\\end{table}") == 1
