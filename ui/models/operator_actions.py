"""What only the operator may do with models. Every action checks the request's rights itself."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gradio as gr

from manager.backends.local.hub import is_here, look_up
from manager.config.model_spec import HUB_ID, parse_spec
from negotiation.app.parley import Parley
from negotiation.errors import DoesNotFit
from ui.kit import text as shared
from ui.kit.errors import plainly
from ui.models import text
from ui.server.operator import operators_of

LOADS = 4
"""How many of the operator's loads are waited for at once."""


class OperatorActions:
    """The operator's actions, as handlers of events."""

    def __init__(self, parley: Parley) -> None:
        self._manager = parley.manager
        self._catalog = parley.catalog
        self._operators = operators_of(parley)
        self._fixed = parley.catalog.zero_gpu  # models were placed when the Space started
        self._threads = ThreadPoolExecutor(LOADS, thread_name_prefix="operator")

    async def load(self, request: gr.Request, model_id: str | None) -> None:
        """Load a model and report when it is loaded, or why not. Waits on a separate thread."""
        self._require(request)
        with plainly():
            chosen = _chosen(model_id)
            gr.Info(text.LOADING.format(name=chosen))
            session = self._manager.session("operator")
            await asyncio.wrap_future(self._threads.submit(session.load_model, chosen))
        gr.Info(text.LOADED.format(name=chosen))

    def unload(self, request: gr.Request, model_id: str | None) -> None:
        """Unload a model as soon as nothing uses it."""
        self._require(request)
        with plainly():
            self._manager.unload_model(_chosen(model_id))

    def pin(self, request: gr.Request, model_id: str | None) -> None:
        """Keep a model loaded from now on."""
        self._require(request)
        with plainly():
            self._manager.pin(_chosen(model_id))

    def unpin(self, request: gr.Request, model_id: str | None) -> None:
        """Allow a model to be unloaded when others need its memory."""
        self._require(request)
        with plainly():
            self._manager.pin(_chosen(model_id), pinned=False)

    def add(self, request: gr.Request, name: str, label: str, file: str) -> str:
        """Register a model of the Hub and return its id, which is its name on the Hub.

        Nothing is registered unless the Hub has the model and it fits on this machine.
        """
        self._require(request)
        name, label, file = name.strip(), label.strip(), file.strip()
        if not HUB_ID.fullmatch(name):
            raise gr.Error(text.HUB_ID_WRONG, print_exception=False)
        config: dict[str, Any] = {"model_name": name, "label": label, "gguf_file": file or None}
        with plainly():
            config |= _checked(name, file or None)
            if reason := self._catalog.misfit(parse_spec(name, config)):
                raise DoesNotFit(text.TOO_LARGE.format(name=name, reason=reason))
            self._manager.register_model(name, config)
        gr.Info(text.ADDED.format(name=name))
        return name

    def _require(self, request: gr.Request) -> None:
        self._operators.require(request)
        if self._fixed:
            raise gr.Error(shared.ZERO_GPU, print_exception=False)


def _checked(name: str, gguf_file: str | None) -> dict[str, Any]:
    """Return what the Hub says about a model as keys of its entry; nothing if its files are on this machine."""
    if is_here(name, None, gguf_file):
        return {}
    about = look_up(name, gguf_file)
    return {"size": _size(about.parameters or 0), "license": about.license, "gated": about.gated}


def _size(parameters: int) -> str:
    """Return a number of parameters as the key `size` has it; nothing if it is 0.

    >>> _size(134_515_008), _size(1_720_574_976), _size(10**13)
    ('135M', '1.72B', '10000B')
    """
    if not parameters:
        return ""
    if parameters >= 1e12:
        return f"{parameters / 1e9:.0f}B"
    return f"{parameters / 1e9:.3g}B" if parameters >= 1e9 else f"{parameters / 1e6:.0f}M"


def _chosen(model_id: str | None) -> str:
    if not model_id:
        raise gr.Error(text.PICK_A_MODEL, print_exception=False)
    return model_id
