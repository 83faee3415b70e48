"""The command that compares two agents."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from typing import Annotated, Any

import typer

from negotiation.agents.purse import LIMIT
from negotiation.cli.common.base import (
    AtOnce,
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
from negotiation.comparison import comparison
from negotiation.comparison.comparison import AgentResult, Comparison, ComparisonProgress, Result
from negotiation.figures.points import points
from negotiation.figures.statistics import Interval

app = typer.Typer()


@app.command()
def compare(
    *,
    scenario: ScenarioOption,
    model_1: Annotated[str, agent_option("model-1", "First model or strategy.")],
    model_1_option: Annotated[list[str] | None, settings_option("model-1")] = None,
    model_2: Annotated[str, agent_option("model-2", "Second model or strategy.")],
    model_2_option: Annotated[list[str] | None, settings_option("model-2")] = None,
    opponent: Annotated[str, agent_option("opponent", "Model or strategy that both of them play.")],
    opponent_option: Annotated[list[str] | None, settings_option("opponent")] = None,
    pairs: Annotated[int, typer.Option(metavar="N", help="Number of seeds to play.")] = 10,
    seed: Annotated[int, typer.Option(metavar="N", help="First seed.")] = 1,
    one_seat: Annotated[bool, typer.Option("--one-seat", help="Play seat a only, instead of both seats.")] = False,
    at_once: AtOnce = comparison.AT_ONCE,
    api_key: KeyVariables = None,
    ask_api_key: AskKey = False,
    cost_limit: CostLimit = LIMIT,
    json: Json = None,
) -> int:
    """Compare two agents.

    Both play the same opponent with the same seeds, in both seats. The exit status is 1 if a negotiation failed.
    """
    asked = Comparison(
        scenario_named(scenario),
        (agent_named("model-1", model_1, model_1_option), agent_named("model-2", model_2, model_2_option)),
        agent_named("opponent", opponent, opponent_option),
        pairs,
        seed,
        mirrored=not one_seat,
    )
    progress: ComparisonProgress | None = None
    cost = 0.0
    with Output(json) as out, opened() as parley:
        agents = (*asked.agents, asked.opponent)
        payer = OwnKeys(api_key or (), ask_api_key, cost_limit).payer(parley.catalog, agents, asked.negotiations)
        running = comparison.run(asked, parley.catalog, parley.store, at_once=max(1, at_once), payer=payer)
        with closing(running):
            for progress in running:
                _show_progress(progress)
                cost += progress.run.cost
        assert progress is not None
        spent(payer, cost)
        result = progress.result
        out.write(describe(asked, result), _lines(asked, result))
    return 1 if result.failed else 0


def describe(asked: Comparison, result: Result) -> dict[str, Any]:
    """Return a comparison as the JSON that `compare` prints."""
    first, second = (_agent(agent) for agent in result.agents)
    at_any_time = result.difference_at_any_time
    return {
        "scenario": asked.scenario.scenario_id,
        "opponent": asked.opponent.label,
        "seed": asked.seed,
        "mirrored": asked.mirrored,
        "pairs": result.pairs,
        "negotiations": result.negotiations,
        "difference": None if result.difference is None else asdict(result.difference),
        "difference_at_any_time": None if at_any_time is None else asdict(at_any_time),
        "agents": {"model_1": first, "model_2": second},
        "sign_test": result.p_value,
        "identical": result.identical,
        "counted_once": result.counted_once,
        "more_pairs_needed": result.more_pairs_needed,
        "failed": list(result.failed),
    }


def _agent(result: AgentResult) -> dict[str, Any]:
    rate = result.agreement
    audit = result.anchors
    return {
        "agent": result.agent.agent,
        "options": result.agent.chosen,
        "utility": result.utility,
        "agreement": None if rate is None else {"rate": rate.mean, "low": rate.low, "high": rate.high},
        "invalid": result.invalid.total(),
        "invalid_by_kind": dict(result.invalid),
        "anchors": asdict(audit) if audit.offered else None,
    }


def _show_progress(progress: ComparisonProgress) -> None:
    if progress.run.measures is None:
        say(f"{progress.done}/{progress.total}: {progress.run.status}: {one_line(progress.run.reason)}")
        return
    found = progress.result.difference_at_any_time
    say(f"{progress.done}/{progress.total}: {_difference(found) if found else 'no complete pair yet'}")


def _difference(found: Interval) -> str:
    return f"difference {100 * found.mean:+.1f} points {_ends(found)}"


def _ends(found: Interval) -> str:
    return f"[{100 * found.low:+.1f}, {100 * found.high:+.1f}]"


def _lines(asked: Comparison, result: Result) -> list[str]:
    lines = [
        f"{asked.scenario.scenario_id}, against {asked.opponent.label}: "
        f"{result.pairs} pairs, {result.negotiations} negotiations"
    ]
    for agent in result.agents:
        if agent.utility is None or agent.agreement is None:
            continue
        rate, audit = agent.agreement, agent.anchors
        invalid = ", ".join(f"{kind} {count}" for kind, count in sorted(agent.invalid.items())) or "none"
        lines.append(
            f"  {agent.agent.label}: {points(agent.utility)} points out of 100; agreement {rate.mean:.0%} "
            f"[{rate.low:.0%}, {rate.high:.0%}]; invalid replies: {invalid}"
        )
        if audit.offered:
            lines.append(
                f"    numbers from its own prompt: {audit.offered_anchored} of {audit.offered} offers "
                f"({audit.even:.1f} expected by chance), {audit.agreed_anchored} of {audit.agreed} agreements"
            )
    if result.difference is not None and result.difference_at_any_time is not None:
        lines.append(f"  {_difference(result.difference_at_any_time)}, whenever you stop")
        lines.append(
            f"  if {result.pairs} pairs were the plan: {_ends(result.difference)}, sign test p = {result.p_value:.3g}"
        )
    lines.append(f"  {_verdict(result)}")
    return lines + [f"  failed: {one_line(reason)}" for reason in result.failed]


def _verdict(result: Result) -> str:
    found = result.difference_at_any_time
    if found is None:
        return "no verdict: no pair is complete"
    if result.identical == "agents":
        return "both agents made exactly the same moves"
    if result.counted_once and result.identical:
        return "all pairs repeat the same moves: more pairs of scripts add no evidence, and the intervals count one"
    if found.excludes_zero:
        better = result.agents[0 if found.mean > 0 else 1].agent.label
        return f"{better} does better: the interval excludes zero, whenever you stop"
    if result.more_pairs_needed is None:
        return "no clear winner, and these pairs do not show how many more would settle it"
    return f"no clear winner; if the trend holds, about {result.more_pairs_needed} more pairs are needed"
