"""What a side could have done better, turn by turn, once everything is known about both.

A lesson compares one turn with the best that was to be had in it, everything before it being as it was:

- the offer on the table, if the turn did not accept it, or
- the best offer that the other side would have accepted in its next turn. A script is asked: it decides from what it
  sees, so its answer is certain. Any other opponent is taken at its word: it would not have refused what is worth as
  much to it as the offer that it made, or accepted, next (the acceptance condition AC_next of Baarslag, Hindriks &
  Jonker 2014, "Effective acceptance conditions in real-time automated negotiation").

The cost of a turn is the worth of that, minus what the side got in the end, both discounted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from negotiation.agents.strategies import Strategy
from negotiation.game.events import Turn
from negotiation.game.protocol import Action, GameState
from negotiation.game.session import Negotiation, replay, view_of
from negotiation.runs.record import Run
from negotiation.scenario.analysis import Analyser
from negotiation.scenario.model import Offer, Seat, other

LEAST_COST = 0.005
"""Costs below half a point would show as none."""
NOISE = 1e-9


@dataclass(frozen=True)
class Lesson:
    """A turn, and what would have been better.

    Args:
        better: The deal that was to be had.
        on_table: Whether it was the offer on the table.
        certain: Whether the other side would certainly have accepted it.
        worth: What it would have been worth to the side, discounted.
        cost: How much more that is than what the side got in the end.
    """

    turn: Turn
    better: Offer
    on_table: bool
    certain: bool
    worth: float
    cost: float


def lessons(run: Run, seat: Seat, analyser: Analyser, most: int = 2) -> list[Lesson]:
    """Return the turns of a seat that cost it most in a run that ended, the costliest first; empty if none cost it."""
    if run.measures is None:
        return []
    got = run.measures.utility_a if seat == "a" else run.measures.utility_b
    found = []
    for place, turn in enumerate(run.turns):
        if turn.seat == seat:
            state = replay(run.scenario, run.turns[:place])
            found += [replace(one, cost=one.worth - got) for one in _missed(run, state, turn, analyser)]
    best: dict[int, Lesson] = {}
    for lesson in sorted(found, key=lambda lesson: (-lesson.cost, not lesson.on_table)):
        if lesson.cost >= LEAST_COST:
            best.setdefault(lesson.turn.index, lesson)
    return list(best.values())[:most]


def _missed(run: Run, state: GameState, turn: Turn, analyser: Analyser) -> list[Lesson]:
    """Return what was to be had in a turn."""
    seat, scenario = turn.seat, run.scenario
    found = []
    if state.table is not None and turn.action is not Action.ACCEPT:
        worth = scenario.discounted(scenario.utility(seat, state.table), state.round)
        found.append(Lesson(turn, state.table, True, True, worth, 0.0))
    if not state.last_turn:
        script = run.agents[other(seat)].script
        better = _believed(run, state, turn, analyser) if script is None else _asked(run, state, script, analyser)
        if better is not None:
            worth = scenario.discounted(scenario.utility(seat, better), (state.turn + 1) // 2 + 1)
            found.append(Lesson(turn, better, False, script is not None, worth, 0.0))
    return found


def _asked(run: Run, state: GameState, script: Strategy, analyser: Analyser) -> Offer | None:
    """Return the best offer that a script accepts in its next turn, if it accepts any.

    Candidates are the outcomes of the frontier, from the best for the seat to the best for the script. A script that
    accepts one accepts all after it, as it looks only at its own utility; so this halves the candidates each time.
    """
    ordered = _by_own_worth(analyser, state.seat)
    low, high = 0, len(ordered)  # what is before `low` is refused, what is from `high` on is accepted
    best: Offer | None = None
    while low < high:
        middle = (low + high) // 2
        offer = analyser.space.offer(ordered[middle])
        if _accepts(run, state, script, offer, analyser):
            best, high = offer, middle
        else:
            low = middle + 1
    return best


def _accepts(run: Run, state: GameState, script: Strategy, offer: Offer, analyser: Analyser) -> bool:
    """Return whether a script would have accepted an offer that was made in place of a turn."""
    made = Turn(state.turn, state.round, state.seat, "", Action.OFFER, dict(offer))
    turns = [*run.turns[: state.turn], made]
    negotiation = Negotiation(run.run_id, run.scenario, {other(state.seat): script}, run.seed)
    view = view_of(negotiation, analyser, state.apply(Action.OFFER, offer), turns)
    return script.decide(view).action is Action.ACCEPT


def _believed(run: Run, state: GameState, turn: Turn, analyser: Analyser) -> Offer | None:
    """Return the best offer worth as much to the other side as what it offered or accepted next."""
    following = run.turns[state.turn + 1 : state.turn + 2]
    if turn.action is not Action.OFFER or not following or following[0].action is Action.WALK_AWAY:
        return None
    theirs = following[0].utility_b if turn.seat == "a" else following[0].utility_a
    assert theirs is not None
    utilities = analyser.space.utilities(other(turn.seat))
    enough = (index for index in _by_own_worth(analyser, turn.seat) if utilities[index] >= theirs - NOISE)
    index = next(enough, None)
    return None if index is None else analyser.space.offer(index)


def _by_own_worth(analyser: Analyser, seat: Seat) -> Sequence[int]:
    """Return the outcomes of the frontier, from the best for a seat to the worst."""
    ordered: list[int] = analyser.frontier.tolist()  # by falling utility to a
    return ordered if seat == "a" else ordered[::-1]
