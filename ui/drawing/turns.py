"""Turns as HTML: those that were taken, and the one being made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from markupsafe import Markup

from negotiation.agents import remarks
from negotiation.agents.config import AgentConfig
from negotiation.agents.strategies import STRATEGIES
from negotiation.game.events import Queued, Turn
from negotiation.game.protocol import Action, GameState
from negotiation.replies.narration import MAX_MESSAGE
from negotiation.replies.reader import glimpse
from negotiation.scenario.model import SEATS, Offer, Scenario, Seat
from ui.drawing.lane_view import LaneView, Moving
from ui.kit import text
from ui.kit.templates import render
from ui.kit.units import dollars, points, seconds, size

Labels = Mapping[str, str]
"""Agents' display names, by id."""
IDS: Labels = MappingProxyType({})
"""No display names: agents appear under their ids."""


def config_name(config: AgentConfig, labels: Labels = IDS) -> str:
    """Return an agent's name with its changed settings."""
    chosen = ", ".join(text.chosen(key, value) for key, value in config.chosen.items())
    name = labels.get(config.agent, config.agent)
    return f"{name} ({chosen})" if chosen else name


@dataclass(frozen=True)
class Speaker:
    """The head of a turn."""

    role: str
    agent: str
    round: int
    character: str = ""  # of a script

    @property
    def initial(self) -> str:
        """The letter on the avatar."""
        return self.role[:1].upper()


@dataclass(frozen=True)
class OfferRow:
    """One issue of an offer; `before` is the same side's previous value where it changed."""

    title: str
    value: str
    before: str | None = None


@dataclass(frozen=True)
class OfferCard:
    """An offer, and whether it repeats the same side's previous one."""

    rows: tuple[OfferRow, ...]
    repeated: bool = False


@dataclass(frozen=True)
class OfferWorth:
    """The worth of an offer to the seats that may be seen, from 0 to 1, and in words."""

    values: Sequence[tuple[Seat, float]]
    words: str


@dataclass(frozen=True, kw_only=True)
class TurnCard:
    """A turn that was taken, as far as a watcher may see it."""

    turn: Turn
    who: Speaker
    message: str
    cut: bool
    offer: OfferCard | None
    remarks: Sequence[str]
    forfeits: bool
    worth: OfferWorth | None
    facts: Sequence[str]
    key: str  # names the turn's folds; empty where the private parts are hidden


def turns_html(view: LaneView, labels: Labels = IDS, eyes: Seat | None = None) -> Markup:
    """Draw all turns that were taken.

    Args:
        labels: Agents' display names, by id.
        eyes: Show only what this seat may know; None shows everything.
    """
    if not view.begun:
        return render("empty", words=text.EMPTY_LANE)
    cards: list[TurnCard] = []
    offers: dict[Seat, Offer] = {}
    for turn in view.turns:
        cards.append(_card(view, turn, offers.get(turn.seat), labels, eyes))
        if turn.offer is not None:
            offers[turn.seat] = turn.offer
    return render("turns", cards=cards)


def _card(view: LaneView, turn: Turn, before: Offer | None, labels: Labels, eyes: Seat | None) -> TurnCard:
    scenario = view.scenario
    offered = turn.offer if turn.action is Action.OFFER else None
    message = turn.message
    return TurnCard(
        turn=turn,
        who=_speaker(scenario, turn.seat, turn.agent, turn.round, labels),
        message=message,
        cut=len(message) >= MAX_MESSAGE and message[-1] not in ".!?…\"'”)",
        offer=None if offered is None else offer_card(scenario, offered, before),
        remarks=_remarks(scenario, turn),
        forfeits=any(reply.outcome == "gave_up" for reply in turn.invalid),
        worth=_worth(scenario, turn, SEATS if eyes is None else (eyes,)),
        facts=_facts(turn),
        key=f"{view.run_id}-{turn.index}" if eyes is None else "",
    )


def _remarks(scenario: Scenario, turn: Turn) -> list[str]:
    """Return what is remarkable about a turn: notes on a reply, and an offer that came too late to be answered."""
    too_late = turn.action is Action.OFFER and GameState(scenario, turn.index).last_turn
    return [*(remarks.WORDS[note] for note in turn.notes), *([text.TOO_LATE] if too_late else [])]


def _speaker(scenario: Scenario, seat: Seat, agent: str, round_number: int, labels: Labels) -> Speaker:
    label, script = labels.get(agent, agent), STRATEGIES.get(agent)
    character = script.persona if script is not None and label != text.HIDDEN_AGENT else ""
    return Speaker(scenario.roles[seat].name, label, round_number, character)


def offer_card(scenario: Scenario, offer: Offer, before: Offer | None = None) -> OfferCard:
    """Return an offer as a card that marks the changes since `before`, the same side's previous offer."""
    rows = []
    for name, issue in scenario.issues.items():
        changed = before is not None and before[name] != offer[name]
        was = issue.show(before[name]) if before is not None and changed else None
        rows.append(OfferRow(issue.title or name, issue.show(offer[name]), was))
    return OfferCard(tuple(rows), before is not None and dict(before) == dict(offer))


def _worth(scenario: Scenario, turn: Turn, seats: Sequence[Seat]) -> OfferWorth | None:
    if turn.action is Action.WALK_AWAY or turn.utility_a is None or turn.utility_b is None:
        return None
    both = {"a": turn.utility_a, "b": turn.utility_b}
    words = [text.WORTH_TO.format(worth=points(both[seat]), name=scenario.roles[seat].name) for seat in seats]
    return OfferWorth([(seat, both[seat]) for seat in seats], text.WORTH.format(worths=", ".join(words)))


def _facts(turn: Turn) -> list[str]:
    """Return what a model's turn took and cost, and how its reply was constrained."""
    if not turn.prompt:  # a script or a person
        return []
    facts = [text.COST.format(tokens=turn.tokens, seconds=turn.seconds, prompt=turn.prompt_tokens)]
    facts += [text.ESTIMATED] if turn.estimated else []
    facts += [text.PRICE.format(cost=dollars(turn.cost))] if turn.cost is not None else []
    facts += [text.HELD[turn.held]] if turn.held is not None else []
    return facts


# -- what is happening now -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Activity:
    """What a negotiation is waiting for, with a progress bar where `fraction` is known."""

    words: str
    look: str = ""
    goes_on: bool = True
    fraction: float | None = None


UNFINISHED = Activity(text.UNFINISHED, "unfinished", goes_on=False)


def now_html(view: LaneView, labels: Labels = IDS, eyes: Seat | None = None) -> Markup:
    """Draw the turn being made, and why it takes time; nothing between turns. `eyes` as for `turns_html`.

    A turn that was cut short stays, marked as unfinished, if a word of it had been written.
    """
    moving = view.moving or view.unfinished
    if view.queued is not None:
        return _moving_html(_queued_stage(view.queued))
    if moving is None:
        return Markup("")
    who = _speaker(view.scenario, moving.seat, moving.agent, moving.round, labels)
    if moving.answer_seconds is not None:
        words = text.YOUR_TURN if eyes == moving.seat else text.PERSON_THINKS
        return _moving_html(Activity(words, goes_on=False), moving.seat, who)
    seen = glimpse(moving.written)
    message, thought = seen.get("message"), "" if eyes is not None else seen.get("thought", "")
    key = f"{view.run_id}-{len(view.turns)}-thought" if thought else ""
    if view.unfinished is not None:
        if not message and not thought:
            return Markup("")
        return _moving_html(UNFINISHED, moving.seat, who, thought=thought, message=message, key=key)
    stage = _stage(moving, speaking=message is not None)
    notice = text.ASKED_AGAIN.format(detail=moving.rejected) if moving.rejected and eyes is None else ""
    return _moving_html(stage, moving.seat, who, notice=notice, thought=thought, message=message, key=key)


def _moving_html(
    stage: Activity,
    seat: Seat | None = None,
    who: Speaker | None = None,
    *,
    notice: str = "",
    thought: str = "",
    message: str | None = None,
    key: str = "",
) -> Markup:
    return render(
        "moving_turn", stage=stage, seat=seat, who=who, notice=notice, thought=thought, message=message, key=key
    )


def _queued_stage(queued: Queued) -> Activity:
    """Return who goes first, and how long that takes."""
    if queued.own and not queued.visitors:
        words = text.OWN_FIRST
    elif queued.visitors:
        words = text.VISITORS_FIRST.format(visitors=text.visitors(queued.visitors))
    else:
        words = text.AFTER_OWN if queued.ahead else text.NEXT
    if queued.expected_seconds is not None:
        words += ", " + _about(queued.expected_seconds)
    return Activity(words, "queued")


def _stage(moving: Moving, speaking: bool) -> Activity:
    waiting = moving.waiting
    if waiting is None:
        return Activity(text.SPEAKING if speaking else text.THINKING)
    words = {
        "preparing": text.PREPARING,
        "queued": text.QUEUED.format(position=waiting.position),
        "fetching": text.FETCHING,
        "loading": text.LOADING,
        "waking": text.WAKING,
        "lending": text.WAITING_FOR_GPU.format(seconds=waiting.total),
    }[waiting.stage]
    details = []
    if waiting.stage == "lending":
        details += [text.GPU_TIME_USED.format(seconds=waiting.done)] if waiting.done else []
    elif waiting.total:
        details.append(text.BYTES.format(done=size(waiting.done), total=size(waiting.total)))
    if waiting.expected_seconds is not None:
        details.append(_about(waiting.expected_seconds))
    line = words + (f" ({', '.join(details)})" if details else "")
    counted = waiting.stage in ("fetching", "loading", "waking") and waiting.total
    return Activity(line, waiting.stage, fraction=waiting.done / waiting.total if counted else None)


def _about(expected: float) -> str:
    return text.ABOUT.format(time=seconds(max(1.0, expected)).replace(" ", "\N{NO-BREAK SPACE}"))
