"""The command that compares two agents."""

from __future__ import annotations

import argparse
from contextlib import closing
from dataclasses import asdict
from typing import Any

from negotiation.cli.base import Add, Output, add_agent, agent_named, one_line, opened, say, scenario_named
from negotiation.comparison import comparison
from negotiation.comparison.comparison import AgentResult, Comparison, Progress, Result


def register(add: Add) -> None:
    """Add the commands of this module."""
    one = add("compare", compare, "compare two agents against the same opponent, with the same seeds in both seats")
    one.add_argument("--scenario", required=True, metavar="SCENARIO", help="a scenario's id, or a YAML file")
    add_agent(one, "model-1", "the first model or strategy")
    add_agent(one, "model-2", "the second one")
    add_agent(one, "opponent", "whom both meet")
    one.add_argument("--pairs", type=int, default=10, metavar="N", help="how many seeds (default: 10)")
    one.add_argument("--seed", type=int, default=1, help="the first seed (default: 1)")
    one.add_argument("--one-seat", action="store_true", help="play seat a only, not both seats")
    one.add_argument("--at-once", type=int, default=comparison.AT_ONCE, metavar="N", help="negotiations at a time")


def compare(options: argparse.Namespace) -> int:
    """Run a comparison; the exit status is 1 if a negotiation failed."""
    asked = Comparison(
        scenario_named(options.scenario),
        (agent_named(options, "model-1"), agent_named(options, "model-2")),
        agent_named(options, "opponent"),
        options.pairs,
        options.seed,
        mirrored=not options.one_seat,
    )
    progress: Progress | None = None
    with Output(options.json) as out, opened() as parley:
        running = comparison.run(asked, parley.catalog, parley.store, at_once=max(1, options.at_once))
        with closing(running):
            for progress in running:
                _tell(progress)
        assert progress is not None
        result = progress.result
        out.write(describe(asked, result), _lines(asked, result))
    return 1 if result.failed else 0


def describe(asked: Comparison, result: Result) -> dict[str, Any]:
    """A comparison as the command line prints it."""
    first, second = (_agent(agent) for agent in result.agents)
    return {
        "scenario": asked.scenario.scenario_id,
        "opponent": asked.opponent.label,
        "seed": asked.seed,
        "mirrored": asked.mirrored,
        "pairs": result.pairs,
        "negotiations": result.negotiations,
        "difference": None if result.difference is None else asdict(result.difference),
        "agents": {"model_1": first, "model_2": second},
        "sign_test": result.p_value,
        "identical": result.identical,
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


def _tell(progress: Progress) -> None:
    if progress.run.measures is None:
        say(f"{progress.done}/{progress.total}: {progress.run.status}: {one_line(progress.run.reason)}")
        return
    found = progress.result.difference
    known = f"difference {found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}]" if found else "no complete pair yet"
    say(f"{progress.done}/{progress.total}: {known}")


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
            f"  {agent.agent.label}: utility {agent.utility:.3f}; agreement {rate.mean:.0%} "
            f"[{rate.low:.0%}, {rate.high:.0%}]; invalid replies: {invalid}"
        )
        if audit.offered:
            lines.append(
                f"    numbers offered that stand in its prompt: {audit.offered_anchored} of {audit.offered} "
                f"(picked evenly: {audit.even:.1f}); agreed on: {audit.agreed_anchored} of {audit.agreed}"
            )
    if result.difference is not None:
        found = result.difference
        lines.append(
            f"  difference {found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}], sign test p = {result.p_value:.3g}"
        )
    lines.append(f"  {_verdict(result)}")
    return lines + [f"  failed: {one_line(reason)}" for reason in result.failed]


def _verdict(result: Result) -> str:
    if result.difference is None:
        return "no pair is complete, so nothing can be said"
    if result.identical == "agents":
        return "both agents made exactly the same moves"
    if result.identical == "repeats":
        return "all pairs repeat the same moves: more of them tell nothing, and the interval counts them once"
    if result.difference.excludes_zero:
        return "told apart: zero lies outside the interval"
    if result.more_pairs_needed is None:
        return "not told apart, and these pairs do not say how many more would do it"
    return f"not told apart; about {result.more_pairs_needed} more pairs would do it, if they go on like these"
