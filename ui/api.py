"""For programs: what gradio_client and MCP clients may call. Everything else on the page is private.

The functions' signatures and docstrings are the published documentation; docs/api.md shows them in use.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

import gradio as gr

from negotiation.agents.config import AgentConfig
from negotiation.agents.human import HUMAN
from negotiation.app.parley import Parley
from negotiation.game.events import Event
from negotiation.live.feed import stored_events
from negotiation.runs.export import export_run
from negotiation.runs.record import Run
from negotiation.scenario.model import SEATS, Scenario
from ui.kit import text
from ui.kit.errors import plainly
from ui.server.operator import caller_of
from ui.widgets.follow import UPDATE_SECONDS
from ui.widgets.scenario_picker import own_scenario

OPEN: dict[str, Any] = {"concurrency_limit": None, "api_visibility": "public"}


def build_api(parley: Parley) -> None:
    """Publish the functions; called inside the page."""

    def models() -> list[dict[str, Any]]:
        """The agents that can negotiate: models with their state, and scripted strategies.

        Returns:
            One object each with the keys agent (what to pass to negotiate), label, kind ("model" or "strategy") and,
            for models, state, license and size.
        """
        listed = parley.manager.list_models()
        found: list[dict[str, Any]] = []
        for choice in parley.catalog.choices():
            about = listed.get(choice.agent)
            kind = "strategy" if about is None else "model"
            facts = {} if about is None else {key: about[key] for key in ("state", "license", "size")}
            found.append({"agent": choice.agent, "label": choice.label, "kind": kind, **facts})
        return found

    def scenarios() -> list[dict[str, Any]]:
        """The scenarios that can be negotiated.

        Returns:
            One object each with the keys scenario (what to pass to negotiate), title, story, rounds, roles (a and b)
            and issues (name: its options, or its range).
        """
        return [_about(scenario) for scenario in parley.scenarios.values()]

    async def negotiate(
        scenario: str,
        agent_a: str,
        agent_b: str,
        seed: int = 1,
        options_a: dict[str, Any] | None = None,
        options_b: dict[str, Any] | None = None,
        request: gr.Request = None,
    ) -> AsyncIterator[dict[str, Any]]:
        """Start a negotiation and stream its events until it ends. It stops when the caller goes away.

        Args:
            scenario: The id of a scenario, or a whole scenario as YAML text.
            agent_a: Who plays role a: a model's id or a strategy's name.
            agent_b: Who plays role b.
            seed: Decides every chance.
            options_a: Settings of a model in role a, such as {"temperature": 0.2}; none for strategies.
            options_b: Settings of a model in role b.

        Returns:
            Events, each an object with the keys run_id and event: queued (while it waits for its turn), started,
            turn_started, waiting, writing (pieces of text), rejected, turn_taken (a whole turn), and at the end ended
            (with agreement and measures) or halted.
        """
        with plainly():
            given = (("agent_a", agent_a, options_a), ("agent_b", agent_b, options_b))
            a, b = (AgentConfig.from_json({"agent": agent, "options": how}, name) for name, agent, how in given)
            if HUMAN in (a.agent, b.agent):
                raise gr.Error(text.API_NO_PEOPLE, print_exception=False)
            number = _whole(seed)
            chosen = await asyncio.to_thread(_scenario, parley, scenario)  # reading a whole one takes its time
            run = Run(run_id="", scenario=chosen, agents={"a": a, "b": b}, seed=number)
            run_id = await asyncio.to_thread(parley.live.start, run, caller=caller_of(parley, request))
            watch = parley.live.watch(run_id)
            if watch is None:  # it has ended already
                for event in stored_events(await asyncio.to_thread(parley.store.run, run_id)):
                    yield event_to_json(run_id, event)
                return
            with watch:
                ended = False
                while not ended:
                    for event in watch.poll(0):
                        data = event_to_json(run_id, event)
                        ended = data["event"] in ("ended", "halted")
                        yield data
                    await asyncio.sleep(UPDATE_SECONDS)

    def run(run_id: str) -> dict[str, Any]:
        """A stored negotiation, whole: scenario, agents, every turn, how it ended and its measures.

        Args:
            run_id: The id that every event gave, or that a link names after ?run=.

        Returns:
            The run as one object, the same as a line of the JSONL export.
        """
        with plainly():
            return export_run(parley.store.run(str(run_id)))

    gr.api(models, api_name="models", **OPEN)
    gr.api(scenarios, api_name="scenarios", **OPEN)
    gr.api(negotiate, api_name="negotiate", **OPEN)
    gr.api(run, api_name="run", **OPEN)


def event_to_json(run_id: str, event: Event) -> dict[str, Any]:
    """An event of a run as plain data, its kind under `event`."""
    kind = re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()
    return {"event": kind, "run_id": run_id, **asdict(event)}


def _about(scenario: Scenario) -> dict[str, Any]:
    return {
        "scenario": scenario.scenario_id,
        "title": scenario.title,
        "story": scenario.story,
        "rounds": scenario.rounds,
        "roles": {seat: scenario.roles[seat].name for seat in SEATS},
        "issues": {
            name: issue.range.model_dump() if issue.range is not None else list(issue.choices)
            for name, issue in scenario.issues.items()
        },
    }


def _whole(seed: object) -> int:
    """A seed, of whatever type a program sends."""
    try:
        return int(str(seed))
    except ValueError:
        raise gr.Error(text.API_SEED.format(given=str(seed)[:60]), print_exception=False) from None


def _scenario(parley: Parley, given: object) -> Scenario:
    """A shipped scenario by its id, or a whole one, of whatever type a program sends."""
    if isinstance(given, str) and "\n" in given:
        return own_scenario(parley.lanes.limits, given, "own", "your scenario")
    if not isinstance(given, str) or given not in parley.scenarios:
        known = ", ".join(parley.scenarios)
        raise gr.Error(text.API_SCENARIO.format(given=str(given)[:60], known=known), print_exception=False)
    return parley.scenarios[given]
