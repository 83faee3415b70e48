"""How a model's reply is read: strictly, and never as an acceptance that is not exactly one."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import llguidance
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from negotiation.allowed import MAX_MESSAGE, MAX_THOUGHT, legal
from negotiation.protocol import Action, State
from negotiation.reply import MAX_REPLY, Reply, glimpse, read_reply
from negotiation.scenario import Scenario, parse_scenario

GOOD = {"price": 150, "lock": "with"}
ACCEPTED = {"thought": "Fine.", "action": "accept", "offer": None, "message": "Deal!"}
OFFERED = {**ACCEPTED, "action": "offer", "offer": GOOD}


def accept(**changes: Any) -> str:
    """An acceptance, spoilt."""
    return json.dumps({**ACCEPTED, **changes})


def offer(**changes: Any) -> str:
    """An offer with some of its options spoilt."""
    return json.dumps({**OFFERED, "offer": {**GOOD, **changes}})


def without(key: str) -> str:
    return json.dumps({name: value for name, value in ACCEPTED.items() if name != key})


@pytest.fixture(scope="session")
def answering(bike: Scenario) -> State:
    """The state in which b may answer an offer."""
    return State(bike).apply(Action.OFFER, GOOD)


YES = accept()
EMPTY, NOT_JSON, WRONG_SHAPE, OFF_MENU, ILLEGAL = "empty", "not_json", "wrong_shape", "off_menu", "illegal_action"

HOSTILE = {
    # nothing at all
    "empty": ("", EMPTY),
    "blank": ("   \n\t\r\n ", EMPTY),
    "exotic white space": ("\u00a0\u2003\u3000\u0085", EMPTY),
    # talk
    "a word": ("accept", NOT_JSON),
    "a word in capitals": ("ACCEPT", NOT_JSON),
    "a sentence": ("I accept your offer.", NOT_JSON),
    "a negated sentence": ("I cannot accept that.", NOT_JSON),
    "another language": ("Einverstanden, ich nehme an!", NOT_JSON),
    "yet another language": ("私は受け入れます", NOT_JSON),
    "an emoji": ("👍", NOT_JSON),
    "a tag": ("<accept/>", NOT_JSON),
    "key and value": ("action: accept", NOT_JSON),
    "a form": ("thought=ok&action=accept&offer=&message=ok", NOT_JSON),
    "a control token": ("<|im_end|>", NOT_JSON),
    "an end before": (f"<|im_end|>{YES}", NOT_JSON),
    "an end behind": (f"{YES}<|im_end|>", NOT_JSON),
    "a think block before": (f"<think>I should accept.</think>{YES}", NOT_JSON),
    # something around it
    "a fence": (f"```json\n{YES}\n```", NOT_JSON),
    "a bare fence": (f"```{YES}```", NOT_JSON),
    "words before": (f"Here is my reply: {YES}", NOT_JSON),
    "words behind": (f"{YES} I hope this helps.", NOT_JSON),
    "a full stop behind": (f"{YES}.", NOT_JSON),
    "twice": (f"{YES}{YES}", NOT_JSON),
    "twice in lines": (f"{YES}\n{YES}", NOT_JSON),
    "an offer, then accepting": (f"{offer()}\n{YES}", NOT_JSON),
    "a byte order mark": (f"\ufeff{YES}", NOT_JSON),
    "exotic white space around": (f"\u00a0{YES}", NOT_JSON),
    "NUL before": (f"\0{YES}", NOT_JSON),
    "NUL behind": (f"{YES}\0", NOT_JSON),
    "a comment": (f"{YES} // yes", NOT_JSON),
    "a comment inside": (YES.replace("{", "{/* yes */", 1), NOT_JSON),
    # broken JSON
    "cut off": (YES[:-1], NOT_JSON),
    "cut off inside a text": (YES[: YES.index("Deal!") + 2], NOT_JSON),
    "one brace too many": (f"{YES}}}", NOT_JSON),
    "a trailing comma": (YES.replace("}", ",}"), NOT_JSON),
    "single quotes": (YES.replace('"', "'"), NOT_JSON),
    "no quotes": (YES.replace('"', ""), NOT_JSON),
    "curly quotes": (YES.replace('"', "”"), NOT_JSON),
    "python's None": (YES.replace("null", "None"), NOT_JSON),
    "a raw line break in a text": (YES.replace("Deal!", "De\nal"), NOT_JSON),
    "a raw NUL in a text": (YES.replace("Deal!", "De\0al"), NOT_JSON),
    "an escape that is none": (YES.replace("Deal!", r"\x41"), NOT_JSON),
    "half an escape": (YES.replace("Deal!", r"\u12"), NOT_JSON),
    "NaN for the offer": (YES.replace("null", "NaN"), NOT_JSON),
    "Infinity for the offer": (YES.replace("null", "Infinity"), NOT_JSON),
    "a price of NaN": (offer().replace("150", "NaN"), NOT_JSON),
    "a price of -Infinity": (offer().replace("150", "-Infinity"), NOT_JSON),
    "a number with a leading zero": (offer().replace("150", "0150"), NOT_JSON),
    "a number with a plus": (offer().replace("150", "+150"), NOT_JSON),
    "a hexadecimal number": (offer().replace("150", "0x96"), NOT_JSON),
    "a number with separators": (offer().replace("150", "1_50"), NOT_JSON),
    "a bare number with a currency": (offer().replace("150", "€150"), NOT_JSON),
    "full-width digits": (offer().replace("150", "１５０"), NOT_JSON),
    "doubled keys, then more text": (YES[:-1] + ', "thought": "x"} and so on', NOT_JSON),
    "doubled keys, cut off": ('{"offer": {"price": 1, "price": 2}, "action": "accept"', NOT_JSON),
    "deep nesting": ("[" * 10_000 + "]" * 10_000, NOT_JSON),
    "deep nesting without an end": ('{"a":' * 3_000, NOT_JSON),
    "a little too long": (accept(message="x" * MAX_REPLY), NOT_JSON),
    "megabytes": (accept(thought="accept " * 500_000), NOT_JSON),
    "megabytes of braces": ("{" * 3_000_000, NOT_JSON),
    # JSON, but no reply
    "a text": ('"accept"', WRONG_SHAPE),
    "a reply in quotes": (json.dumps(YES), WRONG_SHAPE),
    "null": ("null", WRONG_SHAPE),
    "true": ("true", WRONG_SHAPE),
    "a number": ("150", WRONG_SHAPE),
    "an empty object": ("{}", WRONG_SHAPE),
    "a list": (f"[{YES}]", WRONG_SHAPE),
    "only an action": ('{"action": "accept"}', WRONG_SHAPE),
    "only a type": ('{"type": "not_accepted"}', WRONG_SHAPE),
    "nested in a reply": (json.dumps({"reply": ACCEPTED}), WRONG_SHAPE),
    "no thought": (without("thought"), WRONG_SHAPE),
    "no action": (without("action"), WRONG_SHAPE),
    "no offer": (without("offer"), WRONG_SHAPE),
    "no message": (without("message"), WRONG_SHAPE),
    "a key more": (accept(confidence=1), WRONG_SHAPE),
    "a key in capitals": (YES.replace("action", "Action"), WRONG_SHAPE),
    "a key with a blank": (YES.replace("action", "action "), WRONG_SHAPE),
    "a key in another language": (YES.replace("action", "aktion"), WRONG_SHAPE),
    "two actions": (YES[:-1] + ', "action": "accept"}', WRONG_SHAPE),
    "an offer, overruled by a second action": (
        offer()[:-1] + ', "action": "accept", "offer": null}',
        WRONG_SHAPE,
    ),
    "an action spelled in escapes beside another": (YES[:-1] + ', "\\u0061ction": "walk_away"}', WRONG_SHAPE),
    "a doubled key in the offer": (offer().replace('"price": 150', '"price": 150, "price": 100'), WRONG_SHAPE),
    "a doubled empty key": ('{"": 1, "": 2}', WRONG_SHAPE),
    # wrong types
    "a thought of null": (accept(thought=None), WRONG_SHAPE),
    "a thought of a number": (accept(thought=7), WRONG_SHAPE),
    "a message of a list": (accept(message=["Deal!"]), WRONG_SHAPE),
    "a message of an object": (accept(message={"action": "accept"}), WRONG_SHAPE),
    "an action of true": (accept(action=True), WRONG_SHAPE),
    "an action of null": (accept(action=None), WRONG_SHAPE),
    "an action of a list": (accept(action=["accept"]), WRONG_SHAPE),
    "an action of an object": (accept(action={"accept": True}), WRONG_SHAPE),
    "an action of a number": (accept(action=1), WRONG_SHAPE),
    "an action of a huge number": (YES.replace('"accept"', "9" * 6000), WRONG_SHAPE),
    # no such action
    "another letter case": (accept(action="Accept"), ILLEGAL),
    "capitals": (accept(action="ACCEPT"), ILLEGAL),
    "an acceptance with a blank": (accept(action="accept "), ILLEGAL),
    "an acceptance with a line break": (accept(action="accept\n"), ILLEGAL),
    "an acceptance with a full stop": (accept(action="accept."), ILLEGAL),
    "an acceptance with NUL": (accept(action="accept\0"), ILLEGAL),
    "an acceptance with a joiner": (accept(action="accept\u200d"), ILLEGAL),
    "a look-alike acceptance": (accept(action="аccept"), ILLEGAL),
    "full-width acceptance": (accept(action="ａｃｃｅｐｔ"), ILLEGAL),
    "half a character": (accept(action="accept\ud83d"), ILLEGAL),
    "a negated acceptance": (accept(action="not accept"), ILLEGAL),
    "not accepted": (accept(action="not_accepted"), ILLEGAL),
    "accepted": (accept(action="accepted"), ILLEGAL),
    "rejecting": (accept(action="reject"), ILLEGAL),
    "accepting or not": (accept(action="accept|reject"), ILLEGAL),
    "accepting in another language": (accept(action="annehmen"), ILLEGAL),
    "an action of nothing": (accept(action=""), ILLEGAL),
    "the name of the constant": (accept(action="Action.ACCEPT"), ILLEGAL),
    "a counter-offer by name": (json.dumps({**OFFERED, "action": "counter_offer"}), ILLEGAL),
    # accepting, but
    "accepting with the offer": (json.dumps({**OFFERED, "action": "accept"}), WRONG_SHAPE),
    "accepting with an empty offer": (accept(offer={}), WRONG_SHAPE),
    "accepting with an empty text": (accept(offer=""), WRONG_SHAPE),
    "accepting with false": (accept(offer=False), WRONG_SHAPE),
    "accepting with zero": (accept(offer=0), WRONG_SHAPE),
    "accepting with null in quotes": (accept(offer="null"), WRONG_SHAPE),
    "leaving with an offer": (json.dumps({**OFFERED, "action": "walk_away"}), WRONG_SHAPE),
    # an offer, but
    "an offer of nothing": (json.dumps({**OFFERED, "offer": None}), WRONG_SHAPE),
    "an offer of an empty object": (json.dumps({**OFFERED, "offer": {}}), WRONG_SHAPE),
    "an offer of a list": (json.dumps({**OFFERED, "offer": [150, "with"]}), WRONG_SHAPE),
    "an offer of a sentence": (json.dumps({**OFFERED, "offer": "150 with the lock"}), WRONG_SHAPE),
    "an offer in quotes": (json.dumps({**OFFERED, "offer": json.dumps(GOOD)}), WRONG_SHAPE),
    "an issue missing": (json.dumps({**OFFERED, "offer": {"price": 150}}), WRONG_SHAPE),
    "an issue more": (offer(bell="yes"), WRONG_SHAPE),
    "an issue in capitals": (offer().replace("price", "Price"), WRONG_SHAPE),
    "an issue by its title": (offer().replace('"lock"', '"Lock"'), WRONG_SHAPE),
    "a number in quotes": (offer(price="150"), WRONG_SHAPE),
    "a number with its currency": (offer(price="€150"), WRONG_SHAPE),
    "a number in words": (offer(price="one hundred and fifty"), WRONG_SHAPE),
    "a number with a point": (offer(price=150.0), WRONG_SHAPE),
    "a number with an exponent": (offer().replace("150", "1.5e2"), WRONG_SHAPE),
    "an endless number": (offer().replace("150", "1e999"), WRONG_SHAPE),
    "a number of true": (offer(price=True), WRONG_SHAPE),
    "a number of null": (offer(price=None), WRONG_SHAPE),
    "a range of numbers": (offer(price=[140, 150]), WRONG_SHAPE),
    "an option of true": (offer(lock=True), WRONG_SHAPE),
    "an option of its number": (offer(lock=0), WRONG_SHAPE),
    "an option of null": (offer(lock=None), WRONG_SHAPE),
    "several options": (offer(lock=["with", "without"]), WRONG_SHAPE),
    # not on the menu
    "a price below the range": (offer(price=90), OFF_MENU),
    "a price above the range": (offer(price=210), OFF_MENU),
    "a price between two steps": (offer(price=155), OFF_MENU),
    "a negative price": (offer(price=-150), OFF_MENU),
    "no price": (offer(price=0), OFF_MENU),
    "a huge price": (offer(price=10**30), OFF_MENU),
    "a price of thousands of digits": (offer().replace("150", "1" * 6000), OFF_MENU),
    "a debt of thousands of digits": (offer().replace("150", "-" + "1" * 6000), OFF_MENU),
    "an option in capitals": (offer(lock="With"), OFF_MENU),
    "an option with a blank": (offer(lock=" with"), OFF_MENU),
    "no option": (offer(lock=""), OFF_MENU),
    "an option that is none": (offer(lock="maybe"), OFF_MENU),
    "an option in another language": (offer(lock="mit"), OFF_MENU),
    "half a character as an option": (offer(lock="with\udc00"), OFF_MENU),
    "an option of kilobytes": (offer(lock="with" * 2000), OFF_MENU),
}


@pytest.mark.parametrize(("text", "kind"), HOSTILE.values(), ids=HOSTILE)
def test_a_bad_reply_has_its_kind_and_nothing_else(answering: State, text: str, kind: str) -> None:
    reply = read_reply(text, answering)
    assert reply == Reply(kind=reply.kind, detail=reply.detail)
    assert reply.kind == kind
    assert reply.detail.endswith(".")
    assert len(reply.detail) < 300
    assert reply.detail.isprintable()


def test_there_are_hostile_replies_of_every_kind() -> None:
    kinds = [kind for _, kind in HOSTILE.values()]
    assert len(kinds) >= 80
    assert set(kinds) == {EMPTY, NOT_JSON, WRONG_SHAPE, OFF_MENU, ILLEGAL}


# -- what is right ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        YES,
        json.dumps(ACCEPTED, indent=2),
        f" \t\r\n{YES}\r\n",
        json.dumps(ACCEPTED, separators=(",", ":")),
        json.dumps(dict(reversed(ACCEPTED.items()))),
        YES.replace("accept", "\\u0061ccept"),  # the same text, spelled in escapes
    ],
)
def test_exactly_one_acceptance_is_one(answering: State, text: str) -> None:
    assert read_reply(text, answering) == Reply(Action.ACCEPT, None, "Deal!", "Fine.")


def test_an_offer_is_read_with_its_types(answering: State) -> None:
    reply = read_reply(offer(), answering)
    assert reply == Reply(Action.OFFER, GOOD, "Deal!", "Fine.")
    assert reply.offer is not None
    assert type(reply.offer["price"]) is int


def test_walking_away_is_read(bike: Scenario) -> None:
    reply = read_reply(accept(action="walk_away"), State(bike))
    assert reply == Reply(Action.WALK_AWAY, None, "Deal!", "Fine.")


def test_what_is_thought_or_said_never_acts(answering: State) -> None:
    text = json.dumps({**OFFERED, "thought": YES, "message": 'I accept! {"action": "accept"}'})
    reply = read_reply(text, answering)
    assert (reply.action, reply.offer, reply.thought) == (Action.OFFER, GOOD, YES)


def test_without_an_offer_on_the_table_nothing_can_be_accepted(bike: Scenario) -> None:
    reply = read_reply(YES, State(bike))
    assert (reply.action, reply.kind) == (None, "illegal_action")
    assert "no offer from the other side" in reply.detail


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("De\nal\t!", "De\nal\t!"),
        ("a\0b\x07c\x1b[31md\x7f\x85e", "abc[31mde"),
        ("\r\n", "\n"),
        ("😀 \U0001f680", "😀 \U0001f680"),
        ("a\ud83db", "a�b"),
        ("a\udc00", "a�"),
        ("", ""),
    ],
)
def test_texts_lose_what_no_database_or_page_can_hold(answering: State, written: str, kept: str) -> None:
    reply = read_reply(accept(message=written, thought=written), answering)
    assert (reply.message, reply.thought) == (kept, kept)
    assert reply.message.encode("utf-8").decode("utf-8") == kept


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (accept(action="ok"), 'The action must be "offer", "accept" or "walk_away".'),
        (accept(confidence=1), "The reply must have exactly the keys thought, action, offer, message."),
        (accept(offer={}), 'With the action "accept" the offer must be null.'),
        (offer(price="150"), "In the offer, price must be a whole number without quotes."),
        (offer(lock=1), "In the offer, lock must be a text."),
        (offer(price=155), "'price' cannot be '155' (allowed: whole numbers from 100 to 200 in steps of 10)"),
        (YES[:-1] + ', "action": "offer"}', "The key 'action' stands in the reply twice."),
        (accept(message="x" * MAX_REPLY), "The reply was longer than 20000 characters."),
    ],
)
def test_the_fault_is_told_to_the_model(answering: State, text: str, says: str) -> None:
    assert says in read_reply(text, answering).detail


# -- never guessed ---------------------------------------------------------------------------------------------

EDITS = st.lists(
    st.tuples(
        st.integers(0, len(YES)),
        st.integers(0, 4),
        st.sampled_from(
            ["", " ", "\n", '"', "{", "}", ",", ":", "not ", "accept", "null", "\\", "0", "A", "\0", "\ud800"]
        ),
    ),
    min_size=1,
    max_size=3,
)


@given(edits=EDITS)
@settings(max_examples=800, deadline=None, derandomize=True)
def test_a_spoilt_acceptance_is_one_only_if_it_still_says_so(bike: Scenario, edits: list[tuple[int, int, str]]) -> None:
    text = YES
    for start, length, new in edits:
        text = text[:start] + new + text[start + length :]
    reply = read_reply(text, State(bike).apply(Action.OFFER, GOOD))
    if reply.action is not None:
        pairs = json.loads(text, object_pairs_hook=list)
        assert sorted(key for key, _ in pairs) == ["action", "message", "offer", "thought"]
        assert ("action", "accept") in pairs
        assert ("offer", None) in pairs
        assert reply.action is Action.ACCEPT


WORDS = st.sampled_from([*'{}[]":,\\ \n', '"accept"', '"action"', '"offer"', "null", "not", "1"])


@given(text=st.lists(WORDS, max_size=20).map("".join))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_no_text_by_chance_has_an_action(bike: Scenario, text: str) -> None:
    assert read_reply(text, State(bike).apply(Action.OFFER, GOOD)).action is None


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["accept", "offer"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(data=st.data(), key=st.sampled_from([*ACCEPTED, "price", "lock"]), value=VALUES)
@settings(max_examples=400, deadline=None, derandomize=True)
def test_any_value_in_any_key_is_read_exactly_or_refused(
    bike: Scenario, data: st.DataObject, key: str, value: object
) -> None:
    base = data.draw(st.sampled_from([ACCEPTED, OFFERED]))
    changed: dict[str, Any] = {**base, key: value} if key in base else {**base, "offer": {**GOOD, key: value}}
    reply = read_reply(json.dumps(changed), State(bike).apply(Action.OFFER, GOOD))
    if reply.action is None:
        assert reply.kind is not None
        assert (reply.offer, reply.message, reply.thought) == (None, "", "")
    else:
        assert reply.action == changed["action"]
        assert reply.offer == changed["offer"]
        assert (reply.action is Action.OFFER) == (bike.problem(reply.offer) is None)


# -- the grammar -----------------------------------------------------------------------------------------------

BYTES = llguidance.LLTokenizer("byte")


def matcher(state: State) -> Any:
    schema = json.dumps(legal(state).grammar().schema)
    grammar = llguidance.LLMatcher.grammar_from_json_schema(schema, defaults={"whitespace_flexible": False})
    made = llguidance.LLMatcher(BYTES, grammar)
    assert not made.is_error(), made.get_error()
    return made


def written_under(state: State, rng: random.Random) -> str:
    """A text that the grammar allows, byte by byte by chance, as the most mindless model would write it."""
    following, written = matcher(state), bytearray()
    while not following.is_stopped():
        bits = np.unpackbits(np.frombuffer(following.compute_bitmask(), dtype=np.uint8), bitorder="little")
        token = rng.choice(np.flatnonzero(bits[:256]).tolist())
        assert following.consume_token(token)
        written.append(token)
    return written.decode()


def permits(state: State, reply: dict[str, Any]) -> bool:
    """Whether the grammar allows a reply, written without white space."""
    text = json.dumps(reply, ensure_ascii=False, separators=(",", ":")).encode()
    following = matcher(state)
    return int(following.try_consume_tokens(list(text))) == len(text) and bool(following.is_accepting())


def states(scenario: Scenario, rng: random.Random) -> list[State]:
    """A state at the beginning, one in between and one in the last turn."""
    found, state = [State(scenario)], State(scenario)
    while not state.last_turn:
        picked = {name: rng.choice(issue.choices) for name, issue in scenario.issues.items()}
        state = state.apply(Action.OFFER, picked)
        if state.turn == 1 or state.last_turn:
            found.append(state)
    return found


@pytest.mark.parametrize("name", ["company_car", "compute_split", "joint_venture"])
def test_what_the_grammar_makes_parses_and_is_legal(shipped: dict[str, Scenario], name: str) -> None:
    rng = random.Random(name)
    for state in states(shipped[name], rng):
        seen = set()
        for _ in range(60):
            for text in (written_under(state, rng), legal(state).grammar().sample(rng)):  # type: ignore[misc]
                reply = read_reply(text, state)
                assert reply.action in state.legal, (text, reply.detail)
                state.apply(reply.action, reply.offer)
                seen.add(reply.action)
        assert seen == set(state.legal)


@given(data=st.data(), seed=st.integers(0, 10**6))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_scenarios_grammar_makes_legal_replies(
    data: st.DataObject, seed: int, scenarios: st.SearchStrategy[Scenario]
) -> None:
    rng = random.Random(seed)
    for state in states(data.draw(scenarios), rng):
        for text in (written_under(state, rng), legal(state).sample(rng)):
            reply = read_reply(text, state)
            assert reply.action is not None, (text, reply.detail)
            state.apply(reply.action, reply.offer)


@given(data=st.data(), seed=st.integers(0, 10**6))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_every_legal_reply_is_in_the_grammar(
    data: st.DataObject, seed: int, scenarios: st.SearchStrategy[Scenario]
) -> None:
    scenario = data.draw(scenarios)
    picked = {name: data.draw(st.sampled_from(issue.choices)) for name, issue in scenario.issues.items()}
    for state in states(scenario, random.Random(seed)):
        texts = {"thought": "x" * MAX_THOUGHT, "message": "y" * MAX_MESSAGE}
        for action in Action:
            reply = {"thought": texts["thought"], "action": str(action)}
            reply |= {"offer": picked if action is Action.OFFER else None, "message": texts["message"]}
            assert permits(state, reply) == (action in state.legal)


def test_what_may_not_be_written(answering: State) -> None:
    assert permits(answering, ACCEPTED)
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
        assert not permits(answering, spoilt), spoilt


def test_options_may_be_any_text(of_points: Callable[..., Scenario], bike_data: dict[str, Any]) -> None:
    odd = ['say "hi"', "back\\slash", "naïve 日本 😀", "with, without", "null", "1"]
    bike_data["issues"]["lock"]["options"] = odd
    for role in bike_data["roles"].values():
        role["values"]["lock"] = dict.fromkeys(odd, 0.5)
    state = State(parse_scenario("odd", bike_data, "odd.yaml"))
    for option in odd:
        assert permits(state, {**OFFERED, "offer": {"price": 150, "lock": option}})
    rng = random.Random(1)
    assert {read_reply(written_under(state, rng), state).kind for _ in range(40)} == {None}


def test_chance_draws_the_same_reply_from_the_same_seed(answering: State) -> None:
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
    state = State(parse_scenario("wordy", bike_data, "wordy.yaml"))
    for seed in range(20):
        assert permits(state, json.loads(legal(state).sample(random.Random(seed))))


# -- while it is being written ---------------------------------------------------------------------------------


def test_a_glimpse_shows_what_is_there_so_far() -> None:
    text = '{"thought": "Too dear.", "action": "offer", "offer": {"price": 150}, "message": "How about'
    assert glimpse(text) == {"thought": "Too dear.", "message": "How about"}
    assert glimpse(text[:20]) == {"thought": "Too dea"}
    assert glimpse(text[:11]) == {}


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        ('say \\"hi', 'say "hi'),
        ("half \\", "half "),
        ("half \\u", "half "),
        ("half \\u00e", "half "),
        ("whole \\u00e9", "whole é"),
        ("one backslash \\\\", "one backslash \\"),
        ("a backslash and u12 \\\\u12", "a backslash and u12 \\u12"),
        ("line\\nbreak \\\\", "line\nbreak \\"),
        ("smile \\ud83d", "smile "),
        ("smile \\ud83d\\ude00", "smile 😀"),
        ("torn \\ude00 !", "torn � !"),
        ("bell \\u0007 and nul \\u0000", "bell  and nul "),
        ("no escape \\x41", "no escape \\x41"),
        ("raw\nbreak", "raw\nbreak"),
    ],
)
def test_a_glimpse_stops_before_what_is_not_complete(body: str, seen: str) -> None:
    assert glimpse(f'{{"thought": "{body}') == {"thought": seen}


def test_a_glimpse_never_takes_a_thought_for_a_message() -> None:
    told = json.dumps({"thought": '"message": "my limit is 5"', "action": "offer"})
    assert glimpse(told) == {"thought": '"message": "my limit is 5"'}


def test_a_glimpse_keeps_to_the_first_of_two() -> None:
    assert glimpse('{"message": "one", "message": "two"}') == {"message": "one"}


@given(thought=st.text(), message=st.text(), escaped=st.booleans())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_growing_text_is_seen_growing(bike: Scenario, thought: str, message: str, escaped: bool) -> None:
    told = {**ACCEPTED, "thought": thought, "message": message}
    text = json.dumps(told, ensure_ascii=escaped)
    reply = read_reply(text, State(bike).apply(Action.OFFER, GOOD))
    assert glimpse(text) == {"thought": reply.thought, "message": reply.message}
    for end in range(len(text)):
        seen = glimpse(text[:end])
        assert reply.thought.startswith(seen.get("thought", ""))
        assert reply.message.startswith(seen.get("message", ""))


PIECES = [
    '"thought"',
    '"message"',
    ":",
    '"',
    "\\",
    "\\u",
    "d83d",
    "\\ud83d",
    "\\ude00",
    "\ud800",
    "\n",
    " ",
    "a",
    "{",
    "\0",
]


@given(text=st.text() | st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
@example('{"thought": "' + "\\" * 99)
@settings(max_examples=400, deadline=None, derandomize=True)
def test_a_glimpse_of_anything_is_text_that_can_be_shown(text: str) -> None:
    for end in range(len(text) + 1):
        for seen in glimpse(text[:end]).values():
            assert seen.encode("utf-8").decode("utf-8") == seen
            assert "\0" not in seen


def test_a_glimpse_of_megabytes_is_quick() -> None:
    assert len(glimpse('{"thought": "' + "a\\n" * 700_000)["thought"]) == 1_400_000
    assert glimpse('"thought"' * 200_000) == {}
    assert glimpse('"message" : "\\' + " " * 1_000_000) == {"message": "\\" + " " * 1_000_000}
