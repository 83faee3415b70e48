"""Votes on the two lanes of a comparison, and their count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, get_args

import gradio as gr

from negotiation.app.parley import Parley
from negotiation.runs.record import Run
from negotiation.runs.store import Choice, Vote
from ui.history import text
from ui.history.access import Access, comparison_of
from ui.kit.components import Updates
from ui.kit.errors import plainly
from ui.kit.templates import render
from ui.server.visitor import owner_of


class Votes:
    """Builds its components where it is created."""

    def __init__(self, parley: Parley, access: Access) -> None:
        self._store = parley.store
        self._access = access
        with gr.Row(visible=False, elem_classes="votes") as self.row:
            self.asked = gr.HTML(elem_id="replay-votes", js_on_load=None)
            self.choices = {
                choice: gr.Button(text.VOTES[choice], size="sm", min_width=90, scale=0, elem_id=f"replay-vote-{choice}")
                for choice in get_args(Choice)
            }

    @property
    def outputs(self) -> list[Any]:
        """The components that `show` updates."""
        return [self.row, self.asked]

    def show(self, request: gr.Request, runs: Sequence[Run], *, hidden: bool) -> Updates:
        """Return the updates that ask for a vote and count those there are, for the two lanes of a comparison."""
        comparison = comparison_of(runs)
        if comparison is None:
            return {self.row: gr.update(visible=False)}
        with plainly():
            votes = self._store.votes(comparison)
        mine, voted = next((vote for vote in votes if vote.voter == owner_of(request)), None), ""
        if mine is not None:
            counts = ", ".join(
                text.VOTE_COUNT.format(name=words, count=sum(vote.choice == choice for vote in votes))
                for choice, words in text.VOTES.items()
            )
            voted = text.VOTED.format(mine=text.VOTES[mine.choice], counts=counts)
        return {
            self.row: gr.update(visible=True),
            self.asked: render("history/votes", text=text, hidden=hidden, voted=voted),
        }

    def voter(self, choice: Choice, then: Callable[..., Updates]) -> Callable[..., Updates]:
        """Return the handler of a vote; `then` shows the runs again, called like the handler."""

        def vote(request: gr.Request, run_ids: tuple[str, ...], turn: float, blind: bool) -> Updates:
            runs, visitor = self._access.runs(run_ids), owner_of(request)
            comparison = comparison_of(runs)
            if visitor is None or comparison is None:
                raise gr.Error(text.VOTE_WHAT, print_exception=False)
            unseen = self._access.hides(request, runs, blind)
            with plainly():
                self._store.vote(Vote(comparison, visitor, choice, blind=unseen))
            return then(request, run_ids, turn, blind)

        return vote
