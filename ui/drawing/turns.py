"""What has been said and what is being said: turns as HTML."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from negotiation.agents.human import HUMAN
from negotiation.game.events import Queued, Turn
from negotiation.game.protocol import Action
from negotiation.replies.narration import MAX_MESSAGE
from negotiation.replies.reader import glimpse
from negotiation.scenario.model import SEATS, Offer, Scenario, Seat
from ui.drawing.lane_view import LaneView, Moving
from ui.kit import text
from ui.kit.html import dollars, esc, fold, meter, number, seconds, size, tag

Labels = Mapping[str, str]
"""What agents are called for people, by id."""
IDS: Labels = MappingProxyType({})
"""No other names than the ids."""


def turns_html(view: LaneView, labels: Labels = IDS, eyes: Seat | None = None) -> str:
    """All turns that were taken; with `eyes`, only what that seat may know of them."""
    if not view.begun:
        return tag("p", esc(text.EMPTY_LANE), "empty")
    shown: list[str] = []
    offers: dict[Seat, Offer] = {}
    for turn in view.turns:
        shown.append(_turn_html(view, turn, offers.get(turn.seat), labels, eyes))
        if turn.offer is not None:
            offers[turn.seat] = turn.offer
    return tag("div", "".join(shown), "turns", role="log", aria_live="polite")


def _turn_html(view: LaneView, turn: Turn, before: Offer | None, labels: Labels, eyes: Seat | None) -> str:
    scenario = view.scenario
    parts = [_header(scenario, turn.seat, turn.agent, turn.round, labels)]
    if said := _said(scenario, turn):
        parts.append(tag("p", said, "message", dir="auto"))
    match turn.action:
        case Action.OFFER if turn.offer is not None:
            parts.append(offer_html(scenario, turn.offer, before))
        case Action.ACCEPT:
            parts.append(tag("p", esc("✓ " + text.ACCEPTS), "action accept"))
        case Action.WALK_AWAY:
            gave_up = any(entry.outcome == "gave_up" for entry in turn.invalid)
            parts.append(tag("p", esc("✕ " + (text.FORFEITS if gave_up else text.WALKS_AWAY)), "action leave"))
    if turn.action is not Action.WALK_AWAY:
        parts.append(_worth_html(scenario, turn, SEATS if eyes is None else (eyes,)))
    if eyes is not None:
        return tag("article", "".join(parts), f"turn seat-{turn.seat}")
    key = f"{view.run_id}-{turn.index}"
    folds = []
    if turn.thought:
        folds.append(fold(text.THOUGHT, tag("p", esc(turn.thought), "thought", dir="auto"), f"{key}-thought"))
    folds.append(fold(text.INSIDE, _inside_html(turn), f"{key}-inside"))
    parts.append(tag("div", "".join(folds), "folds"))
    return tag("article", "".join(parts), f"turn seat-{turn.seat}")


def _said(scenario: Scenario, turn: Turn) -> str:
    """The message, unless it only repeats what the card shows; marked where it was cut at its greatest length."""
    if not turn.prompt and turn.offer is not None and scenario.show(turn.offer) in turn.message:
        return ""
    cut = len(turn.message) >= MAX_MESSAGE and turn.message[-1:] not in ".!?…\"'”)"
    return esc(turn.message) + (tag("span", "…", "cut", title=text.CUT) if cut else "")


def _header(scenario: Scenario, seat: Seat, agent: str, round_number: int, labels: Labels) -> str:
    who = tag("strong", esc(scenario.roles[seat].name)) + tag("span", esc(labels.get(agent, agent)), "agent")
    return tag("header", who + tag("span", esc(text.ROUND.format(round=round_number)), "round"))


def offer_html(scenario: Scenario, offer: Offer, before: Offer | None = None) -> str:
    """An offer as a card: a line for each issue; what changed since the last own offer stands beside what it was."""
    rows = []
    for name, issue in scenario.issues.items():
        value = tag("span", esc(issue.show(offer[name])))
        changed = before is not None and before[name] != offer[name]
        if before is not None and changed:
            value += " " + tag("del", esc(issue.show(before[name])), title=text.BEFORE)
        rows.append(tag("div", tag("dt", esc(issue.title or name)) + tag("dd", value, "changed" if changed else "")))
    same = before is not None and dict(before) == dict(offer)
    return tag("dl", "".join(rows), "offer") + (tag("p", esc(text.SAME_OFFER), "same") if same else "")


def _worth_html(scenario: Scenario, turn: Turn, seats: tuple[Seat, ...]) -> str:
    if turn.utility_a is None or turn.utility_b is None:
        return ""
    values = {"a": turn.utility_a, "b": turn.utility_b}
    parts = [
        tag(
            "span", esc(text.WORTH.format(utility=number(values[seat]), name=scenario.roles[seat].name)), f"seat-{seat}"
        )
        for seat in seats
    ]
    return tag("p", " · ".join(parts), "worth secret")


def _inside_html(turn: Turn) -> str:
    if not turn.prompt:
        return tag("p", esc(text.NO_MODEL_PERSON if turn.agent == HUMAN else text.NO_MODEL))
    told = "".join(
        tag("div", tag("b", esc(message["role"])) + tag("pre", esc(message["content"]), dir="auto"))
        for message in turn.prompt
    )
    parts = [tag("h4", esc(text.PROMPT)), told, tag("h4", esc(text.REPLY)), tag("pre", esc(turn.raw), dir="auto")]
    if turn.invalid:
        ledger = "".join(
            tag("li", tag("b", esc(i.kind)) + f" {esc(i.detail)}" + tag("pre", esc(i.raw))) for i in turn.invalid
        )
        parts.append(tag("p", esc(text.INVALID.format(count=len(turn.invalid)))) + tag("ul", ledger))
    spent = [text.COST.format(tokens=turn.tokens, seconds=turn.seconds, prompt=turn.prompt_tokens)]
    spent += [text.ESTIMATED] if turn.estimated else []
    spent += [text.PRICE.format(cost=dollars(turn.cost))] if turn.cost is not None else []
    spent += [text.HELD[turn.held]] if turn.held is not None else []
    parts += [tag("p", esc(line)) for line in spent]
    return "".join(parts)


# -- what is happening now -------------------------------------------------------------------------------------


def now_html(view: LaneView, labels: Labels = IDS, eyes: Seat | None = None) -> str:
    """The turn that is being made: why it waits, what is being thought and said; `eyes` as for `turns_html`."""
    moving = view.moving
    if view.queued is not None:
        return tag("article", _queued_html(view.queued), "turn moving")
    if moving is None:
        return ""
    parts = [_header(view.scenario, moving.seat, moving.agent, moving.round, labels)]
    seen = glimpse(moving.written)
    if moving.answer_seconds is not None:
        stage = text.YOUR_TURN if eyes == moving.seat else text.PERSON_THINKS
        return tag("article", parts[0] + tag("p", esc(stage), "stage"), f"turn moving seat-{moving.seat}")
    if moving.rejected and eyes is None:
        parts.append(tag("p", esc(text.ASKED_AGAIN.format(detail=moving.rejected)), "notice"))
    if seen.get("thought") and eyes is None:
        parts.append(tag("p", esc(seen["thought"]), "thought", dir="auto"))
    if "message" in seen:
        parts.append(tag("p", esc(seen["message"]), "message typing", dir="auto"))
    parts.append(_stage_html(moving, speaking="message" in seen))
    return tag("article", "".join(parts), f"turn moving seat-{moving.seat}")


def _queued_html(queued: Queued) -> str:
    """Who comes first, and how long that takes."""
    if queued.own and not queued.visitors:
        words = text.OWN_FIRST
    elif queued.visitors:
        words = text.VISITORS_FIRST.format(visitors=text.visitors(queued.visitors))
    else:
        words = text.AFTER_OWN if queued.ahead else text.NEXT
    if queued.expected_seconds is not None:
        words += ", " + _about(queued.expected_seconds)
    return tag("p", esc(words) + _dots(), "stage queued", role="status")


def _stage_html(moving: Moving, speaking: bool) -> str:
    """Why it takes time."""
    waiting = moving.waiting
    if waiting is None:
        return tag("p", esc(text.SPEAKING if speaking else text.THINKING) + _dots(), "stage")
    words = {
        "preparing": text.PREPARING,
        "queued": text.QUEUED.format(position=waiting.position),
        "fetching": text.FETCHING,
        "loading": text.LOADING,
        "waking": text.WAKING,
        "lending": text.LENDING,
    }[waiting.stage]
    details = []
    if waiting.total:
        details.append(text.BYTES.format(done=size(waiting.done), total=size(waiting.total)))
    if waiting.expected_seconds is not None:
        details.append(_about(waiting.expected_seconds))
    line = words + (f" ({', '.join(details)})" if details else "")
    bar = ""
    if waiting.stage in ("fetching", "loading", "waking") and waiting.total:
        bar = meter(waiting.done / waiting.total, words)
    return tag("p", esc(line) + _dots(), f"stage {waiting.stage}") + bar


def _about(expected: float) -> str:
    return text.ABOUT.format(time=seconds(max(1.0, expected)).replace(" ", "\N{NO-BREAK SPACE}"))


def _dots() -> str:
    return tag("span", "", "dots", aria_hidden="true")
