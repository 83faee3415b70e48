"""Contributing a run to the dataset in a visitor's own account: what is published is read first, and can be withdrawn.

The panel below a run always shows one of a few views. Whoever has not allowed it yet is sent to the Hub's own page for
that, and comes back to the same view of the same run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from manager.errors import AccessDenied
from negotiation.errors import NotAllowed, NotContributed
from negotiation.runs.hub.contributions import LICENSE, DatasetPlace, contribute, find, withdraw
from negotiation.runs.hub.visitor_datasets import HubAccount
from negotiation.runs.record import Run
from ui.history import contributing_text as text
from ui.history.access import Access
from ui.kit.components import QUIET, Updates, script
from ui.kit.errors import words_of
from ui.kit.templates import render
from ui.server.accounts import Accounts
from ui.server.scopes import CONTRIBUTE
from ui.server.visitor import visitor_of

Act = Callable[[Run, HubAccount], Updates]


class Contributing:
    """The components of one run that is shown: the button is built where it is created, the panel by `build_panel`.

    Args:
        number: The place of the run on the page, from 1.
    """

    def __init__(self, number: int, access: Access, accounts: Accounts) -> None:
        self._number = number
        self._access = access
        self._accounts = accounts
        self._small: dict[str, Any] = {"size": "sm", "min_width": 80, "scale": 0}
        self.open = gr.Button(text.CONTRIBUTE, visible=False, elem_id=f"replay-{number}-contribute", **self._small)

    def build_panel(self) -> None:
        """Create what is shown once the button was pressed."""
        name, small = f"replay-{self._number}", self._small
        panel = gr.Column(visible=False, elem_id=f"{name}-contribution", elem_classes="contribution-panel")
        with panel as self.panel:
            self.about = gr.HTML(js_on_load=None)
            with gr.Row(elem_classes="run-acts"):
                # "Not now" comes first, because a double click on "Contribute…" lands there.
                self.close = gr.Button(text.NOT_NOW, elem_id=f"{name}-contribute-not", **small)
                primary = {"variant": "primary", **small}
                self.allow = gr.Button(text.ALLOW, elem_id=f"{name}-contribute-allow", **primary)
                self.give = gr.Button(text.GIVE, elem_id=f"{name}-contribute-sure", **primary)
                self.take = gr.Button(text.WITHDRAW, variant="stop", elem_id=f"{name}-withdraw", **small)

    @property
    def outputs(self) -> list[Any]:
        """The components that `show` updates."""
        return [self.open, self.panel]

    def show(self, request: gr.Request, run: Run) -> Updates:
        """Return the updates for a run: the button, if its visitor can contribute it, and no question."""
        possible = self._accounts.hub is not None and self._access.owns(request, run) and run.status == "done"
        return {self.open: gr.update(visible=possible), self.panel: gr.update(visible=False)}

    def connect(self, place: int, runs: gr.State) -> None:
        """Connect the buttons; `place` is that of the run among those in `runs`."""
        changed = [self.panel, self.about, self.close, self.allow, self.give, self.take]
        acts: tuple[tuple[gr.Button, str, Act], ...] = (
            (self.open, text.ASKING, self._ask),
            (self.give, text.GIVING, self._give),
            (self.take, text.TAKING, self._take),
        )
        for button, busy, act in acts:
            begun = button.click(self._busy(busy), None, changed, **QUIET)
            done = begun.then(self._at_the_hub(act, place), [runs], changed, **QUIET)
            done.failure(lambda: gr.update(visible=False), None, [self.panel], **QUIET)
            if button is self.open:
                done.then(None, js=script("forget").replace("KEY", CONTRIBUTE), **QUIET)
        self.close.click(lambda: gr.update(visible=False), None, [self.panel], **QUIET)
        self.allow.click(None, js=script("allow").replace("PLACE", str(self._number)), **QUIET)

    # -- what the buttons do ---------------------------------------------------------------------------------------

    def _busy(self, words: str) -> Callable[[], Updates]:
        return lambda: self._view("", [words])

    def _at_the_hub(self, act: Act, place: int) -> Callable[..., Updates]:
        """Return a handler that does something with the visitor's run and account, and tells what is in its way."""

        def handle(request: gr.Request, run_ids: Sequence[str]) -> Updates:
            run = self._access.run(run_ids, place)
            if self._accounts.hub is None or not self._access.owns(request, run):
                raise gr.Error(text.NOT_OWN, print_exception=False)
            visitor = visitor_of(request)
            account = self._accounts.contributor(visitor)
            if account is None:
                returned = CONTRIBUTE in request.query_params
                return self._view(*(text.NOT_ALLOWED if returned else text.TO_ALLOW), allow=True)
            try:
                return act(run, account)
            except (NotAllowed, AccessDenied) as error:
                self._accounts.disallow(visitor)
                return self._view(text.FAILED, [words_of(error)], allow=True)
            except NotContributed as error:
                return self._view(text.FAILED, [words_of(error)])

        return handle

    def _ask(self, run: Run, account: HubAccount) -> Updates:
        """Say what would be published and where, or what can be withdrawn."""
        where, there = find(run.run_id, account)
        return self._there(text.THERE, where) if there else self._consent(where)

    def _give(self, run: Run, account: HubAccount) -> Updates:
        return self._there(text.GIVEN, contribute(run, account))

    def _take(self, run: Run, account: HubAccount) -> Updates:
        left = withdraw(run.run_id, account)
        said = text.WITHDRAWN if left.dataset else text.WITHDRAWN_DATASET
        if left.history:
            said = text.WITHDRAWN_BUT_HISTORY
        return self._view(text.TAKEN, [said.format(repository=left.repository), text.COPIES_REMAIN])

    # -- views -----------------------------------------------------------------------------------------------------

    def _consent(self, where: DatasetPlace) -> Updates:
        known = {"repository": where.repository, "license": text.LICENSE_NAMES[LICENSE]}
        points = [(name, words.format(**known)) for name, words in text.CONSENT]
        return self._view(text.CONSENT_TITLE, points=points, give=True)

    def _there(self, title: str, where: DatasetPlace) -> Updates:
        words = [text.IS_THERE.format(repository=where.repository), text.WITHDRAW_ABOUT]
        return self._view(title, words, link=where.address, take=True)

    def _view(
        self,
        title: str,
        words: Sequence[str] = (),
        *,
        points: Sequence[tuple[str, str]] = (),
        link: str = "",
        allow: bool = False,
        give: bool = False,
        take: bool = False,
    ) -> Updates:
        about = render("history/contribution", title=title, words=words, points=points, link=link, text=text)
        return {
            self.panel: gr.update(visible=True),
            self.about: about,
            self.close: gr.update(value=text.NOT_NOW if allow or give else text.CLOSE, visible=bool(title)),
            self.allow: gr.update(visible=allow),
            self.give: gr.update(visible=give),
            self.take: gr.update(visible=take),
        }
