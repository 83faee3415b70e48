"""A subject as plain text: what both sides said and offered, and what it came to. Private thoughts are not in it."""

from __future__ import annotations

from collections.abc import Iterator

from negotiation.game.events import Turn
from negotiation.game.protocol import Action
from negotiation.scenario.model import SEATS
from ui.kit import text as shared
from ui.kit.units import in_points, points
from ui.sharing import text
from ui.sharing.canvas import clean
from ui.sharing.subject import SharedLane, Subject, ending_of


def transcript(subject: Subject, link: str) -> str:
    """Return the whole conversation of a subject as text; `link` is where it can be watched."""
    lines = [clean(subject.title), clean(subject.headline), link]
    for lane in subject.lanes:
        lines += ["", *_lane(lane, subject.hidden)]
    return "\n".join(lines) + "\n"


def _lane(lane: SharedLane, hidden: bool) -> Iterator[str]:
    run, (a, b) = lane.run, lane.sides
    if lane.name:
        yield lane.name
    if not hidden:
        sides = text.SIDES.format(a=a.role, agent_a=a.agent, b=b.role, agent_b=b.agent)
        yield clean(f"{sides} {shared.RAN_WITH.format(seed=run.seed)}.")
    in_round = 0
    for turn in run.turns:
        if turn.round != in_round:
            in_round = turn.round
            yield ""
            yield text.ROUND.format(round=in_round)
        yield from _turn(lane, turn, hidden)
    yield ""
    yield clean(_outcome(lane, hidden))


def _turn(lane: SharedLane, turn: Turn, hidden: bool) -> Iterator[str]:
    """Yield a turn: the message on one line, so that no message can pass for another turn."""
    scenario, role = lane.run.scenario, clean(lane.run.scenario.roles[turn.seat].name)
    acts = {Action.ACCEPT: shared.ACCEPTS, Action.WALK_AWAY: shared.WALKS_AWAY}
    words = " ".join(filter(None, (clean(turn.message), f"({acts[turn.action]})" if turn.action in acts else "")))
    if words:
        yield text.SAYS.format(role=role, words=words)
    if turn.action is Action.OFFER and turn.offer is not None:
        form = text.OFFERS if words else text.OFFERS_SILENTLY
        worth = "" if hidden else f" {_worth(lane, turn)}"
        yield form.format(role=role, offer=clean(scenario.show(turn.offer))) + worth


def _worth(lane: SharedLane, turn: Turn) -> str:
    worths = zip(SEATS, (turn.utility_a, turn.utility_b), strict=True)
    roles = lane.run.scenario.roles
    told = (text.WORTH_TO.format(worth=points(value or 0.0), role=roles[seat].name) for seat, value in worths)
    return clean(text.WORTH.format(worths=", ".join(told)))


def _outcome(lane: SharedLane, hidden: bool) -> str:
    run = lane.run
    deal = "" if run.agreement is None else f"{run.scenario.show(run.agreement)}."
    told = () if hidden or run.measures is None else lane.sides
    worth = ", ".join(f"{side.role}: {in_points(float(side.worth) / 100)}" for side in told)
    return " ".join(filter(None, (ending_of(lane), deal, f"{worth}." if worth else "")))
