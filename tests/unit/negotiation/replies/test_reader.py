"""How a model's reply is read: strictly, and never as an acceptance that is not exactly one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from negotiation.game.protocol import Action, GameState
from negotiation.replies.reader import MAX_REPLY, Reply, glimpse, read_reply
from negotiation.scenario.model import Scenario
from tests.support.effort import examples
from tests.support.hostile import (
    ACCEPTED,
    EMPTY,
    GOOD,
    HOSTILE,
    ILLEGAL,
    NOT_JSON,
    OFF_MENU,
    OFFERED,
    WRONG_SHAPE,
    YES,
    accept,
    offer,
)


@pytest.fixture(scope="session")
def answering(bike: Scenario) -> GameState:
    """The state in which b may answer an offer."""
    return GameState(bike).apply(Action.OFFER, GOOD)


@pytest.mark.parametrize(("text", "kind"), HOSTILE.values(), ids=HOSTILE)
def test_a_bad_reply_has_its_kind_and_nothing_else(answering: GameState, text: str, kind: str) -> None:
    reply = read_reply(text, answering)
    assert reply == Reply(kind=reply.kind, detail=reply.detail)
    assert reply.kind == kind
    assert reply.detail.endswith(".")
    assert len(reply.detail) < 300
    assert reply.detail.isprintable()


def test_there_are_hostile_replies_of_every_kind() -> None:
    kinds = [kind for _, kind in HOSTILE.values()]
    assert len(kinds) >= 400
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
def test_exactly_one_acceptance_is_one(answering: GameState, text: str) -> None:
    assert read_reply(text, answering) == Reply(Action.ACCEPT, None, "Deal!", "Fine.")


def test_an_offer_is_read_with_its_types(answering: GameState) -> None:
    reply = read_reply(offer(), answering)
    assert reply == Reply(Action.OFFER, GOOD, "Deal!", "Fine.")
    assert reply.offer is not None
    assert type(reply.offer["price"]) is int


def test_walking_away_is_read(bike: Scenario) -> None:
    reply = read_reply(accept(action="walk_away"), GameState(bike))
    assert reply == Reply(Action.WALK_AWAY, None, "Deal!", "Fine.")


def test_thoughts_and_messages_never_act(answering: GameState) -> None:
    text = json.dumps({**OFFERED, "thought": YES, "message": 'I accept! {"action": "accept"}'})
    reply = read_reply(text, answering)
    assert (reply.action, reply.offer, reply.thought) == (Action.OFFER, GOOD, YES)


def test_without_an_offer_on_the_table_nothing_can_be_accepted(bike: Scenario) -> None:
    reply = read_reply(YES, GameState(bike))
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
def test_texts_lose_what_no_database_or_page_can_hold(answering: GameState, written: str, kept: str) -> None:
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
        (offer(lock=1), "In the offer, lock must be a string."),
        (offer(price=155), "'price' cannot be '155' (allowed: whole numbers from 100 to 200 in steps of 10)"),
        (YES[:-1] + ', "action": "offer"}', "The key 'action' appears twice in the reply."),
        (accept(message="x" * MAX_REPLY), "The reply was longer than 20000 characters."),
        (f"```json\n{YES}\n```", "The reply was not exactly one JSON object. Write it without a code fence."),
    ],
)
def test_the_detail_explains_the_fault_to_the_model(answering: GameState, text: str, says: str) -> None:
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
@examples(800)
def test_a_spoilt_acceptance_is_one_only_if_it_still_says_so(bike: Scenario, edits: list[tuple[int, int, str]]) -> None:
    text = YES
    for start, length, new in edits:
        text = text[:start] + new + text[start + length :]
    reply = read_reply(text, GameState(bike).apply(Action.OFFER, GOOD))
    if reply.action is not None:
        pairs = json.loads(text, object_pairs_hook=list)
        assert sorted(key for key, _ in pairs) == ["action", "message", "offer", "thought"]
        assert ("action", "accept") in pairs
        assert ("offer", None) in pairs
        assert reply.action is Action.ACCEPT


WORDS = st.sampled_from([*'{}[]":,\\ \n', '"accept"', '"action"', '"offer"', "null", "not", "1"])


@given(text=st.lists(WORDS, max_size=20).map("".join))
@examples(300)
def test_no_text_by_chance_has_an_action(bike: Scenario, text: str) -> None:
    assert read_reply(text, GameState(bike).apply(Action.OFFER, GOOD)).action is None


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
@examples(400)
def test_any_value_in_any_key_is_read_exactly_or_refused(
    bike: Scenario, data: st.DataObject, key: str, value: object
) -> None:
    base = data.draw(st.sampled_from([ACCEPTED, OFFERED]))
    changed: dict[str, Any] = {**base, key: value} if key in base else {**base, "offer": {**GOOD, key: value}}
    reply = read_reply(json.dumps(changed), GameState(bike).apply(Action.OFFER, GOOD))
    if reply.action is None:
        assert reply.kind is not None
        assert (reply.offer, reply.message, reply.thought) == (None, "", "")
    else:
        assert reply.action == changed["action"]
        assert reply.offer == changed["offer"]
        assert (reply.action is Action.OFFER) == (bike.problem(reply.offer) is None)


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
@examples(60)
def test_a_growing_text_is_seen_growing(bike: Scenario, thought: str, message: str, escaped: bool) -> None:
    told = {**ACCEPTED, "thought": thought, "message": message}
    text = json.dumps(told, ensure_ascii=escaped)
    reply = read_reply(text, GameState(bike).apply(Action.OFFER, GOOD))
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
@examples(400)
def test_a_glimpse_of_anything_is_text_that_can_be_shown(text: str) -> None:
    for end in range(len(text) + 1):
        for seen in glimpse(text[:end]).values():
            assert seen.encode("utf-8").decode("utf-8") == seen
            assert "\0" not in seen


def test_a_glimpse_of_megabytes_is_quick() -> None:
    assert len(glimpse('{"thought": "' + "a\\n" * 700_000)["thought"]) == 1_400_000
    assert glimpse('"thought"' * 200_000) == {}
    assert glimpse('"message" : "\\' + " " * 1_000_000) == {"message": "\\" + " " * 1_000_000}
