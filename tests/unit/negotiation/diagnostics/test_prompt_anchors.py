"""The prompt-anchor audit, on runs worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from negotiation.diagnostics.prompt_anchors import Anchors, anchors, numbers_in, total
from negotiation.game.events import Turn
from negotiation.game.protocol import Action
from negotiation.runs.record import Run
from negotiation.scenario.model import Scenario

Runs = Callable[..., Run]
PROMPT = (
    {"role": "system", "content": "The shop pays €100; 150 = 0.80. It cost 1,250 in 2019."},
    {"role": "user", "content": "The Seller offers price = 190."},
)


def offers(*prices: int) -> tuple[Turn, ...]:
    return tuple(
        Turn(2 * index, index + 1, "a", "any", Action.OFFER, {"price": price, "lock": "with"}, prompt=PROMPT)  # type: ignore[arg-type]
        for index, price in enumerate(prices)
    )


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("€14,000 or 14000", {14000}),
        ("0.25, 3.5 and 1", {1}),
        ("from -30 to 40%.", {-30, 40}),
        ("a4 4x 1.2.3", set()),
        ("1\u202f000 and 12,34", {1000}),
    ],
)
def test_the_integers_in_a_text(text: str, numbers: set[int]) -> None:
    assert numbers_in(text) == numbers


def test_numbers_that_appear_in_the_prompt_are_counted(make_run: Runs) -> None:
    """Told 100, 150, 1250 and 2019: of eleven prices two; the 190 was told later, by the other side."""
    run = replace(make_run(), turns=offers(100, 120, 150, 190), agreement={"price": 150, "lock": "with"})
    found = anchors(run, "a")
    assert found.even == pytest.approx(4 * 2 / 11)
    assert replace(found, even=0.0) == Anchors(4, 2, 0.0, 1, 1)


def test_a_seat_without_a_prompt_is_not_audited(make_run: Runs) -> None:
    turns = tuple(replace(turn, prompt=()) for turn in offers(100))
    assert anchors(replace(make_run(), turns=turns), "a") == Anchors()
    assert anchors(replace(make_run(), turns=offers(100)), "b") == Anchors()


def test_named_options_are_not_audited(of_points: Callable[..., Scenario], make_run: Runs) -> None:
    turn = Turn(0, 1, "a", "any", Action.OFFER, {"deal": "o1"}, prompt=PROMPT)  # type: ignore[arg-type]
    assert anchors(replace(make_run(scenario=of_points((0, 1), (1, 0))), turns=(turn,)), "a") == Anchors()


def test_audits_add_up() -> None:
    assert total([]) == Anchors()
    assert total([Anchors(4, 2, 0.5, 1, 1), Anchors(1, 0, 0.25, 0, 0)]) == Anchors(5, 2, 0.75, 1, 1)
