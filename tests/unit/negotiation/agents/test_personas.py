"""The characters of scripted strategies: they always talk, never repeat themselves, and say only what is true."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, get_args

import pytest

from negotiation.agents import strategies
from negotiation.agents.moves import Heard, Moment, MoveKind
from negotiation.agents.personas import LINES, persona
from negotiation.agents.phrases import Template, sentences
from negotiation.agents.remarks import remarks
from negotiation.agents.strategies import STRATEGIES
from negotiation.game.events import Turn, TurnTaken
from negotiation.game.protocol import Action
from negotiation.game.session import Negotiation, negotiate, replay, view_of
from negotiation.replies.narration import MAX_MESSAGE, NUMBER_WORDS
from negotiation.replies.reader import Reply
from negotiation.scenario.analysis import Analyser
from negotiation.scenario.model import SEATS, Offer, Scenario, Seat

NAMES = list(STRATEGIES)
FOES = ("boulware", "tit_for_tat", "random")
ALWAYS = {"me", "other", "round", "topic"}
WITH_OFFER = ALWAYS | {"ask", "“ask”"}
CERTAIN: Mapping[MoveKind, set[str]] = {
    MoveKind.LEAVE: ALWAYS,
    MoveKind.SMALL: WITH_OFFER | {"gift", "“gift”"},
    MoveKind.LARGE: WITH_OFFER | {"gift", "“gift”"},
    MoveKind.RAISE: WITH_OFFER | {"gain", "“gain”"},
}
"""Slots that have a value whatever the offer is, by kind of move; for the others, `WITH_OFFER`."""
SLOTS = WITH_OFFER | {"less", "gift", "“gift”", "gain", "“gain”", "pinch", "“pinch”"}
MOVES = {
    "books_hats_balls": "dba761cacf121de3",
    "camp_supplies": "bbea5318b4daf527",
    "company_car": "8e4385deab4d9735",
    "compute_split": "4f84d28b7fba2238",
    "film_rights": "ff742833e43483cc",
    "flat_lease": "a9efecf56714caef",
    "holiday_plan": "eba0af6ec1ea8794",
    "job_offer": "1895d98ae7bc6e04",
    "joint_venture": "8c56da68652e6d9a",
    "merger_terms": "a92c907e307d78d3",
    "night_train": "4bc53c400edc2404",
    "river_treaty": "1f91ef49c2eeee57",
    "supply_contract": "6ef44f6a2232dea8",
    "used_camera": "4563d2c537c0f43e",
}
"""Digests of the moves in `games`, made with the program that still had no characters (commit 171fd35)."""

Games = Mapping[tuple[str, str, str], Sequence[Turn]]


def numbers(message: str) -> list[str]:
    """Return the numbers in a message, without thousands separators."""
    return [re.sub(r",(?=\d{3}(?!\d))", "", number) for number in re.findall(r"\d[\d,.]*\d|\d", message)]


def played(scenario: Scenario, a: str, b: str, seed: int = 7) -> list[Turn]:
    """The turns of a negotiation between two strategies."""
    agents = {"a": STRATEGIES[a], "b": STRATEGIES[b]}
    events = negotiate(Negotiation("run", scenario, agents, seed))  # type: ignore[arg-type]
    return [event.turn for event in events if isinstance(event, TurnTaken)]


@pytest.fixture(scope="session")
def games(shipped: dict[str, Scenario]) -> Games:
    """Negotiations of every strategy in every shipped scenario."""
    return {(key, a, b): played(shipped[key], a, b) for key in sorted(shipped) for a in NAMES for b in FOES}


# -- the lines -------------------------------------------------------------------------------------------------


def test_every_strategy_is_somebody() -> None:
    assert len({strategy.persona for strategy in STRATEGIES.values()}) == len(NAMES)
    assert STRATEGIES["boulware"].label == "The Hardhead — holds out, then gives in late (boulware)"
    assert {path.stem for path in LINES.glob("*")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_lines_are_plain_words_without_numbers(name: str) -> None:
    character = persona(name)
    lines = [line for by_heard in character.lines.values() for some in by_heard.values() for line in some]
    assert not [line for line, count in Counter(lines).items() if count > 1]
    number = re.compile(rf"(?i)\d|\b({'|'.join(NUMBER_WORDS.split())})\b")
    for line in [*lines, *character.late.values()]:
        assert number.search(line) is None, line
        assert '"' not in line
        assert "  " not in line
        assert Template.parse(line).slots <= SLOTS, line


@pytest.mark.parametrize("name", NAMES)
def test_something_can_be_said_about_every_move(name: str) -> None:
    character = persona(name)
    for kind, by_heard in character.lines.items():
        certain = CERTAIN.get(kind, WITH_OFFER)
        assert len([line for line in by_heard["any"] if Template.parse(line).slots <= certain]) >= 3, kind
    for late in character.late.values():
        assert {"me", "round"} <= Template.parse(late).slots <= ALWAYS, "the role and the round make it unique"
        assert len(sentences(late)) == 1


MOMENTS: Mapping[MoveKind, tuple[Offer | None, Offer | None]] = {
    **dict.fromkeys(MoveKind, ({"price": 150, "lock": "with"}, {"price": 170, "lock": "with"})),
    MoveKind.OPEN: ({"price": 200, "lock": "without"}, None),
    MoveKind.HOLD: ({"price": 150, "lock": "with"}, {"price": 150, "lock": "with"}),
    MoveKind.RAISE: ({"price": 150, "lock": "with"}, {"price": 130, "lock": "with"}),
    MoveKind.LEAVE: (None, {"price": 150, "lock": "with"}),
}
"""For each kind of move an offer of the seller, and the one before it."""


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", list(MoveKind))
def test_every_kind_of_move_gets_a_short_message(bike: Scenario, name: str, kind: MoveKind) -> None:
    offer, before = MOMENTS[kind]
    named = {str(offer["price"])} if offer else set()
    for heard in get_args(Heard):
        now = Moment(bike, "a", kind, 2, heard, offer, before)
        messages = {persona(name).say(now, random.Random(seed)) for seed in range(20)}
        assert len(messages) > 3
        for message in messages:
            assert len(message) <= MAX_MESSAGE
            assert 1 <= len(sentences(message)) <= 3
            assert message[0].isupper() or message.startswith(("“", "€", "lock: "))
            assert message[-1] in ".!?"
            assert not set("{}[]|_") & set(message)
            assert set(numbers(message)) <= named


# -- what they say in negotiations -----------------------------------------------------------------------------


def test_the_moves_are_those_of_before_they_talked(games: Games, shipped: dict[str, Scenario]) -> None:
    """If a shipped scenario or a tactic changes, its moves change: then replace the digests."""
    found = {}
    for key in sorted(shipped):
        moves = [[[turn.action, turn.offer] for turn in games[key, a, b]] for a in NAMES for b in FOES]
        found[key] = hashlib.sha256(json.dumps(moves, sort_keys=True).encode()).hexdigest()[:16]
    assert found == MOVES


def test_words_have_no_influence_on_moves(shipped: dict[str, Scenario], monkeypatch: pytest.MonkeyPatch) -> None:
    talking = {(a, b): played(shipped["used_camera"], a, b) for a in NAMES for b in NAMES}
    monkeypatch.setattr(strategies, "spoken", lambda *_: "")
    for (a, b), turns in talking.items():
        mute = played(shipped["used_camera"], a, b)
        assert [(turn.action, turn.offer) for turn in mute] == [(turn.action, turn.offer) for turn in turns]


def test_no_sentence_is_said_again_in_a_run(games: Games) -> None:
    for game, turns in games.items():
        assert all(turn.message for turn in turns)
        said = Counter(sentence for turn in turns for sentence in sentences(turn.message))
        assert not [sentence for sentence, count in said.items() if count > 1], game


@pytest.mark.parametrize("name", NAMES)
def test_no_sentence_is_said_again_in_hundreds_of_rounds(shipped: dict[str, Scenario], name: str) -> None:
    """Both seats have the same lines and hold the same offers, which leaves the least to say."""
    rounds = 120
    for scenario in shipped.values():
        said: list[str] = []
        for number in range(1, rounds + 1):
            for seat in SEATS:
                offer = {key: issue.choices[0] for key, issue in scenario.issues.items()}
                now = Moment(scenario, seat, MoveKind.HOLD, number, "held", offer, offer)
                said.append(persona(name).say(now, random.Random(f"{seat} {number}"), said))
        spoken = Counter(sentence for message in said for sentence in sentences(message))
        assert not [sentence for sentence, count in spoken.items() if count > 1], scenario.scenario_id


@pytest.mark.parametrize("name", ["hardliner", "boulware", "tit_for_tat"])
def test_no_message_is_repeated_in_a_long_run(shipped: dict[str, Scenario], name: str) -> None:
    scenario = shipped["night_train"].model_copy(update={"rounds": 300})
    turns = played(scenario, name, "hardliner")
    assert len({turn.message for turn in turns}) == len(turns) == 600


@pytest.mark.parametrize("name", NAMES)
def test_once_the_lines_are_used_up_the_role_and_the_round_keep_messages_unique(bike: Scenario, name: str) -> None:
    offer, _ = MOMENTS[MoveKind.ACCEPT]
    said: list[str] = []
    for number in range(1, 40):
        for seat in SEATS:
            now = Moment(bike, seat, MoveKind.ACCEPT, number, "gave", offer)
            said.append(persona(name).say(now, random.Random(f"{seat} {number}"), said))
    assert len(set(said)) == len(said)
    assert ["thirty-nine, and Seller" in said[-2], "thirty-nine, and Buyer" in said[-1]] == [True, True]


def test_messages_name_only_values_of_the_offer(games: Games, shipped: dict[str, Scenario]) -> None:
    named = 0
    for (key, *_), turns in games.items():
        scenario = shipped[key]
        for before, turn in zip([None, *turns], turns, strict=False):
            settled = before.offer if turn.action is Action.ACCEPT and before is not None else turn.offer
            found = list(statements(scenario, turn.message))
            named += len(found)
            assert all(
                settled is not None and scenario.issues[issue].show(settled[issue]) == said for issue, said in found
            )
            if turn.action is Action.WALK_AWAY:
                assert not numbers(turn.message)
    assert named > 1000


def statements(scenario: Scenario, message: str) -> Iterator[tuple[str, str]]:
    """The terms that a message states, as issue and value in words."""
    for name, issue in scenario.issues.items():
        title = f"{issue.title or name}: "
        for start in re.finditer(re.escape(title), message):
            rest = message[start.end() :]
            options = {issue.show(choice) for choice in issue.choices}
            yield name, max((option for option in options if rest.startswith(option)), key=len, default=rest)


def test_messages_raise_no_remark(games: Games, shipped: dict[str, Scenario]) -> None:
    analysers = {key: Analyser(scenario) for key, scenario in shipped.items() if scenario.outcomes < 20_000}
    for (key, a, b), turns in games.items():
        if key not in analysers:
            continue
        agents: Mapping[Seat, Any] = {"a": STRATEGIES[a], "b": STRATEGIES[b]}
        negotiation = Negotiation("run", shipped[key], agents, 7)
        for number, turn in enumerate(turns):
            view = view_of(
                negotiation, analysers[key], replay(shipped[key], tuple(turns[:number])), list(turns[:number])
            )
            reply = Reply(turn.action, turn.offer, turn.message)
            assert remarks(view, reply, transcript=False) == (), turn.message


def test_the_same_seed_says_the_same_and_another_seed_says_it_differently(shipped: dict[str, Scenario]) -> None:
    scenario = shipped["used_camera"]
    first, again, another = (played(scenario, "boulware", "boulware", seed) for seed in (1, 1, 2))
    assert [turn.message for turn in first] == [turn.message for turn in again]
    assert len({turn.message for turn in first} & {turn.message for turn in another}) < len(first) / 2


def test_lanes_with_the_same_seat_and_seed_differ_in_words(shipped: dict[str, Scenario]) -> None:
    scenario = shipped["used_camera"]
    lanes = [played(scenario, first, "boulware", 1) for first in ("boulware", "conceder")]
    words = [{turn.message for turn in lane if turn.seat == "b"} for lane in lanes]
    assert not words[0] & words[1]


def test_what_others_said_is_not_repeated_either(make_view: Callable[..., Any], bike: Scenario) -> None:
    offer = {"price": 200, "lock": "without"}
    own = STRATEGIES["hardliner"].decide(make_view(bike, [(Action.OFFER, offer, ""), (Action.OFFER, offer, "Hm.")]))
    moves = [(Action.OFFER, offer, ""), (Action.OFFER, offer, own.message)]
    assert STRATEGIES["hardliner"].decide(make_view(bike, moves)).message != own.message
