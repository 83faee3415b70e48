"""What goes across both lanes: the recording of a first visit, how two negotiations compare, the vote, and the link."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
from markupsafe import Markup

from manager.errors import ParleyError
from negotiation.agents.strategies import STRATEGIES
from negotiation.app.parley import Parley
from negotiation.runs.record import Run
from negotiation.runs.store import Vote
from ui.arena import text
from ui.arena.runs import Shown
from ui.drawing.ending import LaneVerdict, compare
from ui.drawing.text import VOTE_ASK
from ui.kit.components import Updates, script
from ui.kit.errors import plainly
from ui.kit.templates import element, render
from ui.server.visitor import owner_of
from ui.sharing.buttons import share_html
from ui.sharing.subject import link_to
from ui.widgets.pace import PaceControl

NO_LINK = element("span", data_run="")
OPENED = element("span", data_opened="")
"""The link of a page that shows no run. It arrives with everything else that opening the page shows."""


class Banner:
    """Builds its components where it is created."""

    def __init__(self, parley: Parley) -> None:
        self._store = parley.store
        with gr.Row(elem_classes="banner"):
            self.words = gr.HTML(elem_id="arena-banner", js_on_load=None)
            self.ballot = gr.HTML(elem_id="arena-vote", js_on_load=script("send") + script("vote"))
            self.next = gr.Button(text.NEXT, elem_id="arena-next", size="sm", min_width=100, scale=0, visible=False)
            self.play = gr.Button(text.REPLAY, elem_id="arena-play", size="sm", min_width=160, scale=0, visible=False)
            self.pace = PaceControl(parley.settings.pace, "arena-pace")
            self.link = gr.HTML(elem_classes="link", elem_id="arena-link", js_on_load=script("link"))

    @property
    def outputs(self) -> list[Any]:
        """All components but the pace and the link."""
        return [self.words, self.ballot, self.next, self.play]

    def cleared(self, *, veiled: bool = False) -> Updates:
        """Return the updates of negotiations that have not ended; `veiled` if their agents stay hidden."""
        return {
            self.words: render("arena/veil", words=text) if veiled else "",
            self.ballot: "",
            self.next: gr.update(visible=False),
            self.play: gr.update(visible=False),
        }

    def recorded(self, recording: Sequence[Run]) -> Updates:
        """Return the updates that label the lanes as a recording, with its result."""
        words = _result_html(compare(recording), recorded=True)
        return {**self.cleared(), self.words: words, self.play: gr.update(value=text.REPLAY, visible=True)}

    def ended(self, request: gr.Request, shown: Shown) -> Updates:
        """Return the updates, of the link too, that compare the lanes and ask for a vote, once both have ended."""
        runs = self._runs(shown)
        result, vote = compare(runs), self._vote_of(request, runs)
        veiled = shown.veiled and vote is None
        new: Updates = {self.link: gr.skip()}
        if runs:
            over = all(run.status != "running" for run in runs)
            new[self.link] = link_html(runs[0], hidden=veiled, over=over)
        if result is None:
            return {**new, **self.cleared(veiled=shown.veiled)}
        words = (
            render("arena/veil", words=text)
            if veiled
            else render("arena/ended", words=text, result=result, recorded=False)
        )
        ballot = render(
            "arena/ballot",
            ask=VOTE_ASK.format(role=result.role),
            choices=text.VOTE_CHOICES,
            mine=vote and vote.choice,
            voted=_voted(vote, result),
        )
        new |= {**self.cleared(), self.words: words, self.ballot: ballot, self.next: gr.update(visible=not veiled)}
        return new

    def vote(self, request: gr.Request, shown: Shown, event: gr.EventData) -> None:
        """Store a visitor's vote on the lanes, which reveals who played; raises gr.Error if they cannot be judged."""
        runs, voter = self._runs(shown), owner_of(request)
        if compare(runs) is None or voter is None or runs[0].comparison is None:
            raise gr.Error(text.VOTE_NOTHING, print_exception=False)
        with plainly():
            self._store.vote(Vote(runs[0].comparison, voter, event.vote, blind=shown.veiled))
        shown.veiled = False

    def hides(self, request: gr.Request, runs: Sequence[Run]) -> bool:
        """Return whether the agents of two lanes stay hidden from a visitor who votes blind."""
        return len(runs) == 2 and self._vote_of(request, runs) is None

    def _vote_of(self, request: gr.Request, runs: Sequence[Run]) -> Vote | None:
        comparison = runs[0].comparison if runs else None
        if comparison is None:
            return None
        votes = self._store.votes(comparison, voter=owner_of(request) or "")
        return votes[-1] if votes else None

    def _runs(self, shown: Shown) -> list[Run]:
        try:
            return [self._store.run(run_id) for _, run_id in sorted(shown.by_lane.items())]
        except ParleyError:  # a run was deleted
            return []


def _result_html(result: LaneVerdict | None, *, recorded: bool = False) -> Markup:
    return render("arena/ended", words=text, result=result, recorded=recorded)


def _voted(vote: Vote | None, result: LaneVerdict) -> str:
    if vote is None:
        return ""
    mine = text.VOTED.format(mine=text.VOTE_CHOICES[vote.choice][1])
    if vote.choice == "neither":
        return mine
    agrees = {"1": 1, "2": 2, "tie": 0}[vote.choice] == result.ahead
    return f"{mine} {text.VOTE_AGREES if agrees else text.VOTE_DIFFERS}"


def link_html(run: Run, *, hidden: bool = False, over: bool = False) -> Markup:
    """Draw the seed of a run, whether a rerun would repeat it, its link, and, once it is `over`, how to share it.

    What is `hidden` on the page until the visitor has voted stays hidden in what leaves it.
    """
    scripted = all(config.agent in STRATEGIES for config in run.agents.values())
    link = link_to(run, hidden=hidden)
    return render(
        "arena/link",
        seed=run.seed,
        run_id=run.run_id,
        link=link,
        label=text.LINK,
        about=text.REPEATS if scripted else text.VARIES,
        hidden=hidden,
        share=share_html(run.run_id, link, hidden=hidden) if over else "",
    )
