"""What may be replied: grammars and checks agree, nothing that may be said is missing, and nothing else is there."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from negotiation.game.protocol import Action, GameState
from negotiation.replies.allowed import MAX_THOUGHT, Allowed, Decided, legal, rational
from negotiation.replies.narration import MAX_MESSAGE, MAX_TOKENS, Speech
from negotiation.replies.reader import Reply, read_reply, split_thinking
from negotiation.scenario.model import Scenario, parse_scenario
from tests.support.effort import examples, tries
from tests.support.grammar import as_written, permits, written_under
from tests.support.hostile import ACCEPTED, GOOD, OFFERED

SCENARIOS = sorted(path.stem for path in (Path(__file__).resolve().parents[4] / "configs" / "scenarios").glob("*.yaml"))


@pytest.fixture(scope="session")
def answering(bike: Scenario) -> GameState:
    """The state in which b may answer an offer."""
    return GameState(bike).apply(Action.OFFER, GOOD)


# -- what is legal ---------------------------------------------------------------------------------------------


def states(scenario: Scenario, rng: random.Random) -> list[GameState]:
    """A state at the beginning, one in between and one in the last turn."""
    found, state = [GameState(scenario)], GameState(scenario)
    while not state.last_turn:
        picked = {name: rng.choice(issue.choices) for name, issue in scenario.issues.items()}
        state = state.apply(Action.OFFER, picked)
        if state.turn == 1 or state.last_turn:
            found.append(state)
    return found


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_text_of_the_grammar_parses_and_is_legal(shipped: dict[str, Scenario], name: str) -> None:
    rng = random.Random(name)
    for state in states(shipped[name], rng):
        seen = set()
        for _ in range(max(10, tries(10))):  # fewer would miss an action
            for text in (written_under(legal(state).grammar(), rng), legal(state).sample(rng)):
                reply = read_reply(text, state)
                assert reply.action in state.legal, (text, reply.detail)
                state.apply(reply.action, reply.offer)
                seen.add(reply.action)
        assert seen == set(state.legal)


@given(data=st.data(), seed=st.integers(0, 10**6))
@examples(30)
def test_any_scenarios_grammar_makes_legal_replies(
    data: st.DataObject, seed: int, scenarios: st.SearchStrategy[Scenario]
) -> None:
    rng = random.Random(seed)
    for state in states(data.draw(scenarios), rng):
        for text in (written_under(legal(state).grammar(), rng), legal(state).sample(rng)):
            reply = read_reply(text, state)
            assert reply.action is not None, (text, reply.detail)
            state.apply(reply.action, reply.offer)


@given(data=st.data(), seed=st.integers(0, 10**6))
@examples(30)
def test_every_legal_reply_is_in_the_grammar(
    data: st.DataObject, seed: int, scenarios: st.SearchStrategy[Scenario]
) -> None:
    scenario = data.draw(scenarios)
    picked = {name: data.draw(st.sampled_from(issue.choices)) for name, issue in scenario.issues.items()}
    for state in states(scenario, random.Random(seed)):
        texts = {"thought": "x" * MAX_THOUGHT, "message": "y" * MAX_MESSAGE}
        for action in Action:
            reply: dict[str, Any] = {"thought": texts["thought"], "action": str(action)}
            reply |= {"offer": picked if action is Action.OFFER else None, "message": texts["message"]}
            assert permits(legal(state).grammar(), as_written(reply)) == (action in state.legal)


def test_json_is_written_with_the_separators_that_models_write(answering: GameState) -> None:
    """On the path of JSON schemas (`legal`) and on the one of Lark (`rational`, `decided`, a diagram's offers)."""
    for allowed in (legal(answering), rational(answering), decided(answering, Action.OFFER, GOOD)):
        text = json.dumps({**OFFERED, "thought": "" if isinstance(allowed, Decided) else "Fine."})
        assert permits(allowed.grammar(), text)
        assert not permits(allowed.grammar(), json.dumps(json.loads(text), separators=(",", ":")))
        assert not permits(allowed.grammar(), text.replace(": ", ":  "))
    assert legal(answering).grammar().lark is None
    assert rational(answering).grammar().lark is not None


def test_texts_outside_the_grammar(answering: GameState) -> None:
    grammar = legal(answering).grammar()
    assert permits(grammar, as_written(ACCEPTED))
    for spoilt in (
        {**ACCEPTED, "thought": ""},
        {**ACCEPTED, "message": "y" * (MAX_MESSAGE + 1)},
        {**ACCEPTED, "thought": "y" * (MAX_THOUGHT + 1)},
        {**ACCEPTED, "offer": GOOD},
        {**OFFERED, "offer": None},
        {**OFFERED, "offer": {**GOOD, "price": 155}},
        {**OFFERED, "offer": {**GOOD, "price": 210}},
        {**OFFERED, "offer": {**GOOD, "lock": "With"}},
        {"action": "accept", "thought": "Fine.", "offer": None, "message": "Deal!"},
    ):
        assert not permits(grammar, as_written(spoilt)), spoilt


def test_options_may_be_any_text(of_points: Callable[..., Scenario], bike_data: dict[str, Any]) -> None:
    odd = ['say "hi"', "back\\slash", "naïve 日本 😀", "with, without", "null", "1"]
    bike_data["issues"]["lock"]["options"] = odd
    for role in bike_data["roles"].values():
        role["values"]["lock"] = dict.fromkeys(odd, 0.5)
    state = GameState(parse_scenario("odd", bike_data, "odd.yaml"))
    for option in odd:
        assert permits(legal(state).grammar(), as_written({**OFFERED, "offer": {"price": 150, "lock": option}}))
    rng = random.Random(1)
    assert {read_reply(written_under(legal(state).grammar(), rng), state).kind for _ in range(40)} == {None}


def test_chance_draws_the_same_reply_from_the_same_seed(answering: GameState) -> None:
    drawn = [[legal(answering).sample(random.Random(seed)) for seed in range(30)] for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) > 10


def test_a_drawn_message_is_no_longer_than_the_grammar_allows(bike_data: dict[str, Any]) -> None:
    for number in range(6):
        name = f"extra_{number}"
        bike_data["issues"][name] = {"title": "A title of many words, as people like them", "options": ["yes", "no"]}
        for role in bike_data["roles"].values():
            role["weights"][name] = 0.0
            role["values"][name] = {"yes": 0.0, "no": 1.0}
    state = GameState(parse_scenario("wordy", bike_data, "wordy.yaml"))
    for seed in range(20):
        assert permits(legal(state).grammar(), as_written(json.loads(legal(state).sample(random.Random(seed)))))


# -- what is rational ------------------------------------------------------------------------------------------


def worth_it(state: GameState, reply: Reply) -> bool:
    """Whether a move, were it the last word, leaves its seat no worse than without a deal."""
    scenario, seat = state.scenario, state.seat
    settled, turn = (state.table, state.turn) if reply.action is Action.ACCEPT else (reply.offer, state.turn + 1)
    if settled is None:
        return True
    worth = scenario.discounted(scenario.utility(seat, settled), turn // 2 + 1)
    return worth >= scenario.roles[seat].reservation


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_text_of_the_rational_grammar_is_at_least_as_good_as_no_deal(
    shipped: dict[str, Scenario], name: str
) -> None:
    rng = random.Random(name)
    for state in states(shipped[name], rng):
        allowed = rational(state)
        grammar = allowed.grammar()
        for _ in range(tries(8)):
            for text in (written_under(grammar, rng), allowed.sample(rng)):
                reply = read_reply(text, state)
                assert reply.action in allowed.actions, (text, reply.detail)
                assert worth_it(state, reply)
                assert allowed.problem(reply) is None


@given(data=st.data(), seed=st.integers(0, 10**6))
@examples(20)
def test_grammar_check_and_reservation_value_agree(
    data: st.DataObject, seed: int, scenarios: st.SearchStrategy[Scenario]
) -> None:
    """Whatever is legal is allowed exactly if it is rational, and leaving always is."""
    scenario = data.draw(scenarios)
    offers = st.fixed_dictionaries({name: st.sampled_from(issue.choices) for name, issue in scenario.issues.items()})
    picked = [{name: o[name] for name in scenario.issues} for o in data.draw(st.lists(offers, min_size=1, max_size=4))]
    for state in states(scenario, random.Random(seed)):
        allowed = rational(state)
        grammar = allowed.grammar()
        moves = [(Action.OFFER, offer) for offer in picked] + [(Action.ACCEPT, None), (Action.WALK_AWAY, None)]
        for action, offer in moves:
            text = as_written({"thought": "x", "action": action, "offer": offer, "message": "y"})
            reply = read_reply(text, state)
            fine = reply.action is not None and worth_it(state, reply)
            assert permits(grammar, text) == fine
            if reply.action is not None:
                assert (allowed.problem(reply) is None) == fine
        assert allowed.actions[-1] is Action.WALK_AWAY
        text = written_under(grammar, random.Random(seed))
        assert worth_it(state, read_reply(text, state))


def test_without_an_acceptable_offer_only_walking_away_is_allowed(of_points: Callable[..., Scenario]) -> None:
    state = GameState(of_points((0.3, 0.5), (0.4, 0.9), reservation=(0.5, 0.0)))
    assert rational(state).actions == (Action.WALK_AWAY,)
    rng = random.Random(1)
    assert {read_reply(written_under(rational(state).grammar(), rng), state).action for _ in range(10)} == {
        Action.WALK_AWAY
    }


def test_a_good_offer_may_be_accepted_though_none_can_be_made(of_points: Callable[..., Scenario]) -> None:
    """With half the worth a round, b could take 0.9 now; what it offers is answered when it is worth half."""
    state = GameState(of_points((0.5, 0.9), (0.9, 0.1), reservation=(0.0, 0.5), discount=0.5))
    allowed = rational(state.apply(Action.OFFER, {"deal": "o0"}))
    assert allowed.actions == (Action.ACCEPT, Action.WALK_AWAY)


def test_a_refusal_says_why(answering: GameState) -> None:
    allowed = rational(GameState(answering.scenario, 1, table={"price": 200, "lock": "without"}))
    assert allowed.problem(Reply(Action.ACCEPT)) == (
        "illegal_action",
        "Their offer is worth less to you than no deal, so you cannot accept it.",
    )
    kind, detail = allowed.problem(Reply(Action.OFFER, {"price": 200, "lock": "without"})) or ("", "")
    assert (kind, detail) == (
        "off_menu",
        "Your offer is worth less to you than no deal. Offer something better for you.",
    )
    assert allowed.problem(Reply(Action.WALK_AWAY)) is None


def test_a_schema_says_what_it_can(answering: GameState) -> None:
    """For backends that take no Lark: accepting is left out, the offers are checked when they are read."""
    schema = rational(GameState(answering.scenario, 1, table={"price": 200, "lock": "without"})).grammar().schema
    assert '"accept"' not in json.dumps(schema)
    assert '"accept"' in json.dumps(rational(answering).grammar().schema)


def test_numbers_are_ranges_however_many_there_are(bike_data: dict[str, Any]) -> None:
    bike_data["issues"]["price"]["range"] = {"min": 100, "max": 900_000, "step": 100}
    for role, (low, high) in zip(bike_data["roles"].values(), ((0.0, 1.0), (1.0, 0.0)), strict=True):
        role["values"]["price"] = {100: low, 900_000: high}
    state = GameState(parse_scenario("dear", bike_data, "dear.yaml"))
    for allowed in (legal(state), rational(state)):
        grammar = allowed.grammar()
        assert len(grammar.lark or json.dumps(grammar.schema)) < 4000
        reply = read_reply(written_under(grammar, random.Random(3)), state)
        assert reply.kind is None


# -- what is decided -------------------------------------------------------------------------------------------


def decided(state: GameState, action: Action, offer: Any = None) -> Decided:
    return Decided(state, action, offer, "Here it is.")


@pytest.mark.parametrize("action", list(Action))
def test_only_the_words_are_free(answering: GameState, action: Action) -> None:
    offer = GOOD if action is Action.OFFER else None
    allowed, rng = decided(answering, action, offer), random.Random(str(action))
    grammar = allowed.grammar()
    said = set()
    for text in (*(written_under(grammar, rng) for _ in range(15)), grammar.sample(rng)):  # type: ignore[misc]
        reply = read_reply(text, answering)
        assert (reply.action, reply.offer, reply.thought) == (action, offer, "")
        assert 0 < len(reply.message) <= MAX_TOKENS
        assert allowed.problem(reply) is None, reply.message
        said.add(reply.message)
    assert len(said) > 10
    for other in (Reply(Action.WALK_AWAY), Reply(Action.ACCEPT), Reply(Action.OFFER, {**GOOD, "price": 160})):
        if other.action is not action or other.offer != offer:
            problem = allowed.problem(replace_message(other))
            assert problem is not None
            assert problem[0] == "illegal_action"


@pytest.mark.parametrize("action", list(Action))
def test_a_small_model_is_led_to_speak_for_itself(answering: GameState, action: Action) -> None:
    begins = {
        Action.OFFER: "I offer this because ",
        Action.ACCEPT: "I accept because ",
        Action.WALK_AWAY: "I leave because ",
    }
    allowed = replace(decided(answering, action, GOOD if action is Action.OFFER else None), led=True)
    rng = random.Random(str(action))
    for _ in range(10):
        reply = read_reply(written_under(allowed.grammar(), rng), answering)
        assert reply.message.startswith(begins[action])
        assert allowed.problem(reply) is None, reply.message


def replace_message(reply: Reply) -> Reply:
    return Reply(reply.action, reply.offer, "Hello.")


SAID = {
    "How about 150?": True,
    "How about €150, as a friend?": True,
    "150.": True,
    "(150) it is": True,
    "Let us say price = 150 or we stop": True,
    "Price: €150, with the lock": True,
    "My offer stands.": True,
    "Ça vous va ? Ja, natürlich: 好的": True,
    "How about 160?": False,
    "How about 15?": False,
    "How about 1500?": False,
    "How about 150.5?": False,
    "How about 150,000?": False,
    "How about 150k?": False,
    "How about -150?": False,
    "150150": False,
    "150 160": False,
    "from 100 to 150": False,
    "one hundred and fifty": False,
    "Twenty more": False,
    "I want TWICE that": False,
    "half of it": False,
    "١٥٠ it is": False,
    "１５０": False,
    "¹⁵⁰ or ½": False,
    "Ⅻ times": False,
    'a "quote"': False,
    "back\\slash": False,
    "two\nlines": False,
    "": False,
    "x" * 1001: False,
}


@pytest.mark.parametrize(("message", "fine"), SAID.items(), ids=[f"{n}: {m[:20]}" for n, m in enumerate(SAID)])
def test_a_message_has_no_other_numbers_than_its_offer(answering: GameState, message: str, fine: bool) -> None:
    allowed = decided(answering, Action.OFFER, GOOD)
    assert (allowed.problem(Reply(Action.OFFER, GOOD, message)) is None) == fine
    text = as_written({"thought": "", "action": "offer", "offer": GOOD, "message": message})
    assert permits(allowed.grammar(), text) == fine


def test_acceptances_name_the_offer_on_the_table_and_walking_away_names_none(answering: GameState) -> None:
    accepting, leaving = decided(answering, Action.ACCEPT), decided(answering, Action.WALK_AWAY)
    assert accepting.problem(Reply(Action.ACCEPT, None, "Fine, 150 then.")) is None
    assert accepting.problem(Reply(Action.ACCEPT, None, "Fine, 140 then.")) is not None
    assert leaving.problem(Reply(Action.WALK_AWAY, None, "150 is too dear.")) is not None
    assert leaving.problem(Reply(Action.WALK_AWAY, None, "Too dear.")) is None


def test_with_several_numbers_each_is_said_with_its_name(shipped: dict[str, Scenario]) -> None:
    """A bare number could be taken for another issue's."""
    speech = Speech(shipped["compute_split"], {"gpus": 4, "cores": 32, "nights": 6})
    assert speech.allows("I think gpus = 4 and cores: 32 are fair")
    assert speech.allows("Graphics cards for the vision group: 4")
    for wrong in ("I want 32", "gpus = 32", "cores = 4", "4 gpus", "gpus = 4 more", "gpus = 4, cores = 33"):
        assert speech.allows(wrong) == (wrong == "gpus = 4 more")


def test_a_message_cut_after_a_space_by_the_token_limit_is_allowed(shipped: dict[str, Scenario]) -> None:
    speech = Speech(shipped["compute_split"], {"gpus": 4, "cores": 32, "nights": 6})
    assert speech.allows("I think gpus = 4 and ")
    assert not speech.allows("I think  so")
    assert not speech.allows(" I think so")


def test_options_may_be_said_as_they_are_called(shipped: dict[str, Scenario]) -> None:
    deal = {"shares": "50 percent", "lead": "start-up", "site": "new site", "term": "three years"}
    speech = Speech(shipped["joint_venture"], deal)
    assert speech.allows("We take 50 percent for three years.")
    assert not speech.allows("We take 60 percent for three years.")
    assert not speech.allows("We take 50 percent for five years.")


@pytest.mark.parametrize("name", SCENARIOS)
def test_whatever_is_written_for_a_decided_offer_is_read_as_it(shipped: dict[str, Scenario], name: str) -> None:
    rng = random.Random(name)
    for state in states(shipped[name], rng):
        offer = {issue: rng.choice(about.choices) for issue, about in state.scenario.issues.items()}
        allowed = decided(state, Action.OFFER, offer)
        for _ in range(5):
            reply = read_reply(written_under(allowed.grammar(), rng), state)
            assert (reply.offer, allowed.problem(reply)) == (offer, None)


# -- thinking first --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["legal", "rational", "decided"])
def test_thinking_comes_first_and_has_an_end(answering: GameState, kind: str) -> None:
    kinds: dict[str, Allowed | Decided] = {
        "legal": legal(answering), "rational": rational(answering), "decided": decided(answering, Action.OFFER, GOOD)
    }  # fmt: skip
    allowed = kinds[kind]
    grammar, rng = allowed.grammar(thinking=40), random.Random(kind)
    reply = allowed.grammar().sample(rng)  # type: ignore[misc]
    text = as_written(json.loads(reply))
    assert permits(grammar, text)
    assert permits(grammar, f"<think>{'x' * 40}</think>{text}")
    assert permits(grammar, f"<think>Well.\n{{</think>\n\n{text}")
    assert not permits(grammar, f"<think>{'x' * 41}</think>{text}")
    assert not permits(grammar, f"<think>Well.{text}")
    assert not permits(grammar, f"Well.</think>{text}")
    assert not permits(allowed.grammar(), f"<think></think>{text}")
    for _ in range(10):
        written = written_under(grammar, rng)
        thinking, rest = split_thinking(written)
        assert len(thinking) <= 40
        assert allowed.problem(read_reply(rest, answering)) is None
