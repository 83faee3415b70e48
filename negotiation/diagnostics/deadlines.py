"""Which strategies the deadline of a scenario can judge.

A deadline can judge a strategy if it leaves enough rounds for the strategy to reach a deal with a copy of itself by
its own rule, without giving in on the last turn. Strategies that follow the clock agree at any deadline. MiCRO steps
down outcome by outcome, and short deadlines end it before it can agree. Some strategies never agree with themselves,
and only show what others do.
"""

from __future__ import annotations

from dataclasses import dataclass

from negotiation.agents.strategies import NOISE, SLACK, STRATEGIES
from negotiation.game.events import Ended
from negotiation.game.protocol import Ending
from negotiation.game.session import Negotiation, negotiate
from negotiation.scenario.analysis import Analyser
from negotiation.scenario.model import SEATS, Scenario


@dataclass(frozen=True)
class MicroDeal:
    """The deal that MiCRO makes with itself without a deadline: its round, and the number of the outcome."""

    rounds: int
    outcome: int


def micro_deal(analyser: Analyser) -> MicroDeal | None:
    """Return MiCRO's deal with itself without a deadline and without discounting; None if there is none.

    Both sides offer their outcomes from the best down, one in each round. In round n, b accepts a's n-th outcome if it
    is worth as much to b as b's own n-th, and a accepts b's n-th if it is worth as much to a as a's own next.
    """
    space, roles = analyser.space, analyser.scenario.roles
    a, b = space.utilities("a"), space.utilities("b")
    ranked_a = space.ranking("a")[: int((a >= roles["a"].reservation - NOISE).sum())]
    ranked_b = space.ranking("b")[: int((b >= roles["b"].reservation - NOISE).sum())]
    steps = min(len(ranked_a), len(ranked_b))
    if steps == 0:
        return None
    b_accepts = b[ranked_a[:steps]] >= b[ranked_b[:steps]] - SLACK
    a_accepts = a[ranked_b[: steps - 1]] >= a[ranked_a[1:steps]] - SLACK
    first_b = int(b_accepts.argmax()) if b_accepts.any() else steps
    first_a = int(a_accepts.argmax()) if a_accepts.any() else steps
    if first_b <= first_a and first_b < steps:
        return MicroDeal(first_b + 1, int(ranked_a[first_b]))
    return MicroDeal(first_a + 2, int(ranked_b[first_a])) if first_a < steps else None


def judged(scenario: Scenario) -> dict[str, bool]:
    """Return for each strategy that draws nothing by chance whether a deadline can judge it, discounting aside."""
    plain = scenario.model_copy(update={"discount": 1.0})
    return {name: _agrees_with_itself(name, plain) for name, strategy in STRATEGIES.items() if not strategy.draws}


def _agrees_with_itself(name: str, scenario: Scenario) -> bool:
    script = STRATEGIES[name].giving_in(False)
    *_, end = negotiate(Negotiation(f"{name} against itself", scenario, dict.fromkeys(SEATS, script)))
    return isinstance(end, Ended) and end.ending is Ending.AGREEMENT
