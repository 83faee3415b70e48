"""An exported leaderboard names everything that its games were played with."""

from __future__ import annotations

import json

from manager.identity import Identity
from negotiation.agents.config import AgentConfig
from negotiation.game.events import Writer
from negotiation.runs.provenance import Provenance, this_program
from negotiation.runs.store import Store
from negotiation.scenario.model import Scenario, Seat
from negotiation.tournament.leaderboard import Leaderboard
from negotiation.tournament.leaderboard_markdown import to_markdown
from negotiation.tournament.plan import Game, Tournament
from negotiation.tournament.provenance import played_with
from negotiation.tournament.store import TournamentStore

WARM, COLD = ({"temperature": temperature} for temperature in (0.7, 0.1))


def provenance(scenario: Scenario, seat: Seat, turn: int, sampling: dict[str, float], parley: str = "1") -> Provenance:
    program = this_program().model_copy(update={"parley": parley, "prompt_version": int(parley)})
    begun = Provenance(scenario_sha256=scenario.sha256, program=program)
    return begun.written(seat, turn, Writer(Identity(model_name="m", device="cpu"), sampling))


def test_games_that_were_played_alike_are_named_once(bike: Scenario) -> None:
    found = played_with(
        [
            (Game("bike", "model", "boulware", 1), provenance(bike, "a", 0, WARM)),
            (Game("bike", "boulware", "model", 1), provenance(bike, "b", 1, WARM)),
        ]
    )
    assert len(found.programs) == 1
    assert found.scenarios == {"bike": (bike.sha256,)}
    assert [use.sampling for use in found.models["model"]] == [WARM]
    assert set(found.models) == {"model"}
    assert (found.prompt_versions, found.unrecorded) == ((1,), 0)


def test_differences_between_games_show(bike: Scenario) -> None:
    changed = bike.model_copy(update={"rounds": 9})
    found = played_with(
        [
            (Game("bike", "model", "boulware", 1), provenance(bike, "a", 0, WARM)),
            (Game("bike", "model", "boulware", 2), provenance(changed, "a", 0, COLD, parley="2")),
            (Game("bike", "model", "boulware", 3), None),
        ]
    )
    assert [program.parley for program in found.programs] == ["1", "2"]
    assert found.scenarios == {"bike": (bike.sha256, changed.sha256)}
    assert [use.sampling for use in found.models["model"]] == [WARM, COLD]
    assert (found.prompt_versions, found.unrecorded) == ((1, 2), 1)
    data = json.loads(json.dumps(found.to_json()))
    assert data["models"]["model"][1]["sampling"] == COLD
    assert "first_turn" not in data["models"]["model"][0]


def test_the_markdown_names_prompt_version_models_and_what_was_not_recorded(bike: Scenario, store: Store) -> None:
    agents = {name: AgentConfig(name) for name in ("model", "boulware")}
    asked = Tournament(title="Cup", agents=agents, scenarios={"bike": bike}, seeds=(1,))
    tournaments = TournamentStore(store)
    row = tournaments.get(tournaments.begin(asked))
    games = [
        (Game("bike", "model", "boulware", 1), provenance(bike, "a", 0, WARM)),
        (Game("bike", "boulware", "model", 1), None),
    ]
    page = to_markdown(row, Leaderboard(asked, []), None, [], played_with(games))
    assert "| prompt version | 1 |" in page
    assert "| played with | Parley 1, torch " in page
    assert "| games without provenance | 1 |" in page
