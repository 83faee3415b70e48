"""Commands that run a negotiation and print stored ones."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from negotiation.agents.config import AgentConfig
from negotiation.agents.purse import LIMIT
from negotiation.agents.remarks import WORDS
from negotiation.cli.common.base import (
    Json,
    Output,
    ScenarioOption,
    agent_named,
    agent_option,
    one_line,
    opened,
    say,
    scenario_named,
    settings_option,
)
from negotiation.cli.common.own_keys import AskKey, CostLimit, KeyVariables, OwnKeys, spent
from negotiation.figures.points import points
from negotiation.game.events import Ended, Event, Halted, Started, Turn, TurnStarted, TurnTaken, Waiting
from negotiation.game.measures import measure_turns, total_cost
from negotiation.live.feed import stored_events
from negotiation.runs.record import Run
from negotiation.scenario.analysis import Analyser
from negotiation.scenario.model import SEATS, Scenario, Seat

app = typer.Typer()


@app.command()
def run(
    *,
    scenario: ScenarioOption,
    a: Annotated[str, agent_option("a", "Model or strategy for seat a.")],
    a_option: Annotated[list[str] | None, settings_option("a")] = None,
    b: Annotated[str, agent_option("b", "Model or strategy for seat b.")],
    b_option: Annotated[list[str] | None, settings_option("b")] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed that controls randomness.")] = 1,
    api_key: KeyVariables = None,
    ask_api_key: AskKey = False,
    cost_limit: CostLimit = LIMIT,
    json: Json = None,
) -> int:
    """Run one negotiation to its end.

    Prints every turn as it happens. The exit status is 1 if the negotiation failed.
    """
    played = scenario_named(scenario)
    agents: dict[Seat, AgentConfig] = {"a": agent_named("a", a, a_option), "b": agent_named("b", b, b_option)}
    with opened() as parley, Output(json) as out:
        payer = OwnKeys(api_key or (), ask_api_key, cost_limit).payer(parley.catalog, agents.values())
        asked = Run(run_id="", scenario=played, agents=agents, seed=seed)
        run_id = parley.live.start(asked, background=True, payer=payer)
        watch = parley.live.watch(run_id)
        try:
            for event in watch or stored_events(parley.store.run(run_id)):
                _show_progress(played, event)
        except KeyboardInterrupt:
            parley.live.stop(run_id)
            raise
        finally:
            if watch:
                watch.close()
        done = parley.store.run(run_id)
        spent(payer, done.cost)
        out.write(describe(done), lines=_summary(done))
    return 0 if done.status == "done" else 1


@app.command()
def show(run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="ID of the run.")], json: Json = None) -> int:
    """Print a stored run."""
    with opened() as parley:
        found = parley.store.run(run_id)
    with Output(json) as out:
        out.write(describe(found), lines=_transcript(found))
    return 0


def describe(run: Run) -> dict[str, Any]:
    """Return a run as the JSON that `run` and `show` print."""
    measures = run.measures
    of_turn = measure_turns(Analyser(run.scenario), run.turns)
    chosen = {seat: config.chosen for seat, config in run.agents.items() if config.chosen}
    return {
        "run_id": run.run_id,
        "scenario": run.scenario.scenario_id,
        "seed": run.seed,
        "agents": {seat: config.agent for seat, config in run.agents.items()},
        **({"options": chosen} if chosen else {}),
        "status": run.status,
        "reason": run.reason,
        "turns": [
            {
                "round": turn.round,
                "agent": turn.seat,
                "action": str(turn.action),
                "offer": turn.offer,
                "message": turn.message,
                "thought": turn.thought,
                "utility_a": turn.utility_a,
                "utility_b": turn.utility_b,
                "invalid": [asdict(entry) for entry in turn.invalid],
                "seconds": turn.seconds,
                "tokens": turn.tokens,
                **_server_facts(turn),
                **({"notes": list(turn.notes)} if turn.notes else {}),
                **dict(zip(("concession", "regret"), of_turn[turn.index], strict=True)),
            }
            for turn in run.turns
        ],
        "ending": None if run.ending is None else str(run.ending),
        "agreement": run.agreement,
        "utility_a": measures.utility_a if measures else None,
        "utility_b": measures.utility_b if measures else None,
        "pareto_distance": measures.pareto_distance if measures else None,
        "nash_distance": measures.nash_distance if measures else None,
        "welfare_share": measures.welfare_share if measures else None,
        "rational_a": measures.rational_a if measures else None,
        "rational_b": measures.rational_b if measures else None,
        "cost": total_cost(turn.cost for turn in run.turns),
        "provenance": None if run.provenance is None else run.provenance.model_dump(mode="json"),
    }


def _server_facts(turn: Turn) -> dict[str, Any]:
    """Return what is only known of models with a price or on a remote server."""
    priced = {"prompt_tokens": turn.prompt_tokens, "cost": turn.cost} if turn.cost is not None else {}
    held = {"held": turn.held} if turn.held in ("schema", "json") else {}
    return {**priced, **held, **({"estimated": True} if turn.estimated else {})}


def _show_progress(scenario: Scenario, event: Event) -> None:
    match event:
        case Started(run_id=run_id):
            say(f"run {run_id}")
        case TurnStarted(round=number, seat=seat, agent=agent):
            say(f"round {number}: {scenario.roles[seat].name} ({agent}) to move")
        case TurnTaken(turn=turn):
            for invalid in turn.invalid:
                say(f"  invalid reply ({invalid.kind}): {one_line(invalid.detail)}")
            offer = f" {scenario.show(turn.offer)}" if turn.offer else ""
            who = scenario.roles[turn.seat].name
            say(f"round {turn.round}: {who} ({turn.agent}): {turn.action}{offer}  “{one_line(turn.message)}”")
            for line in _remarks(turn):
                say(line)
        case Waiting(stage="loading" | "waking" | "fetching" as stage, done=done, total=total) if total:
            say(f"  {stage}: {done / 1e6:,.0f} of {total / 1e6:,.0f} MB")
        case Ended(ending=ending):
            say(f"ended: {ending}")
        case Halted(status=status, reason=reason):
            say(f"{status}: {one_line(reason)}")


def _summary(run: Run) -> list[str]:
    if run.measures is None:
        return [f"{run.run_id}: {run.status} ({one_line(run.reason)})"]
    deal = run.scenario.show(run.agreement) if run.agreement else "no deal"
    worth = {"a": run.measures.utility_a, "b": run.measures.utility_b}
    shares = ", ".join(f"{run.scenario.roles[seat].name} {points(worth[seat])}" for seat in SEATS)
    return [f"{run.run_id}: {deal}; points out of 100: {shares}"]


def _transcript(run: Run) -> list[str]:
    lines = []
    for turn in run.turns:
        offer = f" {run.scenario.show(turn.offer)}" if turn.offer else ""
        who, said = run.scenario.roles[turn.seat].name, one_line(turn.message)
        lines.append(f"{turn.round}. {who}: {turn.action}{offer}  “{said}”")
        lines += _remarks(turn)
    return [*lines, *_summary(run)]


def _remarks(turn: Turn) -> list[str]:
    return [f"  ({WORDS[note]})" for note in turn.notes]
