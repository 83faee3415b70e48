"""Templates, and the choice of a text that has not been said."""

from __future__ import annotations

import random

import pytest

from negotiation.agents.phrases import Draft, Template, freshest


def filled(text: str, **values: str) -> set[str]:
    """Everything that a template can say."""
    template = Template.parse(text)
    return {template.fill(values, random.Random(seed)).text for seed in range(200)}


def test_alternatives_may_be_empty_and_contain_others() -> None:
    texts = filled("[Still|Once [more|again]][, {other}|]: {ask}.", other="Ada", ask="€5")
    assert texts == {f"{still}{name}: €5." for still in ("Still", "Once more", "Once again") for name in ("", ", Ada")}
    assert Template.parse("[Still|Once [more|again]][, {other}|]: {ask}.").slots == {"other", "ask"}


@pytest.mark.parametrize("text", ["[a|b", "a]", "a|b", "{", "{a b}", "[{a|b]", "[[a]"])
def test_a_template_with_a_missing_bracket_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"bracket|missing|slots"):
        Template.parse(text)


def test_a_draft_keeps_the_template_without_its_values() -> None:
    draft = Template.parse("I like {ask}.").fill({"ask": "red wine"}, random.Random(1))
    assert (draft.text, draft.bones) == ("I like red wine.", "I like _.")


def drafts(*texts: str) -> list[Draft]:
    return [Draft(text, text) for text in texts]


def test_no_sentence_is_said_again() -> None:
    said = ["Well then. I stay.", "Never!"]
    assert freshest(drafts("I stay. As I said.", "Never!", "I go."), said) == "I go."
    assert freshest(drafts("I stay. As I said.", "Never!"), said) is None
    assert freshest([], said) is None


def test_the_draft_least_like_the_latest_messages_is_chosen() -> None:
    said = ["the mule does not move", "the wall is made of stone"]
    like_latest, like_earlier = "the wall is made of wood", "the mule does not move at all"
    assert freshest(drafts(like_latest, like_earlier), said) == like_earlier
    assert freshest(drafts(like_latest, like_earlier, "a third way to say it"), said) == "a third way to say it"


def test_values_of_slots_do_not_count_as_likeness() -> None:
    said = ["Mine is the second lens goes with it."]
    same_value = Draft("Take the second lens goes with it.", "Take _.")
    assert freshest([same_value, Draft("Mine is the rest.", "Mine is the rest.")], said) == same_value.text
