"""The command line: run a negotiation, look at stored ones, list what there is.

Results go to standard output or the file that --json names; progress and errors go to standard error.
"""

from __future__ import annotations

import argparse
import codecs
import json
import logging
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from manager.errors import ConfigError, ParleyError
from negotiation.agents.catalog import AgentConfig
from negotiation.events import Ended, Event, Halted, TurnTaken, Waiting
from negotiation.live import stored_events
from negotiation.parley import Parley
from negotiation.scenario import Scenario, Seat
from negotiation.settings import read_settings
from negotiation.store import Run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status is 0, or 1 after an error, which is printed in one line."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        settings = read_settings()
        parley = Parley.open(settings)
        try:
            return int(options.command(parley, options))
        finally:
            parley.close()
    except ParleyError as error:
        _say(f"error: {'; '.join(_line(problem) for problem in str(error).splitlines())}")
        return 1
    except KeyboardInterrupt:
        _say("stopped")
        return 130


def run(parley: Parley, options: argparse.Namespace) -> int:
    """Run one negotiation to its end."""
    scenario = _scenario(parley, options.scenario)
    agents: dict[Seat, AgentConfig] = {"a": AgentConfig(options.a), "b": AgentConfig(options.b)}
    with _output(options.json) as out:
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


def show(parley: Parley, options: argparse.Namespace) -> int:
    """Print a stored run."""
    found = parley.store.run(options.run_id)
    with _output(options.json) as out:
        out.write(describe(found), lines=_transcript(found))
    return 0


def scenarios(parley: Parley, options: argparse.Namespace) -> int:
    """List the scenarios."""
    found = parley.scenarios.values()
    listed = [{"scenario": s.scenario_id, "title": s.title, "outcomes": s.outcomes, "rounds": s.rounds} for s in found]
    lines = [f"{s.scenario_id:20} {s.title} ({s.outcomes:,} outcomes, {s.rounds} rounds)" for s in found]
    with _output(options.json) as out:
        out.write(listed, lines)
    return 0


def models(parley: Parley, options: argparse.Namespace) -> int:
    """List the models and the scripted strategies."""
    about = parley.manager.list_models()
    listed: dict[str, Any] = {}
    lines = []
    for choice in parley.catalog.choices():
        facts = about.get(choice.agent, {"type": "strategy"})
        listed[choice.agent] = facts
        details = ", ".join(str(facts[key]) for key in ("model_name", "size", "license") if facts.get(key))
        lines.append(f"{choice.agent:20} {details or choice.heading.lower()}")
    with _output(options.json) as out:
        out.write(listed, lines)
    return 0


def describe(run: Run) -> dict[str, Any]:
    """A run as the command line prints it."""
    measures = run.measures
    return {
        "run_id": run.run_id,
        "scenario": run.scenario.scenario_id,
        "seed": run.seed,
        "agents": {seat: config.agent for seat, config in run.agents.items()},
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


def _scenario(parley: Parley, scenario_id: str) -> Scenario:
    if scenario_id not in parley.scenarios:
        raise ConfigError(f"--scenario: there is no '{scenario_id}' (there are: {', '.join(parley.scenarios)})")
    return parley.scenarios[scenario_id]


def _tell(scenario: Scenario, event: Event) -> None:
    """Progress, a line each."""
    match event:
        case TurnTaken(turn=turn):
            for invalid in turn.invalid:
                _say(f"  a reply cannot be used ({invalid.kind}): {_line(invalid.detail)}")
            offer = f" {scenario.show(turn.offer)}" if turn.offer else ""
            who = scenario.roles[turn.seat].name
            _say(f"round {turn.round}: {who} ({turn.agent}): {turn.action}{offer}  “{_line(turn.message)}”")

        case Waiting(stage="loading" | "waking" | "fetching" as stage, done=done, total=total) if total:
            _say(f"  {stage}: {done / 1e6:,.0f} of {total / 1e6:,.0f} MB")
        case Ended(ending=ending):
            _say(f"ended: {ending}")
        case Halted(status=status, reason=reason):
            _say(f"{status}: {_line(reason)}")


def _summary(run: Run) -> list[str]:
    if run.measures is None:
        return [f"{run.run_id}: {run.status} ({_line(run.reason)})"]
    deal = run.scenario.show(run.agreement) if run.agreement else "no deal"
    return [f"{run.run_id}: {deal}; utilities {run.measures.utility_a:.3f} / {run.measures.utility_b:.3f}"]


def _transcript(run: Run) -> list[str]:
    lines = []
    for turn in run.turns:
        offer = f" {run.scenario.show(turn.offer)}" if turn.offer else ""
        who, said = run.scenario.roles[turn.seat].name, _line(turn.message)
        lines.append(f"{turn.round}. {who}: {turn.action}{offer}  “{said}”")
    return [*lines, *_summary(run)]


def _line(text: str) -> str:
    """A text in one line, so that what a model writes cannot be taken for what we report."""
    return " ".join(text.split())


class _output:  # noqa: N801 (used as a function)
    """Where results go: the file that --json names, or standard output.

    The file is tried before the work begins, and keeps what was in it until there is something better.
    """

    def __init__(self, target: str | None) -> None:
        self._target = target
        self._stream: TextIO = sys.stdout
        if target not in (None, "-"):
            try:
                self._stream = Path(str(target)).open("a", encoding="utf-8")  # noqa: SIM115 (closed on exit)
            except OSError as error:
                raise self._refused(error) from None

    def write(self, data: Any, lines: Sequence[str]) -> None:
        """Write `data` as JSON if that was asked for, else the lines; raises ConfigError if it cannot be written."""
        encoding = self._stream.encoding or "utf-8"
        plain = codecs.lookup(encoding).name != "utf-8"
        text = "\n".join(lines) if self._target is None else json.dumps(data, ensure_ascii=plain)
        try:
            if self._stream is not sys.stdout and Path(self._stream.name).is_file():
                self._stream.truncate(0)
            self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
            self._stream.flush()
        except OSError as error:
            raise self._refused(error) from None

    def _refused(self, error: OSError) -> ConfigError:
        return ConfigError(f"--json: cannot write '{self._target or '-'}' ({error.strerror})")

    def __enter__(self) -> _output:
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not sys.stdout:
            with suppress(OSError):  # it was told already
                self._stream.close()


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m negotiation", description="Run and look at negotiations.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Any, about: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=about, description=about)
        sub.set_defaults(command=command)
        sub.add_argument("--json", metavar="FILE", help="print JSON to FILE (- for standard output)")
        return sub

    one = add("run", run, "run one negotiation")
    one.add_argument("--scenario", required=True, metavar="ID")
    one.add_argument("--a", required=True, metavar="AGENT", help="a model or strategy for seat a")
    one.add_argument("--b", required=True, metavar="AGENT", help="a model or strategy for seat b")
    one.add_argument("--seed", type=int, default=1)
    add("show", show, "print a stored run").add_argument("run_id")
    add("scenarios", scenarios, "list the scenarios")
    add("models", models, "list the models and scripted strategies")
    return parser
