"""People as a row of a leaderboard: labelled, with their source, and outside everything that needs games."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from manager.config.strict_yaml import validate
from manager.manager import LLMManager
from negotiation.agents.catalog import Catalog
from negotiation.batch.executor import Threads
from negotiation.cli.tournament import lines_of
from negotiation.families.family import load_family
from negotiation.families.people import People
from negotiation.runs.store import Store
from negotiation.tournament import runner as tournament
from negotiation.tournament.leaderboard import Leaderboard
from negotiation.tournament.leaderboard_export import describe, to_csv
from negotiation.tournament.leaderboard_markdown import to_markdown
from negotiation.tournament.plan_file import TournamentFile, resolve
from negotiation.tournament.store import TournamentRow, TournamentStore
from ui.tournament.leaderboard import board_html

Board = tuple[TournamentRow, Leaderboard, TournamentStore]


@pytest.fixture
def people() -> People:
    found = load_family("casino").people
    assert found is not None
    return found


@pytest.fixture
def played(managers: Callable[..., LLMManager], store: Store) -> Board:
    catalog, kept = Catalog(managers({})), TournamentStore(store)
    data = {"title": "Camp", "baselines": ["linear", "conceder"], "family": "casino", "count": 3, "pairs": 1}
    asked = resolve(validate(TournamentFile, data, "camp.yaml"), catalog, {})
    key = tournament.begin(asked, kept, resume=False)
    for _ in tournament.run(asked, key, kept, catalog, Threads(catalog, 4), max_loaded=1):
        pass
    row = kept.get(key)
    return row, Leaderboard(row.tournament, kept.games(key)), kept


def test_people_change_nothing_about_the_agents(played: Board) -> None:
    _, board, _ = played
    without = Leaderboard(replace(board.tournament, people=None), board.games)
    assert [row.agent for row in board.standings] == [row.agent for row in without.standings]
    assert board.standings == without.standings
    assert board.by_opponent == without.by_opponent
    assert "people (CaSiNo)" not in board.tournament.agents


def test_json_has_them_apart(played: Board, people: People) -> None:
    row, board, kept = played
    data = describe(row, board, kept.played_with(row.tournament_id))
    assert data["people"] == people.model_dump(mode="json")
    assert {standing["agent"] for standing in data["standings"]} == {"linear", "conceder"}


def test_csv_has_them_last_over_all_scenarios_without_a_rank(played: Board) -> None:
    rows = list(csv.DictReader(to_csv(played[1]).splitlines()))
    overall = [row for row in rows if row["scenario"] == ""]
    assert [row["agent"] for row in overall][-1] == "people (CaSiNo)"
    found = overall[-1]
    assert (found["games"], found["surplus"]) == ("1030", "0.509")
    assert (found["these_scenarios_low"], found["these_scenarios_high"]) == ("0.504", "0.514")
    assert (found["agreement_mean"], found["pareto_mean"]) == ("0.976", "0.67")
    assert (found["these_scenarios_rank"], found["wins"], found["welfare_mean"]) == ("", "", "")
    assert len([row for row in rows if row["agent"] == "people (CaSiNo)"]) == 1


def test_markdown_has_them_as_a_labelled_row_with_their_source(played: Board, people: People) -> None:
    row, board, kept = played
    page = to_markdown(row, board, None, [], kept.played_with(row.tournament_id))
    (line,) = [line for line in page.splitlines() if "*people (CaSiNo)*" in line]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:7] == ["*people (CaSiNo)*", "51", "[50, 51]", "", "", "", "1,030"]
    assert cells[7] == "98%"
    head = next(line for line in page.splitlines() if line.startswith("| agent | points | these"))
    assert head.count("|") == line.count("|")
    assert people.note in page


def test_the_command_line_shows_them(played: Board, people: People) -> None:
    row, board, _ = played
    lines = lines_of(row, board)
    (line,) = [line for line in lines if line.startswith("people (CaSiNo)  ")]
    assert line.split() == ["people", "(CaSiNo)", "51", "[50,", "51]", "1030", "98", "67"]
    assert people.note in lines


def test_the_page_shows_them_over_all_scenarios_only(played: Board, people: People) -> None:
    board = played[1]
    assert people.note in board_html(board, "", {})
    assert 'class="people"' in board_html(board, "", {})
    assert "people (CaSiNo)" not in board_html(board, next(iter(board.tournament.scenarios)), {})


def test_other_tournaments_have_none(played: Board, tmp_path: Path) -> None:
    plain: dict[str, Any] = {**played[0].tournament.to_json()}
    del plain["people"]  # as earlier versions stored it
    assert type(played[0].tournament).from_json(plain, "").people is None
    assert (
        describe(played[0], Leaderboard(replace(played[0].tournament, people=None), []), played[2].played_with("x"))[
            "people"
        ]
        is None
    )
