"""Contributing a run to the dataset in a visitor's own account: what is published is read first, and can be withdrawn.

Hidden for everybody for whom there is no token. Knows no sign-in: `token_of` says whose token to use.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from negotiation.runs.contributions import LICENSE, DatasetPlace, Token, contribute, find, withdraw
from negotiation.runs.record import Run
from ui.history import text
from ui.history.access import Access
from ui.kit.components import QUIET, Updates
from ui.kit.errors import plainly
from ui.kit.templates import render

TokenOf = Callable[[gr.Request], Token | None]
"""Returns the token of whoever sends a request: with the scope `contribute-repos`, or None."""


def nobodys_token(request: gr.Request) -> None:
    """Return no token: nobody can contribute."""


class Contributing:
    """The components of one run that is shown, built where it is created."""

    def __init__(self, name: str, access: Access, token_of: TokenOf) -> None:
        self._access = access
        self._token_of = token_of
        small: dict[str, Any] = {"size": "sm", "min_width": 80, "scale": 0}
        self.open = gr.Button(text.CONTRIBUTE, visible=False, elem_id=f"{name}-contribute", **small)
        with gr.Column(visible=False, elem_id=f"{name}-contribution") as self.panel:
            self.about = gr.HTML(js_on_load=None)
            with gr.Row(elem_classes="run-acts"):
                # "Not now" comes first, because a double click on "Contribute…" lands there.
                self.close = gr.Button(text.NOT_NOW, elem_id=f"{name}-contribute-not", **small)
                self.give = gr.Button(
                    text.CONTRIBUTE_SURE, variant="primary", elem_id=f"{name}-contribute-sure", **small
                )
                self.take = gr.Button(text.WITHDRAW, variant="stop", elem_id=f"{name}-withdraw", **small)

    @property
    def outputs(self) -> list[Any]:
        """The components that `show` updates."""
        return [self.open, self.panel]

    def show(self, request: gr.Request, run: Run, *, may_change: bool) -> Updates:
        """Return the updates for a run: the button, if its visitor has a token for contributing it, and no question."""
        possible = may_change and run.status == "done" and self._token_of(request) is not None
        return {self.open: gr.update(visible=possible), self.panel: gr.update(visible=False)}

    def connect(self, place: int, runs: gr.State) -> None:
        """Connect the buttons; `place` is that of the run among those in `runs`."""
        changed = [self.panel, self.about, self.give, self.take]

        def ask(request: gr.Request, run_ids: Sequence[str]) -> Updates:
            """Say what would be published and where, or what can be withdrawn."""
            run, token = self._own(request, run_ids, place)
            with plainly():
                where, there = find(run.run_id, token)
            return {
                self.panel: gr.update(visible=True),
                self.about: _about(where, there=there),
                self.give: gr.update(visible=not there),
                self.take: gr.update(visible=there),
            }

        def give(request: gr.Request, run_ids: Sequence[str]) -> Updates:
            run, token = self._own(request, run_ids, place)
            with plainly():
                where = contribute(run, token)
            return self._told(text.CONTRIBUTED.format(repository=where.repository), where.address)

        def take(request: gr.Request, run_ids: Sequence[str]) -> Updates:
            run, token = self._own(request, run_ids, place)
            with plainly():
                left = withdraw(run.run_id, token)
            said = text.WITHDRAWN_DATASET if not left.dataset else text.WITHDRAWN
            if left.history:
                said = text.WITHDRAWN_BUT_HISTORY
            return self._told(f"{said.format(repository=left.repository)} {text.COPIES_REMAIN}")

        for button, act in ((self.open, ask), (self.give, give), (self.take, take)):
            button.click(act, [runs], changed, **QUIET)
        self.close.click(lambda: gr.update(visible=False), None, [self.panel], **QUIET)

    def _own(self, request: gr.Request, run_ids: Sequence[str], place: int) -> tuple[Run, Token]:
        """Return the visitor's own run and token; raises gr.Error if either is missing."""
        run, token = self._access.run(run_ids, place), self._token_of(request)
        if token is None or not self._access.may_change(request, run):
            raise gr.Error(text.CONTRIBUTE_SIGN_IN, print_exception=False)
        return run, token

    def _told(self, words: str, link: str = "") -> Updates:
        return {
            self.about: render("history/contribution", words=[words], link=link, text=text),
            self.give: gr.update(visible=False),
            self.take: gr.update(visible=False),
        }


def _about(where: DatasetPlace, *, there: bool) -> str:
    if there:
        words = [text.CONTRIBUTION_THERE.format(repository=where.repository), text.WITHDRAW_ABOUT]
        return render("history/contribution", words=words, link=where.address, text=text)
    words = [part.format(repository=where.repository, license=text.LICENSE_NAMES[LICENSE]) for part in text.CONSENT]
    return render("history/contribution", words=words, link="", text=text)
