"""What a message names, in a scenario's own words."""

from __future__ import annotations

from typing import Any

import pytest

from negotiation.replies.named_values import contradictions
from negotiation.replies.vocabulary import Vocabulary
from negotiation.replies.words import plain, sentences
from negotiation.scenario.model import Scenario, Seat, parse_scenario

Shipped = dict[str, Scenario]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("I CAN'T go below €17.5k!", "i cannot go below €17500"),
        ("You won't get 18 thousand.", "you will not get 18000"),
        ("It's 1.5 million.", "it is 1500000"),
        ("Twenty-five percent, or thirty.", "25 percent, or 30"),
        ("1,500 or 1.500 or 1\u202f500, not 1.5", "1500 or 1500 or 1500, not 1.5"),
        ("One of us takes one pack.", "one of us takes 1 pack"),
        ("Let’s say we’re done", "let us say we are done"),
    ],
)
def test_a_text_in_plain_form(message: str, text: str) -> None:
    assert [sentence.text for sentence in sentences(message, {"pack"})] == [text]


def test_sentences_and_questions() -> None:
    found = sentences("Is it €2,500? No. It is 2.5 %!\nYes…")
    assert [(part.text, part.question) for part in found] == [
        ("is it €2500", True),
        ("no", False),
        ("it is 2.5 %", False),
        ("yes", False),
    ]


@pytest.mark.parametrize(
    ("scenario_id", "seat", "message", "named"),
    [
        ("company_car", "a", "I ask for 19,000 euros.", [("price", {19000})]),
        ("company_car", "a", "It has 62,000 km on it.", []),
        ("flat_lease", "b", "€850 for two years.", [("rent", {850}), ("term", {"two years"})]),
        ("flat_lease", "b", "Two months of deposit.", [("deposit", {2})]),
        ("flat_lease", "a", "Practice until eight.", [("practice", {"until eight in the evening"})]),
        ("flat_lease", "a", "The cat is welcome.", [("cat", {"welcome"})]),
        ("flat_lease", "a", "You are welcome.", []),
        ("supply_contract", "a", "Shipped within 40 days and paid within 15.", [("shipping", {40}), ("payment", {15})]),
        ("film_rights", "b", "We pay €80,000 and 4 percent.", [("fee", {80}), ("profit", {4})]),
        ("river_treaty", "a", "You pay 60 million a year.", [("payment", {60})]),
        ("camp_supplies", "a", "I take two packs of water.", [("water", {2})]),
        ("camp_supplies", "b", "I take two packs of water.", [("water", {1})]),
        ("camp_supplies", "b", "You get all the water and no firewood.", [("water", {3}), ("firewood", {0})]),
        ("camp_supplies", "b", "Two packs of water.", [("water", {1, 2})]),
        ("compute_split", "b", "We take 48 of the 64 cores.", [("cores", {16})]),
        ("merger_terms", "b", "54 percent for us.", [("share", {46, 54})]),
        ("used_camera", "a", "The case goes with the camera.", [("case", {"goes with the camera"})]),
        ("night_train", "a", "I depend on the lamp, but leave it.", []),
        ("night_train", "a", "Leave the lamp on.", [("lamp", {"on"})]),
        ("holiday_plan", "a", "May I suggest May? I may.", []),
    ],
)
def test_values_are_found_by_unit_word_or_range(
    shipped: Shipped, scenario_id: str, seat: Seat, message: str, named: list[tuple[str, set[Any]]]
) -> None:
    vocabulary = Vocabulary(shipped[scenario_id])
    found = [
        mention
        for sentence in sentences(message, vocabulary.nouns)
        for mention in vocabulary.values_in(sentence.text, seat)
    ]
    assert [(mention.issue, set(mention.values)) for mention in found] == named


@pytest.mark.parametrize(
    ("message", "issues"),
    [
        ("the rent and the deposit", ["rent", "deposit"]),
        ("practising matters", ["practice"]),
        ("on these terms", []),
        ("three years, please", ["term"]),
    ],
)
def test_issues_are_found_by_forms_of_their_words(shipped: Shipped, message: str, issues: list[str]) -> None:
    vocabulary = Vocabulary(shipped["flat_lease"])
    assert [name for part in sentences(message, vocabulary.nouns) for name in vocabulary.issues_in(part.text)] == issues


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("I can offer you €18,000.", ["€18000"]),
        ("The price is 18k.", ["18000"]),
        ("How about 18,000 euros?", ["18000"]),
        ("I can offer you €19,000.", []),
        ("€18,000, no: €19,000.", []),
        ("I started at €22,000.", []),
        ("You said €18,000.", []),
        ("If you went to €18,000, I'd think about it.", []),
        ("I can't go below €18,000.", []),
        ("We are €2,000 apart.", []),
        ("", []),
    ],
)
def test_only_what_is_stated_as_the_offer_contradicts_it(shipped: Shipped, message: str, said: list[str]) -> None:
    vocabulary = Vocabulary(shipped["company_car"])
    found = contradictions(vocabulary, "a", message, {"price": 19000})
    assert [entry.said for entry in found] == said
    assert contradictions(vocabulary, "a", message, None) == []


def test_one_is_a_number_only_right_before_what_it_counts() -> None:
    nouns = ("books",)
    assert plain("one book, one-book deals, one books", ("book", "books")) == "1 book, 1-book deals, 1 books"
    for message in ("a sturdier one – books for ada: 0", "not that one. books", "this one: books", "one, books"):
        assert plain(message, nouns) == message


def test_a_role_that_is_spoken_to_is_no_option(shipped: Shipped) -> None:
    vocabulary = Vocabulary(shipped["merger_terms"])
    for message in (
        "the share holds, poetry house; 30 percent",
        "poetry house, you get 30 percent",
        "so be it, poetry house",
    ):
        assert not vocabulary.options_in(message)
    for message in ("who chairs the board: poetry house", "poetry house chairs the board"):
        assert [mention.issue for mention in vocabulary.options_in(message)] == ["chair"]


def test_options_may_be_signs_without_letters() -> None:
    role = {"briefing": "You want it.", "reservation": 0.2, "weights": {"thumb": 1}}
    data = {
        "title": "Thumbs",
        "story": "Two people decide about a picture.",
        "rounds": 3,
        "issues": {"thumb": {"options": ["👍", "👎"]}},
        "roles": {
            "a": {**role, "name": "Ann", "values": {"thumb": {"👍": 1, "👎": 0}}},
            "b": {**role, "name": "Bob", "values": {"thumb": {"👍": 0, "👎": 1}}},
        },
    }
    (mention,) = Vocabulary(parse_scenario("thumbs", data, "thumbs")).options_in("so be it: 👎")
    assert mention.values == {"👎"}
