"""How to cite and reproduce a stored run, in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup

from negotiation.agents.human import HUMAN, OUTSIDE
from negotiation.runs.provenance import ModelUse, Program
from negotiation.runs.record import Run
from negotiation.scenario.model import SEATS, Seat
from ui.history import text
from ui.kit.templates import render

ABBREVIATED = 12
"""Digits of a digest or commit that are enough to recognise it; exports have all of them."""


def provenance_html(run: Run) -> Markup:
    """Draw what a run was played with, how to cite it, and how to play it again."""
    found = run.provenance
    if found is None:
        return render("history/provenance", text=text, run_id=run.run_id, citation="", rows=[], limits=[])
    rows = [(text.PROGRAM, _program(found.program))]
    if found.drawn_from is not None:
        rows.append((text.DRAWN, text.DRAWN_FROM.format(**found.drawn_from.model_dump(exclude={"sha256"}))))
    rows += [(text.CONTINUED, _program(program)) for program in found.continued_by]
    for seat in SEATS:
        rows += [(run.scenario.roles[seat].name, words) for words in _player(run, seat)]
    citation = text.CITATION.format(
        run=run.run_id,
        title=run.scenario.title,
        scenario=run.scenario.scenario_id,
        digest=found.scenario_sha256[:ABBREVIATED],
        seed=run.seed,
        version=found.program.parley,
        prompts=found.program.prompt_version,
    )
    limits = [text.LIMITS[kind].format(role=role) for role, kind in _uncertain(run)]
    return render("history/provenance", text=text, run_id=run.run_id, citation=citation, rows=rows, limits=limits)


def _program(program: Program) -> str:
    libraries = {"torch": program.torch, "transformers": program.transformers, "Python": program.python}
    versions = _listed(f"{name} {version}" for name, version in libraries.items() if version)
    return text.PROGRAM_IS.format(
        version=program.parley, prompts=program.prompt_version, libraries=versions, platform=program.platform
    )


def _player(run: Run, seat: Seat) -> list[str]:
    """Return who played a seat; several lines if its model changed on the way."""
    config = run.agents[seat]
    uses = run.provenance.models.get(seat, ()) if run.provenance is not None else ()
    if not uses:
        return [text.A_PERSON if config.agent == HUMAN else text.NO_MODEL.format(agent=config.label)]
    return [
        f"{text.FROM_TURN.format(turn=use.first_turn + 1) if use.first_turn > 1 else ''}{_model(use)}" for use in uses
    ]


def _model(use: ModelUse) -> str:
    it, server = use.identity, use.identity.server
    parts = [
        it.model_name,
        it.package or "",
        text.COMMIT.format(commit=it.revision[:ABBREVIATED]) if it.revision else "",
        text.DIGEST.format(digest=it.sha256[:ABBREVIATED]) if it.sha256 else "",
        it.quantization or "",
        *it.adapters,
        text.ON_DEVICE.format(dtype=it.dtype, device=it.hardware or it.device) if it.dtype else it.device,
    ]
    if server is not None:
        said = _listed(word or "" for word in (server.model, server.fingerprint, server.software))
        parts.append(text.SERVER_SAYS.format(words=said) if said else text.SERVER_SILENT)
    return f"{_listed(parts)}; {_settings(use.sampling)}"


def _settings(sampling: Mapping[str, Any]) -> str:
    return _listed(f"{name.replace('_', ' ')} {value}" for name, value in sampling.items() if value not in ([], None))


def _listed(parts: Iterable[str]) -> str:
    return ", ".join(part for part in parts if part)


def _uncertain(run: Run) -> list[tuple[str, str]]:
    """Return the roles whose turns cannot be reproduced for certain, with the kind of their player."""
    found = []
    for seat in SEATS:
        uses = run.provenance.models.get(seat, ()) if run.provenance is not None else ()
        if run.agents[seat].agent in OUTSIDE:
            found.append((run.scenario.roles[seat].name, "person"))
        elif any(use.identity.server is not None for use in uses):
            found.append((run.scenario.roles[seat].name, "remote"))
    return found
