"""Commands that run negotiations and show stored ones."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from manager.errors import ConfigError
from negotiation.agents.catalog import AgentConfig
from negotiation.agents.human import HUMAN
from negotiation.commands.base import Add, Output, one_line, opened, say, scenario_named
from negotiation.events import Ended, Event, Halted, TurnTaken, Waiting
from negotiation.scenario import SEATS, Scenario, Seat
from negotiation.store import Run
from negotiation.watch import stored_events


def register(add: Add) -> None:
    """Add the commands of this module."""
    one = add("run", run, "run one negotiation")
    one.add_argument("--scenario", required=True, metavar="SCENARIO", help="a scenario's id, or a YAML file")
    one.add_argument("--a", required=True, metavar="AGENT", help="a model or strategy for seat a")
    one.add_argument("--b", required=True, metavar="AGENT", help="a model or strategy for seat b")
    for seat in SEATS:
        about = f"how seat {seat} plays, like guard=rational; may be given several times"
        one.add_argument(f"--{seat}-option", action="append", default=[], metavar="KEY=VALUE", help=about)
    one.add_argument("--seed", type=int, default=1)
    add("show", show, "print a stored run").add_argument("run_id")


def run(options: argparse.Namespace) -> int:
    """Run one negotiation to its end."""
    scenario = scenario_named(options.scenario)
    agents = {seat: _agent(options, seat) for seat in SEATS}
    with opened() as parley, Output(options.json) as out:
        run_id = parley.live.start(Run("", scenario, agents, options.seed), background=True)
        watch = parley.live.watch(run_id)
        try:
            for event in watch or stored_events(parley.store.run(run_id)):
                _tell(scenario, event)
        except KeyboardInterrupt:
            parley.live.stop(run_id)
            raise
        finally:
            if watch:
                watch.close()
        done = parley.store.run(run_id)
        out.write(describe(done), lines=_summary(done))
    return 0 if done.status == "done" else 1


def show(options: argparse.Namespace) -> int:
    """Print a stored run."""
    with opened() as parley:
        found = parley.store.run(options.run_id)
    with Output(options.json) as out:
        out.write(describe(found), lines=_transcript(found))
    return 0


def describe(run: Run) -> dict[str, Any]:
    """A run as the command line prints it."""
    measures = run.measures
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
            }
            for turn in run.turns
        ],
        "ending": None if run.ending is None else str(run.ending),
        "agreement": run.agreement,
        "utility_a": measures.utility_a if measures else None,
        "utility_b": measures.utility_b if measures else None,
        "pareto_distance": measures.pareto_distance if measures else None,
        "nash_distance": measures.nash_distance if measures else None,
    }


def _agent(options: argparse.Namespace, seat: Seat) -> AgentConfig:
    given = vars(options)
    if given[seat] == HUMAN:
        raise ConfigError(f"--{seat}: people play on the page, not on the command line; name a model or a strategy")
    return AgentConfig.from_arguments(given[seat], given[f"{seat}_option"], f"--{seat}-option")


def _tell(scenario: Scenario, event: Event) -> None:
    """Progress, a line each."""
    match event:
        case TurnTaken(turn=turn):
            for invalid in turn.invalid:
                say(f"  a reply cannot be used ({invalid.kind}): {one_line(invalid.detail)}")
            offer = f" {scenario.show(turn.offer)}" if turn.offer else ""
            who = scenario.roles[turn.seat].name
            say(f"round {turn.round}: {who} ({turn.agent}): {turn.action}{offer}  “{one_line(turn.message)}”")

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
    return [f"{run.run_id}: {deal}; utilities {run.measures.utility_a:.3f} / {run.measures.utility_b:.3f}"]


def _transcript(run: Run) -> list[str]:
    lines = []
    for turn in run.turns:
        offer = f" {run.scenario.show(turn.offer)}" if turn.offer else ""
        who, said = run.scenario.roles[turn.seat].name, one_line(turn.message)
        lines.append(f"{turn.round}. {who}: {turn.action}{offer}  “{said}”")
    return [*lines, *_summary(run)]
