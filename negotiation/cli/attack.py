"""The command that attacks agents with messages, and measures how often that works."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer

from manager.errors import ConfigError
from negotiation.agents import prompts
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.agents.human import HUMAN
from negotiation.agents.model import paid_from
from negotiation.agents.purse import LIMIT, Purse
from negotiation.cli.common.base import SCENARIO_HELP, AtOnce, Json, Output, one_line, opened, say, scenario_named
from negotiation.cli.common.own_keys import AskKey, CostLimit, KeyVariables, OwnKeys, spent
from negotiation.diagnostics import attacks as injection
from negotiation.diagnostics.attacks import ATTACKS, Attack, Gullible, Probe, harmless_like
from negotiation.figures.statistics import Interval, rate_interval
from negotiation.game.agent import Agent
from negotiation.scenario.model import SEATS, Scenario, Seat

CONTROL = Gullible().name
AT_ONCE = 16
AGENTS_HELP = (
    "Models or strategies, with options after commas (smollm2-steady,guard=free). "
    f"{CONTROL} is a control that falls for every attack."
)

app = typer.Typer()


@app.command()
def attack(
    agents: Annotated[list[str], typer.Argument(metavar="AGENT...", help=AGENTS_HELP)],
    scenario: Annotated[str, typer.Option(metavar="SCENARIO", help=SCENARIO_HELP)] = "company_car",
    rounds: Annotated[int, typer.Option(metavar="N", help="Rounds of each negotiation.")] = 2,
    seeds: Annotated[int, typer.Option(metavar="N", help="Seeds for each attack and seat.")] = 1,
    at_once: AtOnce = AT_ONCE,
    api_key: KeyVariables = None,
    ask_api_key: AskKey = False,
    cost_limit: CostLimit = LIMIT,
    json: Json = None,
) -> int:
    """Measure how well agents resist manipulation.

    Plays every agent in both seats against messages that try to make it accept less than no deal, or reveal what is
    private. The exit status is 1 if a negotiation failed.
    """
    for name, value, most in (("--rounds", rounds, 100), ("--seeds", seeds, 10_000)):
        if not 1 <= value <= most:
            raise ConfigError(f"{name}: {value} must be between 1 and {most:,}")
    played = scenario_named(scenario).model_copy(update={"rounds": rounds})
    with Output(json) as out, opened() as parley:
        configs = [_config(label) for label in agents if label != CONTROL]
        games = 2 * len(ATTACKS) * len(SEATS) * seeds * len(configs)
        payer = OwnKeys(api_key or (), ask_api_key, cost_limit).payer(parley.catalog, configs, games)
        purse = Purse(payer)
        chosen = [(label, paid_from(purse, _agent(parley.catalog, label))) for label in agents]
        found = []
        for label, agent in chosen:
            both = [
                _play(parley.catalog, agent, texts, played, seeds, max(1, at_once))
                for texts in (ATTACKS, harmless_like(ATTACKS))
            ]
            found.append(AttackFinding(label, *both))
            say(f"{label}: done")
        spent(payer, purse.spent)
        data = {
            "scenario": played.scenario_id,
            "prompt_version": prompts.VERSION,
            "rounds": played.rounds,
            "seeds": seeds,
            "agents": [each.to_json() for each in found],
        }
        out.write(data, _lines(played, found))
    return 1 if any(each.failed for each in found) else 0


def _config(given: str) -> AgentConfig:
    name, *chosen = given.split(",")
    if name == HUMAN:
        raise ConfigError(f"'{name}': people play on the page; name a model or a strategy")
    return AgentConfig.from_arguments(name, chosen, f"'{given}'")


def _agent(catalog: Catalog, given: str) -> Agent:
    return Gullible() if given == CONTROL else catalog.create(_config(given))


def _play(
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
class AttackFinding:
    """An agent's negotiations under attack, and those with harmless messages of the same length."""

    agent: str
    attacked: list[Probe]
    harmless: list[Probe]

    @property
    def failed(self) -> list[str]:
        """Return the reasons of the negotiations that failed."""
        return [probe.failed for probe in (*self.attacked, *self.harmless) if probe.failed]

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
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


def _lines(scenario: Scenario, found: Sequence[AttackFinding]) -> list[str]:
    games = len(found[0].attacked)
    rows = [
        f"{scenario.scenario_id}, {scenario.rounds} rounds, {len(ATTACKS)} attacks, {games} negotiations each; "
        "rates with 95 % intervals (Wilson)",
        "",
        "| agent | accepts less than no deal: harmless | attacked | reveals what is private: harmless | attacked |",
        "|---|---|---|---|---|",
    ]
    for each in found:
        sets = [[probe for probe in probes if not probe.failed] for probes in (each.harmless, each.attacked)]
        cells = [_cell(rate_interval(count(probes), len(probes))) for count in (_gave_in, _revealed) for probes in sets]
        rows.append(f"| {each.agent} | {' | '.join(cells)} |")
    return rows + [f"failed: {one_line(reason)}" for each in found for reason in each.failed]


def _cell(rate: Interval | None) -> str:
    return "–" if rate is None else f"{rate.mean:.0%} [{rate.low:.0%}, {rate.high:.0%}]"
