"""Commands that list the available scenarios and agents."""

from __future__ import annotations

from typing import Any

import typer

from negotiation.agents.strategies import STRATEGIES
from negotiation.cli.common.base import Json, Output, opened

app = typer.Typer()


@app.command()
def scenarios(json: Json = None) -> int:
    """List the scenarios."""
    with opened() as parley:
        found = parley.scenarios.values()
    listed = [{"scenario": s.scenario_id, "title": s.title, "outcomes": s.outcomes, "rounds": s.rounds} for s in found]
    lines = [f"{s.scenario_id:20} {s.title} ({s.outcomes:,} outcomes, {s.rounds} rounds)" for s in found]
    with Output(json) as out:
        out.write(listed, lines)
    return 0


@app.command()
def models(json: Json = None) -> int:
    """List the models and scripted strategies."""
    with opened() as parley:
        about, choices = parley.manager.list_models(), parley.catalog.choices()
        misfits = {model_id: parley.catalog.misfit(parley.manager.spec(model_id)) for model_id in about}
    listed: dict[str, Any] = {}
    lines = []
    for choice in choices:
        if strategy := STRATEGIES.get(choice.agent):
            listed[choice.agent] = {"type": "strategy"}
            details = f"strategy: {strategy.persona}, {strategy.plain_name}"
        else:
            listed[choice.agent] = facts = about[choice.agent]
            details = ", ".join(str(facts[key]) for key in ("model_name", "size", "license") if facts.get(key))
        lines.append(f"{choice.agent:20} {details}".rstrip())
    lines += [f"{model_id:20} unavailable: {reason}" for model_id, reason in misfits.items() if reason]
    with Output(json) as out:
        out.write(listed, lines)
    return 0
