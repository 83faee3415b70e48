"""The Tournament tab: its form, files that fill it, looking at a running tournament, and cells that lead to runs."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from manager.errors import ConfigError
from negotiation.app.parley import Parley
from negotiation.app.settings import read_settings
from negotiation.families.family import FAMILIES, family_names
from negotiation.tournament.plan import Tournament
from negotiation.tournament.plan_file import AgentEntry, TournamentFile, load_tournament, read_tournament
from negotiation.tournament.store import Counts
from ui.server.operator import operators_of
from ui.server.visitor import COOKIE, visitor_of
from ui.tournament.form import family_choices, model_choices, tournament_files, tournament_of, values_of
from ui.tournament.glance import Painted, Wanted
from ui.tournament.leaderboard import agent_name, board_html, heat_html, runs_html
from ui.tournament.tab import TournamentTab, may_run

MODELS = "small: {type: fake, label: 'Small <one>'}\nlarge: {type: fake}\n"


def opened(folder: Path, **environment: str) -> Parley:
    configs = folder / "configs"
    configs.mkdir(exist_ok=True)
    (configs / "models.yaml").write_text(MODELS)
    return Parley.open(read_settings({"PARLEY_HOME": str(folder), "PARLEY_CONFIG": str(configs), **environment}))


@pytest.fixture
def parley(tmp_path: Path) -> Iterator[Parley]:
    parley = opened(tmp_path)
    yield parley
    parley.close()


Asked = Callable[..., Tournament]


@pytest.fixture
def asked(parley: Parley) -> Asked:
    """Return the tournament of a form with the initial values, except for some fields."""
    at_first = values_of(parley, TournamentFile(title="Cup", pairs=1))

    def make(**changed: Any) -> Tournament:
        return tournament_of(parley, replace(at_first, **changed))

    return make


def test_a_form_describes_a_tournament(asked: Asked) -> None:
    made = asked(baselines=["boulware", "micro"], scenarios=["company_car"], seeds="7, 11")
    assert list(made.agents) == ["boulware", "micro"]
    assert list(made.scenarios) == ["company_car"]
    assert made.seeds == (7, 11)
    assert made.size == 4
    assert len(asked(baselines=["boulware", "micro"], pairs=3).scenarios) > 10


def test_a_zero_is_an_empty_field(asked: Asked) -> None:
    """As the page shows fields without a value."""
    made = asked(baselines=["boulware", "micro"], adaptive=True, rounds=0, minutes=0, negotiations=0)
    assert made.adaptive is not None
    assert (made.adaptive.negotiations, made.limits.minutes) == (None, None)
    assert made.scenarios["company_car"].rounds == 8


def test_a_family_replaces_the_scenarios(parley: Parley, asked: Asked, tmp_path: Path) -> None:
    made = asked(baselines=["boulware", "micro"], family="price", count=2, draw_seed=4)
    assert list(made.scenarios) == ["price_4_1", "price_4_2"]
    with pytest.raises(ConfigError, match="either scenarios"):
        asked(baselines=["boulware", "micro"], family="price", count=2, scenarios=["night_train"])
    path = tmp_path / "drawn.yaml"
    path.write_text("title: Cup\nbaselines: all\nfamily: casino\ncount: 3\ndraw_seed: 8\npairs: 1\n")
    values = values_of(parley, read_tournament(path))
    assert (values.family, values.count, values.draw_seed) == ("casino", 3, 8)
    assert tournament_of(parley, values) == load_tournament(path, parley.catalog, parley.scenarios)
    assert {name for _, name in family_choices(parley)} == {"", *family_names(FAMILIES)}


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({}, "at least two agents"),
        ({"title": " "}, "title"),
        ({"seeds": "1; 2"}, "integers"),
        ({"at_once": 999}, "at_once"),
        ({"baselines": ["random", "micro"], "pairs": 10_000}, "at most 20,000"),
    ],
)
def test_an_invalid_form_names_the_problem(asked: Asked, changed: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(problem)):
        asked(**changed)


def test_a_file_fills_every_field_of_the_form(parley: Parley, tmp_path: Path) -> None:
    folder = tmp_path / "configs" / "tournaments"
    folder.mkdir()
    (folder / "cup.yaml").write_text(
        "title: Cup\nmodels: [large, {agent: small, options: {guard: rational}}]\nbaselines: [micro, "
        "{agent: micro, options: {gives_in: true}}]\nrounds: 50\nmirrored: false\n"
        "scenarios: [night_train]\nseeds: [3, 5]\nlimits: {minutes: 2.5, retries: 0}\nadaptive: {negotiations: 9}\n"
    )
    values = values_of(parley, read_tournament(folder / "cup.yaml"))
    assert tournament_of(parley, values) == load_tournament(folder / "cup.yaml", parley.catalog, parley.scenarios)
    listed = {value for _, value in model_choices(parley, [AgentEntry(agent="small", options={"guard": "rational"})])}
    assert set(values.models or ()) <= listed
    assert [path.name for path in tournament_files(parley)] == ["cup.yaml"]


def test_on_a_server_with_an_operator_visitors_may_only_look(parley: Parley, tmp_path: Path) -> None:
    visitor: Any = SimpleNamespace(cookies={COOKIE: "a-visitor-with-a-name"})
    assert may_run(parley, visitor)
    guarded = opened(tmp_path, PARLEY_OPERATOR_PASSWORD="secret")
    try:
        assert not may_run(guarded, visitor)
        assert operators_of(guarded).sign_in(visitor_of(visitor), "here", "secret") is None
        assert may_run(guarded, visitor)
    finally:
        guarded.close()


def test_visitors_who_may_not_run_tournaments_see_results_and_no_form(
    parley: Parley, tab: TournamentTab, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    controls = (tab.new, tab.resume, tab.stop)
    parley.tournaments.store.begin(asked(baselines=["boulware", "conceder"], scenarios=["night_train"]))
    monkeypatch.setattr("ui.tournament.tab.may_run", lambda *_: False)
    new = tab._look(VISITOR, Wanted(opened=True), Painted())
    assert [new[part]["visible"] for part in controls] == [False] * 3
    assert new[tab.reading]["visible"]
    monkeypatch.setattr("ui.tournament.tab.may_run", lambda *_: True)  # they have signed in
    new = tab._look(VISITOR, Wanted(opened=True), new[tab.painted])
    assert [new[part]["visible"] for part in controls] == [True] * 3
    assert tab.reading not in new


def test_every_cell_leads_to_its_runs(parley: Parley, asked: Asked) -> None:
    made = asked(baselines=["boulware", "conceder"], scenarios=["night_train"])
    key = parley.tournaments.start(made, None)
    if (thread := parley.tournaments._thread) is not None:
        thread.join(60)
    board = parley.tournaments.boards.of(key)
    assert "1207" not in board_html(board, "", {})
    heat = heat_html(board.by_opponent, dict.fromkeys(made.agents, "<b>"), "opponent", {})
    assert heat.count("<button") == 2
    assert 'data-value="opponent:0:1"' in heat
    assert "<b>" not in heat
    cell = board.by_opponent["boulware"]["conceder"]
    shown = runs_html(board, "boulware", "conceder", cell, {})
    assert set(re.findall(r"\?run=([0-9a-f]+)", shown)) == set(cell.run_ids)
    assert len(cell.run_ids) == 2


@pytest.fixture
def tab(parley: Parley) -> TournamentTab:
    """Build the tab inside an event loop; Gradio would otherwise create one and never close it."""

    async def build() -> TournamentTab:
        with gr.Blocks():
            return TournamentTab(parley)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(build())).result()


VISITOR: Any = SimpleNamespace(cookies={COOKIE: "a-visitor-with-a-name"})


def test_a_page_that_looks_while_games_end_keeps_showing_the_progress(
    parley: Parley, tab: TournamentTab, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A leaderboard may lag behind the count of games. The page used to fail in that case when it looked again."""
    parley.tournaments.store.begin(asked(baselines=["boulware", "conceder"], scenarios=["night_train"], pairs=2))
    painted = Painted()
    for done in (1, 2, 3):
        monkeypatch.setattr(parley.tournaments.store, "counts", lambda _, done=done: Counts(done=done))
        new = tab._look(VISITOR, Wanted(opened=True), painted)
        assert f"{done} of 4 negotiations" in new[tab.progress]
        painted = new[tab.painted]
        assert not painted.settled


def test_the_leaderboard_is_exported_for_papers(parley: Parley, tab: TournamentTab, asked: Asked) -> None:
    shown = parley.tournaments.store.begin(asked(baselines=["boulware", "conceder"], scenarios=["night_train"]))
    painted = tab._look(VISITOR, Wanted(opened=True), Painted())[tab.painted]
    file = tab._export_latex(painted)
    assert f'data-file="{shown}.tex"' in file
    (data,) = re.findall('data-bytes="([^"]*)"', file)
    assert base64.b64decode(data).decode().count("\\end{table}") == 1  # nothing has been played yet


def test_a_page_that_sees_nothing_new_is_left_alone(parley: Parley, tab: TournamentTab, asked: Asked) -> None:
    parley.tournaments.store.begin(asked(baselines=["boulware", "conceder"], scenarios=["night_train"]))
    assert list(tab._look(VISITOR, Wanted(), Painted())) == [tab.progress], "the tab has not been opened"
    painted = tab._look(VISITOR, Wanted(opened=True), Painted())[tab.painted]
    assert painted.settled
    assert list(tab._look(VISITOR, Wanted(opened=True), painted)) == [tab.progress]


def test_the_scenarios_of_a_tournament_that_is_picked_can_be_chosen(
    parley: Parley, tab: TournamentTab, asked: Asked
) -> None:
    store = parley.tournaments.store
    keys = [
        store.begin(asked(baselines=["boulware", "micro"], scenarios=[name])) for name in ("night_train", "flat_lease")
    ]
    painted = Painted()
    for key, name in zip(keys, ("night_train", "flat_lease"), strict=True):
        new = tab._pick(VISITOR, Wanted(opened=True, where="elsewhere"), painted, key)
        painted = new[tab.painted]
        assert painted.tournament_id == key
        assert [scenario for _, scenario in new[tab.where]["choices"]] == ["", name]
        assert new[tab.where]["value"] == ""


def test_agents_have_the_same_names_as_on_the_other_tabs() -> None:
    assert agent_name("small (guard=free)", {"small": "Small"}) == "Small (guard=free)"
    assert agent_name("micro", {"micro": "matches step for step (micro)"}) == "micro"
