"""The visitor's own account, at the top of the page: signing in with Hugging Face, or a key for one session."""

from __future__ import annotations

from typing import Any

import gradio as gr
from markupsafe import Markup

from negotiation.app.parley import Parley
from ui.kit import account_text as text
from ui.kit.components import QUIET, Updates, script
from ui.kit.errors import plainly
from ui.kit.templates import element, render
from ui.server.accounts import accounts_of, own_token
from ui.server.scopes import CONTRIBUTE
from ui.server.sign_in import FAILED
from ui.server.visitor import visitor_of

RELOAD = "() => location.reload()"
"""The set-up is remembered and a running negotiation rejoined, so that a reload shows everything as it was."""


class AccountCorner:
    """Builds the button where it is created, and the panel with a key where `build_panel` is called.

    On Spaces the button signs in with Hugging Face. Elsewhere it opens the panel; Gradio's own button would hand out
    the server's token there. Where visitors can do neither, there is nothing.
    """

    def __init__(self, parley: Parley) -> None:
        self._parley = parley
        self._accounts = accounts_of(parley)
        self.button: Any = None
        if self._accounts.how == "hub":
            self.button = gr.LoginButton(
                text.SIGN_IN,
                text.SIGN_OUT,
                size="sm",
                variant="secondary",
                icon=None,  # the guard closes the address of Gradio's files
                elem_id="account-button",
                scale=0,
                min_width=150,
            )
        elif self._accounts.how == "key":
            self.button = gr.Button(text.OWN_KEY, size="sm", elem_id="account-button", scale=0, min_width=150)

    def build_panel(self) -> None:
        """Create what is shown on demand, and the notice of an expired sign-in."""
        self.notice = gr.HTML(elem_id="account-notice", js_on_load=None)
        if self._accounts.how != "key":
            return
        with gr.Column(visible=False, elem_id="account-panel", elem_classes="account-panel") as self.panel:
            about = render("account", title=text.TITLE, about=text.ABOUT_KEY, where=text.WHERE_KEY, url=text.TOKENS_URL)
            gr.HTML(about, js_on_load=None)
            with gr.Row(elem_classes="account-row") as self.entry:
                self.key = gr.Textbox(
                    label=text.KEY,
                    info=text.KEY_INFO,
                    type="password",
                    max_lines=1,
                    max_length=500,
                    autofocus=True,
                    elem_id="account-key",
                    html_attributes=gr.InputHTMLAttributes(autocomplete="off", spellcheck=False),
                    min_width=220,
                )
                self.use = gr.Button(text.USE_KEY, variant="primary", elem_id="account-use", scale=0, min_width=120)
                self.own = gr.Button(text.USE_OWN, elem_id="account-own", scale=0, min_width=210, visible=False)
            self.used = gr.HTML(element("p", "", text.KEY_USED), visible=False, js_on_load=None)
            with gr.Row(elem_classes="account-row"):
                self.forget = gr.Button(text.FORGET, elem_id="account-forget", scale=0, min_width=130, visible=False)
                self.close = gr.Button(text.CLOSE, elem_id="account-close", scale=0, min_width=90)

    def connect(self, page: gr.Blocks) -> None:
        """Connect the parts."""
        if self._accounts.how == "none":
            return
        if self._accounts.how == "hub":
            self.button.load_event_to_attach = None  # Gradio's own would be part of the public API
            opened = page.load(self._opened_hub, None, [self.button, self.notice], **QUIET)
            opened.success(None, js=script("forget").replace("KEY", FAILED), **QUIET)
            return
        page.load(self._opened, None, [self.button, self.notice, self.entry, self.used, self.own, self.forget], **QUIET)
        self.button.click(lambda: gr.update(visible=True), None, [self.panel], **QUIET)
        self.close.click(lambda: (gr.update(visible=False), ""), None, [self.panel, self.key], **QUIET)
        for event in (self.use.click, self.key.submit):
            event(self._use, [self.key], [self.key], **QUIET).success(None, js=RELOAD)
        self.own.click(self._use_own, None, None, **QUIET).success(None, js=RELOAD)
        self.forget.click(self._forget, None, None, **QUIET).success(None, js=RELOAD)

    def _opened_hub(self, request: gr.Request, profile: gr.OAuthProfile | None) -> Updates:
        visitor = visitor_of(request)
        signed_in = profile is not None and self._accounts.of(visitor) is not None
        return {
            self.button: text.SIGN_OUT.format(profile.username) if profile and signed_in else text.SIGN_IN,
            self.notice: self._notice(request, signed_in=signed_in),
        }

    def _notice(self, request: gr.Request, *, signed_in: bool) -> Markup:
        if FAILED in request.query_params and CONTRIBUTE not in request.query_params and not signed_in:
            return element("p", "notice", text.FAILED)
        return notice_html(expired=self._accounts.has_expired(visitor_of(request)))

    def _opened(self, request: gr.Request) -> Updates:
        visitor = visitor_of(request)
        used, expired = self._accounts.of(visitor) is not None, self._accounts.has_expired(visitor)
        return {
            self.button: text.KEY_IN_USE if used else text.EXPIRED_BUTTON if expired else text.OWN_KEY,
            self.notice: notice_html(expired=expired),
            self.entry: gr.update(visible=not used),
            self.used: gr.update(visible=used),
            self.own: gr.update(visible=own_token(self._parley.settings, request) is not None),
            self.forget: gr.update(visible=used),
        }

    def _use(self, request: gr.Request, key: str) -> str:
        """Keep a key that was typed, and empty its field."""
        if not (key or "").strip():
            raise gr.Error(text.NO_KEY, print_exception=False)
        self._keep(request, key)
        return ""

    def _use_own(self, request: gr.Request) -> None:
        token = own_token(self._parley.settings, request)
        if token is None:
            raise gr.Error(text.NO_OWN, print_exception=False)
        self._keep(request, token)

    def _keep(self, request: gr.Request, key: str) -> None:
        visitor = visitor_of(request)
        if self._accounts.how != "key":
            raise gr.Error(text.NOT_HERE, print_exception=False)
        if visitor is None:
            raise gr.Error(text.NO_COOKIE, print_exception=False)
        with plainly():
            self._accounts.sign_in(visitor, key)

    def _forget(self, request: gr.Request) -> None:
        self._accounts.sign_out(visitor_of(request))


def notice_html(*, expired: bool) -> Markup:
    """Say that a sign-in has expired; nothing if it has not."""
    return element("p", "notice", text.EXPIRED) if expired else Markup("")
