"""The adapter passes PettingZoo's own tests and pays both agents."""

from __future__ import annotations

import numpy as np
import pytest

from negotiation.app.settings import SHIPPED
from negotiation.gym import ACCEPT, FIRST_OFFER
from negotiation.gym.pettingzoo import FEATURES, Bargaining
from negotiation.scenario.analysis import OutcomeSpace
from negotiation.scenario.model import SEATS, load_scenarios

SCENARIOS = load_scenarios(SHIPPED / "scenarios")


# It knows masks only by the names of its own games, and seats are called a and b everywhere here.
@pytest.mark.filterwarnings("ignore::UserWarning:pettingzoo")
@pytest.mark.parametrize("scenario_id", ["night_train", "camp_supplies"])
def test_it_passes_the_packages_own_test(scenario_id: str) -> None:
    from pettingzoo.test import api_test

    api_test(Bargaining(SCENARIOS[scenario_id]), num_cycles=200, verbose_progress=False)


def test_two_agents_agree_and_both_are_paid() -> None:
    game = Bargaining(SCENARIOS["camp_supplies"])
    game.reset(seed=1)
    offer = FIRST_OFFER + 5
    for action in (FIRST_OFFER, offer, ACCEPT):
        seen, reward, terminated, truncated, _ = game.last()
        assert not terminated
        assert not truncated
        assert reward == 0
        assert seen["action_mask"][action] == 1
        assert seen["observation"].shape == (len(FEATURES),)
        game.step(action)
    paid = {}
    for agent in game.agent_iter():
        _, paid[agent], terminated, _, _ = game.last()
        assert terminated
        game.step(None)
    scenario = SCENARIOS["camp_supplies"]
    agreed = OutcomeSpace(scenario).offer(5)
    for seat in SEATS:
        gained = scenario.discounted(scenario.utility(seat, agreed), 2) - scenario.roles[seat].reservation
        assert paid[seat] == pytest.approx(gained)


def test_features_say_what_the_offers_are_worth() -> None:
    game = Bargaining(SCENARIOS["night_train"])
    game.reset()
    before = game.observe("a")["observation"]
    assert before[1] == before[2] == -1
    game.step(FIRST_OFFER)
    seen = game.observe("b")["observation"]
    assert 0 <= seen[1] <= 1
    assert not np.any(game.observe("a")["action_mask"])
