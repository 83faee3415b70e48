"""The list of runs and their replay, drawn from plain values."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from pathlib import Path

import pytest

from manager.identity import Identity, ServerReport
from negotiation.agents.config import AgentConfig
from negotiation.agents.human import HUMAN
from negotiation.agents.strategies import STRATEGIES
from negotiation.game.agent import Agent
from negotiation.game.events import Ended, TurnTaken, Writer
from negotiation.game.session import Negotiation, negotiate
from negotiation.runs.provenance import Provenance
from negotiation.runs.record import Run
from negotiation.runs.store import RunSummary
from negotiation.scenario.model import Seat, load_scenario
from ui.drawing.run_list import runs_html
from ui.history.provenance import provenance_html
from ui.history.replay import forked_agents, head_html, view_at
from ui.kit import text
from ui.kit.downloads import file_html

SCENARIOS = Path(__file__).parents[4] / "configs" / "scenarios"
NAMES = {"conceder": "gives in early (conceder)"}


def summary(run_id: str, **about: object) -> RunSummary:
    known = {
        "run_id": run_id, "created": 1_700_000_000.0, "owner": "me", "published": False, "status": "done", "reason": "",
        "scenario_id": "company_car", "title": "The company car", "seed": 7, "agent_a": "conceder",
        "agent_b": "boulware",
        "comparison": None, "lane": None, "forked_from": None, "forked_turns": None, "ending": "agreement",
        "outcome": "Price: €18,000", "utility_a": 0.4, "utility_b": 0.6,
        "role_a": "Fleet manager", "role_b": "Engineer",
    }  # fmt: skip
    return RunSummary(**{**known, **about})  # type: ignore[arg-type]


def test_a_row_names_roles_agents_seed_outcome_and_worth() -> None:
    shown = runs_html([summary("r1")], NAMES, ())
    for words in ("Fleet manager", "Engineer", "gives in early (conceder)", "Seed 7", "Price: €18,000", ">40<", ">60<"):
        assert words in shown
    assert 'datetime="2023-11-14T22:13:20+00:00"' in shown
    assert 'href="?run=r1"' in shown


def test_a_failed_run_shows_its_reason_and_hostile_text_stays_text() -> None:
    shown = runs_html([summary("r1", status="failed", reason="<script>hurt()</script>", outcome="")], NAMES, ())
    assert text.HALTED["failed"] in shown
    assert "&lt;script&gt;hurt()" in shown
    assert "<script>" not in shown


def test_lanes_of_one_comparison_are_listed_together_in_order() -> None:
    runs = [summary("r2", comparison="c", lane=2), summary("r1", comparison="c", lane=1), summary("other")]
    shown = runs_html(runs, NAMES, ())
    assert shown.count("<tbody") == 2
    assert shown.index('data-value="r1"') < shown.index('data-value="r2"') < shown.index('data-value="other"')


def test_agents_are_hidden_before_the_vote() -> None:
    shown = runs_html([summary("r1", comparison="c", lane=1)], NAMES, {"c"})
    assert "conceder" not in shown
    assert text.HIDDEN_AGENT in shown


@pytest.fixture
def played() -> Run:
    scenario = load_scenario(SCENARIOS / "company_car.yaml")
    agents: dict[Seat, Agent] = {"a": STRATEGIES["conceder"], "b": STRATEGIES["boulware"]}
    events = list(negotiate(Negotiation("run", scenario, agents, 1)))
    turns = tuple(event.turn for event in events if isinstance(event, TurnTaken))
    end = events[-1]
    assert isinstance(end, Ended)
    configs: dict[Seat, AgentConfig] = {"a": AgentConfig("conceder"), "b": AgentConfig("boulware")}
    return Run(run_id="run", scenario=scenario, agents=configs, seed=1, turns=turns).end(end)


def test_a_replay_shows_the_turns_so_far_and_the_ending_only_after_the_last(played: Run) -> None:
    assert view_at(played, 3).turns == played.turns[:3]
    assert view_at(played, 3).end is None
    assert view_at(played, 0).turns == ()
    assert view_at(played, len(played.turns)).end is not None
    assert view_at(played, 99).turns == played.turns


def test_the_head_of_a_replay_has_its_permanent_link_and_can_hide_names(played: Run) -> None:
    assert 'href="?replay=run"' in head_html(played, {})
    hidden = head_html(replace(played, lane=1), {"conceder": text.HIDDEN_AGENT, "boulware": text.HIDDEN_AGENT})
    assert "conceder" not in hidden
    assert text.LANE.format(number=1) in hidden


def test_a_replay_says_how_to_cite_and_reproduce_it(played: Run) -> None:
    found = Provenance.begun(played.scenario)
    server = ServerReport(model="m-2026", fingerprint="fp_7")
    remote = Identity(model_name="org/m", device="remote", server=server)
    local = Identity(model_name="owner/small", revision="0123456789abcdef", dtype="bfloat16", device="cuda:0")
    for turn, seat, identity in ((0, "a", remote), (1, "b", local), (4, "a", local)):
        found = found.written(seat, turn, Writer(identity, {"temperature": 0.4, "stop": []}))  # type: ignore[arg-type]
    shown = provenance_html(replace(played, provenance=found))
    for words in (
        "Run run of “The company car” (scenario company_car, sha256",
        f"with seed 1, played with Parley {found.program.parley}, prompt version {found.program.prompt_version}.",
        "org/m, remote, the server calls itself m-2026, fp_7; temperature 0.4",
        "from turn 5 on: owner/small, commit 0123456789ab, bfloat16 on cuda:0; temperature 0.4",
        "parley reproduce FILE",
        "The Fleet manager was played by a model on a remote server, which may answer differently next time.",
    ):
        assert words in shown


def test_a_replay_of_strategies_people_and_earlier_versions_says_so(played: Run) -> None:
    found = Provenance.begun(played.scenario)
    person = replace(played, agents={**played.agents, "a": AgentConfig(HUMAN)}, provenance=found)
    shown = provenance_html(person)
    assert "the scripted strategy boulware, which is part of Parley" in shown
    assert "A person&#39;s decisions cannot be reproduced: the recorded moves of the Fleet manager" in shown
    assert "did not record models and versions" in provenance_html(played)


def test_an_agent_that_plays_on_keeps_its_settings_unless_another_is_picked(played: Run) -> None:
    model = AgentConfig("m", {"temperature": 0.1})
    run = replace(played, agents={"a": model, "b": AgentConfig("boulware")})
    assert forked_agents(run, {"a": "m", "b": None}) == run.agents
    assert forked_agents(run, {"a": "linear", "b": "boulware"})["a"] == AgentConfig("linear")


def test_saved_files_are_complete(played: Run) -> None:
    for kind, first in (("jsonl", '{"run_id": "run"'), ("csv", "\ufeffrun_id,")):
        shown = file_html([played], kind)  # type: ignore[arg-type]
        found = re.search('data-bytes="([^"]*)"', shown)
        assert found is not None
        written = base64.b64decode(found[1]).decode()
        assert written.startswith(first)
        assert len(written.strip().splitlines()) == (1 if kind == "jsonl" else 1 + len(played.turns))
    assert file_html([played], "csv") != file_html([played], "csv")
