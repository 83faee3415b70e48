"""All measures of behaviour of one side of a stored negotiation, as sums and counts that profiles add up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from negotiation.agents.config import AgentConfig
from negotiation.agents.strategies import STRATEGIES, Strategy
from negotiation.behaviour.best_response import BestResponse, best_response
from negotiation.behaviour.findings import Finding, findings
from negotiation.behaviour.heeding import heeded
from negotiation.behaviour.moves import anchor, opening, steps, timing
from negotiation.behaviour.traits import TRAITS, is_shown
from negotiation.game.measures import accepted_below_reservation, final_utility
from negotiation.game.session import replay
from negotiation.runs.record import Run
from negotiation.scenario.model import SEATS, Seat, other


@dataclass(frozen=True)
class Observed:
    """One side of a finished negotiation.

    Attributes:
        sums: For each measure the sum over its chances, and the number of these.
        anchor: What the other side's first offer was worth to it, and then its own; None unless they came so.
        best: What a best response to the other side would have gained; None if the other side is no script.
        found: What it said that is not so.
    """

    run_id: str
    agent: str
    opponent: str
    scenario: tuple[str, str]  # id and digest
    seat: Seat
    seed: int
    by_rule: bool
    sums: Mapping[str, tuple[float, int]]
    anchor: tuple[float, float] | None
    best: BestResponse | None
    found: tuple[Finding, ...]


def observed(run: Run) -> list[Observed]:
    """Return both sides of a run with its turns.

    None of a run that has not ended by its own rules, or that began with the turns of another run.
    """
    if run.status != "done" or not run.turns or run.forked_turns:
        return []
    return [_side(run, seat) for seat in SEATS]


def _side(run: Run, seat: Seat) -> Observed:
    scenario, turns, them = run.scenario, run.turns, other(seat)
    speaks = run.agents[seat].script is None  # the words of scripts are Parley's own
    own = [turn for turn in turns if turn.seat == seat]
    found = findings(scenario, turns, seat) if speaks else []
    made = steps(turns, seat)
    below = accepted_below_reservation(scenario, turns, seat)
    when, first = timing(turns, seat), opening(turns, seat)
    sums: dict[str, tuple[float, int]] = {
        "opening": (first or 0.0, int(first is not None)),
        "timing": (when or 0.0, int(when is not None)),
        "retracts": (made["selfish"] + made["fortunate"], made.total()),
        "wasteful": (made["unfortunate"], made.total()),
        "below_limit": (float(below or False), int(below is not None)),
    }
    if speaks:
        messages = sum(bool(turn.message) for turn in own)
        for name in ("other_values", "wrong_arithmetic", "false_limit", "false_preference", "broken_promise"):
            sums[name] = (sum(finding.trait == name for finding in found), messages)
    if run.agents[them].script is None and is_shown(TRAITS["heeds"]):
        chances = heeded(scenario, turns, seat)
        sums["heeds"] = (sum(chances), len(chances))
    best = _best(run, seat)
    if best is not None and best.exact:
        sums["oracle_gap"] = (best.worth - final_utility(replay(scenario, turns), seat), 1)
    return Observed(
        run_id=run.run_id,
        agent=run.agents[seat].label,
        opponent=run.agents[them].label,
        scenario=(scenario.scenario_id, scenario.sha256),
        seat=seat,
        seed=run.seed,
        by_rule=run.agents["a"].by_rule and run.agents["b"].by_rule,
        sums=sums,
        anchor=anchor(turns, seat),
        best=best,
        found=tuple(found),
    )


def script_of(config: AgentConfig) -> Strategy | None:
    """Return the script that makes an agent's moves: a scripted strategy, or that which a model narrates."""
    return config.script or STRATEGIES.get(str(config.options.get("narrates", "")))


def _best(run: Run, seat: Seat) -> BestResponse | None:
    opponent = script_of(run.agents[other(seat)])
    return None if opponent is None else best_response(run.scenario, seat, opponent, run.seed)
