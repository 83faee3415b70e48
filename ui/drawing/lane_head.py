"""The head of a lane: how far along its negotiation is, in a word, and who plays."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from negotiation.agents.config import AgentConfig
from negotiation.agents.strategies import STRATEGIES
from negotiation.game.events import Ended, Halted
from negotiation.live.live_runs import DELETED
from negotiation.scenario.model import SEATS, Scenario, Seat
from ui.drawing.lane_view import LaneView
from ui.drawing.turns import IDS, Labels, config_name
from ui.kit import text
from ui.kit.templates import render


@dataclass(frozen=True)
class Player:
    """A side of a lane: its seat, its role, and the agent that plays it."""

    seat: Seat
    role: str
    agent: str
    about: str

    @classmethod
    def of(cls, scenario: Scenario, seat: Seat, config: AgentConfig, labels: Labels = IDS) -> Player:
        """Return who plays a seat: a model by its label, a script by its character."""
        role, label, script = scenario.roles[seat].name, config_name(config, labels), STRATEGIES.get(config.agent)
        if script is None or labels.get(config.agent) == text.HIDDEN_AGENT:
            return cls(seat, role, label, label)
        return cls(seat, role, config_name(config, {config.agent: script.short}), f"{text.SCRIPTED}: {label}")


def head_html(view: LaneView, number: int, labels: Labels = IDS) -> Markup:
    """Draw the head of a lane. On small screens it is the lane's tab."""
    players = [Player.of(view.scenario, seat, view.players[seat], labels) for seat in SEATS if seat in view.players]
    look, status = status_of(view)
    return render("lane_head", number=number, players=players, look=look, status=status)


def status_of(view: LaneView) -> tuple[str, str]:
    """Return the look and the word of a negotiation's state."""
    match view.end:
        case Ended(agreement=agreement):
            return ("done", text.DEAL) if agreement is not None else ("none", text.NO_DEAL)
        case Halted(reason=reason, status=status):
            return status, text.RUN_GONE if reason == DELETED else text.HALTED[status]
    if view.queued is not None:
        return "queued", text.STATUS_WAITING
    if view.moving is not None or view.turns:
        number = view.moving.round if view.moving is not None else view.turns[-1].round
        return "running", text.STATUS_ROUND.format(round=number, rounds=view.scenario.rounds)
    return "", text.STATUS_READY
