"""Models in a few words: ready here, served remotely or to be downloaded, what they need, why some cannot be used."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from manager.config.model_spec import ModelSpec, Price
from manager.machine.model_files import whereabouts
from manager.placed import DEVICE
from manager.state import State
from negotiation.app.parley import Parley
from ui.kit import account_text, text
from ui.kit.templates import render
from ui.kit.units import dollars, size

BYTES_PER_PARAMETER = 2
"""Most models are stored with 16 bits per parameter."""


@dataclass(frozen=True)
class Unusable:
    """A model that cannot be used here and now."""

    label: str
    reason: str


def model_facts(parley: Parley, spec: ModelSpec) -> list[str]:
    """Return what a pick list says about a model, beginning with its group."""
    group = parley.availability.of(spec).group
    if group in ("remote", "account"):
        facts = [text.GROUPS[group], price_words(spec.price), context_words(parley, spec)]
    elif group == "download":
        sized = text.DOWNLOAD.format(size=size(weights_bytes(spec)))
        facts = [sized, memory_words(parley, spec)] if spec.parameters else [text.GROUPS[group]]
    else:
        facts = [text.GROUPS[group], _here(parley, spec)]
    return [fact for fact in (*facts, spec.license) if fact]


def _here(parley: Parley, spec: ModelSpec) -> str:
    status = parley.manager.snapshot().of(spec.model_id)
    if status is not None and status.state is State.RESIDENT:
        loaded = text.PLACED if status.device == DEVICE else text.LOADED
        return f"{loaded}, {size(status.bytes)}" if status.bytes else loaded
    if spec.type == "huggingface" and whereabouts(spec) == "package":
        return text.EMBEDDED
    return memory_words(parley, spec)


def memory_words(parley: Parley, spec: ModelSpec) -> str:
    """Return how much memory a local model takes; nothing where that is not known."""
    need = parley.settings.profile.need(spec)
    return text.MEMORY.format(memory=size(need)) if need else ""


def weights_bytes(spec: ModelSpec) -> int:
    """Estimate the bytes of a model's files from its `size`; 0 where that is not given."""
    return spec.parameters * BYTES_PER_PARAMETER


def price_words(price: Price | None) -> str:
    """Return a price per million tokens in words; nothing without one."""
    if price is None:
        return ""
    return text.PRICE_PER_MILLION.format(input=dollars(price.input), output=dollars(price.output))


def context_words(parley: Parley, spec: ModelSpec) -> str:
    """Return the most tokens that a provider takes for a model's prompt and reply; nothing where that is not known."""
    listed = parley.catalog.providers.models().get(spec.model_id)
    context = None if listed is None or spec.credentials is None else listed.context
    return "" if context is None else account_text.CONTEXT.format(count=f"{context:,}")


def unusable_html(parley: Parley) -> Markup:
    """List the registered models that cannot be used here and now, and why; nothing if all can be."""
    judged = [(spec, parley.availability.of(spec).reason) for spec in parley.availability.registered()]
    rows = [Unusable(spec.label or spec.model_id, reason) for spec, reason in judged if reason]
    words = text.UNUSABLE_ONE if len(rows) == 1 else text.UNUSABLE_ALL.format(count=len(rows))
    return render("unusable_models", words=words, rows=rows)
