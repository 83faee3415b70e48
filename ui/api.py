"""The public API, for gradio_client and MCP clients. Every other endpoint of the page is private.

The functions' signatures and docstrings are the published documentation, for people, in `/gradio_api/info` (to which a
Space's agents.md points) and as MCP tools; docs/api.md shows them in use. The first of these two lists only what stands
before `Args:`, and MCP only the first line of each argument, so the former says all that it takes to call a function.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import asdict, replace
from typing import Any

import gradio as gr

from negotiation.agents.config import AgentConfig
from negotiation.agents.human import HUMAN, PROGRAM
from negotiation.agents.options import ModelOptions
from negotiation.app.parley import Parley
from negotiation.errors import NotAsked
from negotiation.game.events import Asked, Ended, Event, Halted, Turn, TurnTaken
from negotiation.game.session import Negotiation, replay, view_of
from negotiation.gym import Observation
from negotiation.live.feed import stored_events
from negotiation.runs.export import export_run
from negotiation.runs.record import Run
from negotiation.scenario.analysers import analyser_of
from negotiation.scenario.model import SEATS, Scenario
from ui.kit.errors import plainly
from ui.server.operator import caller_of
from ui.widgets.follow import UPDATE_SECONDS
from ui.widgets.scenario_picker import own_scenario

PUBLIC: dict[str, Any] = {"concurrency_limit": None, "api_visibility": "public"}
IN_FULL = ModelOptions(guard="free")
"""Prompts for programs describe the reply format in full, because no grammar enforces it outside Parley."""
NO_PEOPLE = (
    "The API plays models, strategies and programs; people play on the page. Pass the name of a model or strategy, or "
    f"'{PROGRAM}' for a seat that you play yourself."
)
WRONG_KEY = "This key does not belong to this run. Pass the key of the run's latest 'asked' event."
NO_INTEGER = "The seed must be an integer, not '{given}'."
NO_SCENARIO = "Unknown scenario '{given}'. Choose from: {known}. To use your own scenario, pass it as YAML text."


def build_api(parley: Parley) -> None:
    """Publish the functions. Call this inside the page."""

    def models() -> list[dict[str, Any]]:
        """List the agents that can negotiate: language models and scripted strategies.

        The result is a list with one object per agent: agent (the name that negotiate takes), label, kind ("model" or
        "strategy") and, for models, state (such as "cold" for one that loads on first use), license and size.

        Returns:
            The agents.
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
        """List the scenarios that can be negotiated.

        The result is a list with one object per scenario: scenario (the id that negotiate takes), title, story, rounds
        (the deadline), roles (the names of a and b) and issues (for each, its options or its range).

        Returns:
            The scenarios.
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
        """Start a negotiation between two agents and stream its events until it ends.

        Call models and scenarios first: agent_a, agent_b and scenario are names from their lists. scenario may also be
        a complete scenario as YAML text. An agent may be "program", whose moves you then make with move. seed is an
        integer that controls randomness. options_a and options_b are settings of models, such as {"temperature": 0.2};
        leave them out for strategies.

        Each event is an object with run_id and event, which is one of: queued (it waits for its turn on this server),
        started, turn_started, waiting (a model is not ready yet), writing (a piece of text), rejected (a reply that
        could not be used), asked (a program is to move: state, role and messages say what it knows, and key is for
        move), turn_taken (a complete turn), ended (the last event, with agreement and measures, where utilities lie
        between 0 and 1) or halted (the last event of one that could not end, with reason). The negotiation stops if you
        disconnect.

        Args:
            scenario: The id of a scenario, or a complete scenario as YAML text.
            agent_a: Who plays role a: a model, a strategy, or "program" for yourself.
            agent_b: Who plays role b: a model, a strategy, or "program" for yourself.
            seed: An integer that controls randomness.
            options_a: Settings of the model in role a, such as {"temperature": 0.2}.
            options_b: Settings of the model in role b, such as {"temperature": 0.2}.

        Returns:
            The events, one after the other.
        """
        with plainly():
            given = (("agent_a", agent_a, options_a), ("agent_b", agent_b, options_b))
            a, b = (AgentConfig.from_json({"agent": agent, "options": how}, name) for name, agent, how in given)
            if HUMAN in (a.agent, b.agent):
                raise gr.Error(NO_PEOPLE, print_exception=False)
            number = _integer(seed)
            chosen = await asyncio.to_thread(_scenario, parley, scenario)  # parsing a complete one takes time
            run = Run(run_id="", scenario=chosen, agents={"a": a, "b": b}, seed=number)
            run_id = await asyncio.to_thread(parley.live.start, run, caller=caller_of(parley, request))
            run, turns = replace(run, run_id=run_id), list[Turn]()
            async with aclosing(_events(parley, run_id)) as events:
                async for event in events:
                    if isinstance(event, TurnTaken):
                        turns.append(event.turn)
                    known = await asyncio.to_thread(_known, run, turns) if isinstance(event, Asked) else {}
                    yield event_to_json(run_id, event) | known

    def move(run_id: str, key: str, action: str, offer: dict[str, Any] | None = None, message: str = "") -> str:
        """Make the move of a program that is asked for one in a negotiation.

        run_id and key come with the asked event of negotiate. action is "offer", "accept" or "walk_away", whichever the
        event's state lists as legal. offer is an object with a value for each issue, for the action "offer" only.
        message is what to say to the other side, and may be empty. The result is the id of the run; what follows
        arrives as events of negotiate.

        Args:
            run_id: The run in which the program was asked.
            key: The key in the asked event.
            action: What to do: "offer", "accept" or "walk_away".
            offer: With the action "offer", a value for each issue.
            message: What to say to the other side.

        Returns:
            The id of the run.
        """
        with plainly():
            if not hmac.compare_digest(str(key).encode("utf-8", "surrogatepass"), _key(str(run_id)).encode()):
                raise NotAsked(WRONG_KEY)
            parley.live.answer(str(run_id), str(action), offer, str(message))
        return str(run_id)

    def run(run_id: str) -> dict[str, Any]:
        """Return a stored negotiation: its scenario, agents, all turns, how it ended and what that was worth.

        run_id is in every event of negotiate, and after "?run=" in a link. The result is one object, like a line of the
        JSONL export: among others scenario, agents, turns (with action, offer and message), status, ending, agreement
        and measures.

        Args:
            run_id: The id of the run.

        Returns:
            The run.
        """
        with plainly():
            return export_run(parley.store.run(str(run_id)))

    gr.api(models, api_name="models", **PUBLIC)
    gr.api(scenarios, api_name="scenarios", **PUBLIC)
    gr.api(negotiate, api_name="negotiate", **PUBLIC)
    gr.api(move, api_name="move", **PUBLIC)
    gr.api(run, api_name="run", **PUBLIC)


_SECRET = secrets.token_bytes(32)


def _key(run_id: str) -> str:
    """Return the key with which a program moves in a run; only the stream of the run's events contains it."""
    return hmac.new(_SECRET, run_id.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:32]


def _known(run: Run, turns: list[Turn]) -> dict[str, Any]:
    """Return what the program to move gets: its key, the state, its own side, and what a model would be told now."""
    scenario = run.scenario
    state = replay(scenario, tuple(turns))
    view = view_of(Negotiation(run.run_id, scenario, {}, run.seed), analyser_of(scenario), state, turns)
    shown = {"round": state.round, "rounds": scenario.rounds, "last_turn": state.last_turn}
    return {
        "key": _key(run.run_id),
        "state": {**shown, "table": state.table, "legal": list(state.legal)},
        "role": view.role.model_dump(mode="json"),
        "messages": list(Observation(view, IN_FULL).added),
    }


async def _events(parley: Parley, run_id: str) -> AsyncGenerator[Event, None]:
    """Yield the events of a run until it ends. The run stops some time after its last watcher has left."""
    watch = parley.live.watch(run_id)
    if watch is None:  # it has already ended
        for stored in stored_events(await asyncio.to_thread(parley.store.run, run_id)):
            yield stored
        return
    with watch:
        event: Event | None = None
        while not isinstance(event, Ended | Halted):
            for event in watch.poll(0):
                yield event
            await asyncio.sleep(UPDATE_SECONDS)


def event_to_json(run_id: str, event: Event) -> dict[str, Any]:
    """Return an event of a run as plain data, with its kind under `event`."""
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


def _integer(seed: object) -> int:
    """Return a seed, whatever type a program sent it as."""
    try:
        return int(str(seed))
    except ValueError:
        raise gr.Error(NO_INTEGER.format(given=str(seed)[:60]), print_exception=False) from None


def _scenario(parley: Parley, given: object) -> Scenario:
    """Return a shipped scenario by its id, or parse a complete one, whatever type a program sent."""
    if isinstance(given, str) and "\n" in given:
        return own_scenario(parley.lanes.limits, given, "own", "your scenario")
    if not isinstance(given, str) or given not in parley.scenarios:
        known = ", ".join(parley.scenarios)
        raise gr.Error(NO_SCENARIO.format(given=str(given)[:60], known=known), print_exception=False)
    return parley.scenarios[given]
