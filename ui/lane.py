"""One lane: its components, and what a LaneView looks like in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from negotiation.analysis import Analyser
from negotiation.events import Ended, Halted, Turn
from negotiation.protocol import Action
from negotiation.reply import glimpse
from negotiation.scenario import SEATS, Offer, Scenario, Seat
from ui import text
from ui.charts import utility_space
from ui.html import esc, fold, number, seconds, size, tag
from ui.view import LaneView, Moving

KEEP_FOLDS_OPEN = """
const open = new Set();
element.addEventListener('click', (event) => {
  const part = event.target.closest('summary')?.parentElement;
  const key = part?.dataset.key;
  if (key) { if (part.open) open.delete(key); else open.add(key); }
}, true);
watch('value', () => {
  for (const part of element.querySelectorAll('details[data-key]')) {
    const wanted = open.has(part.dataset.key);
    if (part.open !== wanted) part.open = wanted;
  }
});
"""
"""Updates replace attributes, and with them whether a fold is open: put that back before the browser paints."""


@dataclass(frozen=True)
class Lane:
    """The components of one lane."""

    number: int
    agent_a: gr.Dropdown
    agent_b: gr.Dropdown
    run_id: gr.State
    plot: gr.HTML
    turns: gr.HTML
    now: gr.HTML
    verdict: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        """What a Painter updates."""
        return [self.plot, self.turns, self.now, self.verdict]


class Painter:
    """Keeps a lane up to date with a view.

    Every update carries all parts: the browser may merge two updates and drop what only the first one had. Parts
    that did not change are not made again, and Gradio sends only differences.
    """

    def __init__(self, lane: Lane, analyser: Analyser) -> None:
        self._lane = lane
        self._analyser = analyser
        self._painted: LaneView | None = None
        self._parts: dict[Any, Any] = {}

    def paint(self, view: LaneView) -> dict[Any, Any]:
        """The updates that show `view`."""
        before, lane = self._painted, self._lane
        if before is None or (view.turns, view.end, view.begun) != (before.turns, before.end, before.begun):
            self._parts[lane.plot] = utility_space(view.scenario, self._analyser, view.turns, _agreed(view))
            self._parts[lane.turns] = turns_html(view)
            self._parts[lane.verdict] = verdict_html(view, self._analyser)
        self._parts[lane.now] = now_html(view)
        self._painted = view
        return dict(self._parts)


def build_lane(
    number: int, choices: list[tuple[str, str]], agents: tuple[str, str], scenario: Scenario, analyser: Analyser
) -> Lane:
    """Create the components of a lane where it is called, showing an empty lane for `scenario`."""
    empty = LaneView(scenario)
    with gr.Column(elem_classes="lane", min_width=320):
        gr.HTML(tag("h2", esc(text.LANE.format(number=number))), elem_classes="lane-title")
        with gr.Row(elem_classes="agents"):
            agent_a, agent_b = (
                gr.Dropdown(
                    choices,
                    value=agent,
                    label=text.AGENT.format(name=scenario.roles[seat].name),
                    elem_id=f"lane-{number}-agent-{seat}",
                    min_width=200,
                )
                for seat, agent in zip(SEATS, agents, strict=True)
            )
        plot = gr.HTML(utility_space(scenario, analyser, (), agreed=False), elem_id=f"lane-{number}-plot")
        with gr.Column(elem_id=f"lane-{number}-transcript", elem_classes="transcript"):
            turns = gr.HTML(turns_html(empty), js_on_load=KEEP_FOLDS_OPEN)
            now = gr.HTML(js_on_load=None)
        verdict = gr.HTML(verdict_html(empty, analyser), elem_id=f"lane-{number}-verdict", js_on_load=None)
        run_id = gr.State("")
    return Lane(number, agent_a, agent_b, run_id, plot, turns, now, verdict)


# -- what has been said ----------------------------------------------------------------------------------------


def turns_html(view: LaneView) -> str:
    """All turns that were taken."""
    if not view.begun:
        return tag("p", esc(text.EMPTY_LANE), "empty")
    shown: list[str] = []
    offers: dict[Seat, Offer] = {}
    for turn in view.turns:
        shown.append(_turn_html(view, turn, offers.get(turn.seat)))
        if turn.offer is not None:
            offers[turn.seat] = turn.offer
    return tag("div", "".join(shown), "turns", role="log", aria_live="polite")


def _turn_html(view: LaneView, turn: Turn, before: Offer | None) -> str:
    scenario = view.scenario
    parts = [_header(scenario, turn.seat, turn.agent, turn.round)]
    if turn.message:
        parts.append(tag("p", esc(turn.message), "message", dir="auto"))
    match turn.action:
        case Action.OFFER if turn.offer is not None:
            parts.append(_offer_html(scenario, turn.offer, before))
        case Action.ACCEPT:
            parts.append(tag("p", esc("✓ " + text.ACCEPTS), "action accept"))
        case Action.WALK_AWAY:
            gave_up = any(entry.outcome == "gave_up" for entry in turn.invalid)
            parts.append(tag("p", esc("✕ " + (text.FORFEITS if gave_up else text.WALKS_AWAY)), "action leave"))
    if turn.action is not Action.WALK_AWAY:
        parts.append(_worth_html(scenario, turn))
    key = f"{view.run_id}-{turn.index}"
    folds = []
    if turn.thought:
        folds.append(fold(text.THOUGHT, tag("p", esc(turn.thought), "thought", dir="auto"), f"{key}-thought"))
    folds.append(fold(text.INSIDE, _inside_html(turn), f"{key}-inside"))
    parts.append(tag("div", "".join(folds), "folds"))
    return tag("article", "".join(parts), f"turn seat-{turn.seat}")


def _header(scenario: Scenario, seat: Seat, agent: str, round_number: int) -> str:
    who = tag("strong", esc(scenario.roles[seat].name)) + tag("span", esc(agent), "agent")
    return tag("header", who + tag("span", esc(text.ROUND.format(round=round_number)), "round"))


def _offer_html(scenario: Scenario, offer: Offer, before: Offer | None) -> str:
    """An offer as a card: a line for each issue, those that changed since the last own offer marked."""
    rows = []
    for name, issue in scenario.issues.items():
        changed = before is not None and before[name] != offer[name]
        value = tag("dd", esc(issue.show(offer[name])), "changed" if changed else "")
        rows.append(tag("div", tag("dt", esc(issue.title or name)) + value))
    return tag("dl", "".join(rows), "offer")


def _worth_html(scenario: Scenario, turn: Turn) -> str:
    if turn.utility_a is None or turn.utility_b is None:
        return ""
    parts = [
        tag("span", esc(text.WORTH.format(utility=number(value), name=scenario.roles[seat].name)), f"seat-{seat}")
        for seat, value in zip(SEATS, (turn.utility_a, turn.utility_b), strict=True)
    ]
    return tag("p", " · ".join(parts), "worth")


def _inside_html(turn: Turn) -> str:
    if not turn.prompt:
        return tag("p", esc(text.NO_MODEL))
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
    parts.append(tag("p", esc(text.COST.format(tokens=turn.tokens, seconds=turn.seconds, prompt=turn.prompt_tokens))))
    return "".join(parts)


# -- what is happening now -------------------------------------------------------------------------------------


def now_html(view: LaneView) -> str:
    """The turn that is being made: why it waits, what is being thought and said."""
    moving = view.moving
    if moving is None:
        return ""
    parts = [_header(view.scenario, moving.seat, moving.agent, moving.round)]
    seen = glimpse(moving.written)
    if moving.rejected:
        parts.append(tag("p", esc(text.ASKED_AGAIN.format(detail=moving.rejected)), "notice"))
    if seen.get("thought"):
        parts.append(tag("p", esc(seen["thought"]), "thought", dir="auto"))
    if "message" in seen:
        parts.append(tag("p", esc(seen["message"]), "message typing", dir="auto"))
    parts.append(_stage_html(moving, speaking="message" in seen))
    return tag("article", "".join(parts), f"turn moving seat-{moving.seat}")


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
    }[waiting.stage]
    details = []
    if waiting.total:
        details.append(f"{size(waiting.done)} of {size(waiting.total)}")
    if waiting.expected_seconds is not None:
        details.append(text.ABOUT.format(seconds=seconds(waiting.expected_seconds).removesuffix(" s")))
    line = words + (f" ({', '.join(details)})" if details else "")
    bar = ""
    if waiting.stage in ("fetching", "loading", "waking") and waiting.total:
        share = round(100 * waiting.done / waiting.total)
        bar = tag("progress", "", value=share, max=100, aria_label=words)
    return tag("p", esc(line) + _dots(), f"stage {waiting.stage}") + bar


def _dots() -> str:
    return tag("span", "", "dots", aria_hidden="true")


# -- how it ended ----------------------------------------------------------------------------------------------


def _agreed(view: LaneView) -> bool:
    return isinstance(view.end, Ended) and view.end.agreement is not None


def verdict_html(view: LaneView, analyser: Analyser) -> str:
    """The end in words: who got what, and what was left on the table."""
    if view.end is None:
        shown = tag("p", esc(text.VERDICT_WAITING), "empty")
    elif isinstance(view.end, Halted):
        shown = tag("h3", esc(text.HALTED[view.end.status])) + tag("p", esc(view.end.reason))
    else:
        shown = _ended_html(view.scenario, view.end, analyser)
    return tag("div", shown, "panel verdict")


def _ended_html(scenario: Scenario, end: Ended, analyser: Analyser) -> str:
    measures = end.measures
    lines = []
    if end.agreement is not None:
        headline = f"{text.DEAL}: {scenario.show(end.agreement)}"
    else:
        headline = text.NO_DEAL
        lines.append(text.VERDICT[str(end.ending)].format(name=scenario.roles[end.by].name if end.by else ""))
    got: dict[Seat, float] = {"a": measures.utility_a, "b": measures.utility_b}
    if end.agreement is not None:
        lines += [_gained(scenario, seat, utility) for seat, utility in got.items()]
    else:
        lines.append(text.KEPT.format(a=number(got["a"]), b=number(got["b"]), **_names(scenario)))
    for seat, rational in zip(SEATS, (measures.rational_a, measures.rational_b), strict=True):
        if not rational:
            lines.append(text.IRRATIONAL.format(name=scenario.roles[seat].name))
    lines.append(_waste(scenario, analyser, got["a"], got["b"]))
    return tag("h3", esc(headline)) + "".join(tag("p", esc(line)) for line in lines)


def _names(scenario: Scenario) -> dict[str, str]:
    return {"name_a": scenario.roles["a"].name, "name_b": scenario.roles["b"].name}


def _gained(scenario: Scenario, seat: Seat, utility: float) -> str:
    role = scenario.roles[seat]
    gain = utility - role.reservation
    phrase = text.SAME if abs(gain) < 0.005 else (text.BETTER if gain > 0 else text.WORSE)
    return text.GAINED.format(
        name=role.name,
        utility=number(utility),
        gain=phrase.format(by=number(abs(gain))),
        reservation=number(role.reservation),
    )


def _waste(scenario: Scenario, analyser: Analyser, a: float, b: float) -> str:
    better = analyser.improvement(a, b)
    if better is None:
        return text.NO_WASTE
    worth = {"a": number(better.utility_a), "b": number(better.utility_b)}
    return text.WASTE.format(offer=scenario.show(better.offer), **worth, **_names(scenario))
