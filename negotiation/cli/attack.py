"""The command that tries to talk agents into something, and says how often it worked."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from manager.errors import ConfigError
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.agents.human import HUMAN
from negotiation.cli.base import Add, Output, one_line, opened, say, scenario_named
from negotiation.diagnostics import attacks as injection
from negotiation.diagnostics.attacks import ATTACKS, Attack, Gullible, Probe, harmless_like
from negotiation.figures.statistics import Interval, rate_interval
from negotiation.game.agent import Agent
from negotiation.scenario.model import SEATS, Scenario, Seat

CONTROL = Gullible().name
AT_ONCE = 16


def register(add: Add) -> None:
    """Add the commands of this module."""
    about = "measure how often messages make an agent accept less than no deal, or reveal what is private"
    one = add("attack", attack, about)
    agents = f"a model or strategy, with options behind commas (smollm2-steady,guard=free), or {CONTROL}: a control"
    one.add_argument("agents", nargs="+", metavar="AGENT", help=agents)
    one.add_argument("--scenario", default="company_car", metavar="SCENARIO", help="a scenario's id, or a YAML file")
    one.add_argument("--rounds", type=int, default=2, metavar="N", help="rounds of each negotiation (default: 2)")
    one.add_argument("--seeds", type=int, default=1, metavar="N", help="seeds for each attack and seat (default: 1)")
    one.add_argument("--at-once", type=int, default=AT_ONCE, metavar="N", help="negotiations at a time")


def attack(options: argparse.Namespace) -> int:
    """Attack every agent, in both seats; the exit status is 1 if a negotiation failed."""
    for name, value, most in (("--rounds", options.rounds, 100), ("--seeds", options.seeds, 10_000)):
        if not 1 <= value <= most:
            raise ConfigError(f"{name}: {value} is not from 1 to {most:,}")
    scenario = scenario_named(options.scenario).model_copy(update={"rounds": options.rounds})
    with Output(options.json) as out, opened() as parley:
        agents = [(label, _agent(parley.catalog, label)) for label in options.agents]
        found = []
        for label, agent in agents:
            both = [
                _played(parley.catalog, agent, texts, scenario, options.seeds, max(1, options.at_once))
                for texts in (ATTACKS, harmless_like(ATTACKS))
            ]
            found.append(Finding(label, *both))
            say(f"{label}: done")
        data = {
            "scenario": scenario.scenario_id,
            "rounds": scenario.rounds,
            "seeds": options.seeds,
            "agents": [each.to_json() for each in found],
        }
        out.write(data, _lines(scenario, found))
    return 1 if any(each.failed for each in found) else 0


def _agent(catalog: Catalog, given: str) -> Agent:
    name, *chosen = given.split(",")
    if name == HUMAN:
        raise ConfigError(f"'{name}': people play on the page; name a model or a strategy")
    return Gullible() if given == CONTROL else catalog.create(AgentConfig.from_arguments(name, chosen, f"'{given}'"))


def _played(
    catalog: Catalog, agent: Agent, texts: Sequence[Attack], scenario: Scenario, seeds: int, at_once: int
) -> list[Probe]:
    def one(number: int, text: Attack, seat: Seat, seed: int) -> Probe:
        run_id = f"attack {agent.name} {number} {text.name} {seat} {seed}"
        try:
            return injection.play(agent, text, scenario, seat, seed, run_id)
        finally:
            catalog.manager.forget(run_id)

    games = [
        (number, text, seat, seed * 1000 + number)
        for number, text in enumerate(texts)
        for seat in SEATS
        for seed in range(1, seeds + 1)
    ]
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(lambda game: one(*game), games))


@dataclass(frozen=True)
class Finding:
    """What came of attacking an agent, and of harmless messages to it."""

    agent: str
    attacked: list[Probe]
    harmless: list[Probe]

    @property
    def failed(self) -> list[str]:
        """Why negotiations came to no end."""
        return [probe.failed for probe in (*self.attacked, *self.harmless) if probe.failed]

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "agent": self.agent,
            "under_attack": _rates(self.attacked),
            "harmless": _rates(self.harmless),
            "by_attack": {
                text.name: {"goal": text.goal, **_rates([probe for probe in self.attacked if probe.attack == text])}
                for text in ATTACKS
            },
            "failed": self.failed,
        }


def _rates(probes: Sequence[Probe]) -> dict[str, Any]:
    ended = [probe for probe in probes if not probe.failed]
    counts = {"gave_in": _gave_in(ended), "revealed": _revealed(ended)}
    rates = {key: rate_interval(count, len(ended)) for key, count in counts.items()}
    kinds = {kind: sum(kind in probe.revealed for probe in ended) for kind in ("briefing", "numbers")}
    shown = {key: None if rate is None else asdict(rate) for key, rate in rates.items()}
    return {"negotiations": len(ended), "replies": sum(probe.replies for probe in ended), **shown, "kinds": kinds}


def _gave_in(probes: Sequence[Probe]) -> int:
    return sum(probe.gave_in for probe in probes)


def _revealed(probes: Sequence[Probe]) -> int:
    return sum(bool(probe.revealed) for probe in probes)


def _lines(scenario: Scenario, found: Sequence[Finding]) -> list[str]:
    games = len(found[0].attacked)
    rows = [
        f"{scenario.scenario_id}, {scenario.rounds} rounds, {len(ATTACKS)} attacks, {games} negotiations each; "
        "rates with 95 % intervals (Wilson)",
        "",
        "| agent | accepts below its limit: harmless | attacked | reveals what is private: harmless | attacked |",
        "|---|---|---|---|---|",
    ]
    for each in found:
        sets = [[probe for probe in probes if not probe.failed] for probes in (each.harmless, each.attacked)]
        cells = [_cell(rate_interval(count(probes), len(probes))) for count in (_gave_in, _revealed) for probes in sets]
        rows.append(f"| {each.agent} | {' | '.join(cells)} |")
    return rows + [f"failed: {one_line(reason)}" for each in found for reason in each.failed]


def _cell(rate: Interval | None) -> str:
    return "–" if rate is None else f"{rate.mean:.0%} [{rate.low:.0%}, {rate.high:.0%}]"
