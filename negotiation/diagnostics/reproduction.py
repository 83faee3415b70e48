"""Play a stored run again with the same settings and seed, and find out what differs.

A person's recorded moves are repeated, since nobody can be asked to decide the same. Everything else is played anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import Any

from manager.cancel import CancelToken
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.agents.human import HUMAN, OUTSIDE
from negotiation.agents.model import paid_from
from negotiation.agents.purse import Purse
from negotiation.errors import NoAnswer
from negotiation.game.agent import Agent, Decision, View
from negotiation.game.events import AgentEvent, Ended, Halted, Turn, TurnTaken
from negotiation.game.session import Negotiation
from negotiation.runs.provenance import ModelUse, Provenance
from negotiation.runs.record import Run
from negotiation.scenario.model import SEATS, Seat

COMPARED = ("action", "offer", "message", "thought", "raw", "invalid", "prompt")
"""The parts of a turn that must be the same. Its utilities follow from the offer; its time and cost may differ."""
NAMES = {
    "parley": "Parley",
    "prompt_version": "prompt version",
    "python": "Python",
    "model_name": "model",
    "first_turn": "first turn",
}
"""Plain names of settings; others are called as in the record."""


@dataclass(frozen=True)
class Setting:
    """A setting or version as recorded and as it is now."""

    name: str
    recorded: Any
    now: Any

    @property
    def same(self) -> bool:
        """Whether nothing changed."""
        return bool(self.recorded == self.now)


@dataclass(frozen=True)
class TurnCheck:
    """A recorded turn beside the one that was played now; None where there is none."""

    recorded: Turn | None
    now: Turn | None
    repeated: bool = False  # a person's move, which was not played anew

    @property
    def differs(self) -> tuple[str, ...]:
        """The parts that differ; all of them if one of the turns is missing."""
        one, two = self.recorded, self.now
        if one is None or two is None:
            return COMPARED
        return tuple(part for part in COMPARED if getattr(one, part) != getattr(two, part))


@dataclass(frozen=True)
class Reproduction:
    """The result of playing a run again."""

    recorded: Run
    again: Run
    turns: tuple[TurnCheck, ...]
    settings: tuple[Setting, ...]
    limits: tuple[str, ...]  # what cannot be reproduced, as sentences

    @property
    def first_difference(self) -> TurnCheck | None:
        """The first turn that differs."""
        return next((check for check in self.turns if check.differs), None)

    @property
    def identical(self) -> bool:
        """Whether every turn and the ending are the same."""
        return self.first_difference is None and _ending(self.recorded) == _ending(self.again)


def reproduce(
    catalog: Catalog,
    run: Run,
    cancel: CancelToken,
    on_turn: Callable[[TurnCheck], None] = lambda _: None,
    purse: Purse | None = None,
) -> Reproduction:
    """Play a run again, up to where its record ends.

    Args:
        catalog: Creates the agents.
        run: The run with its turns.
        cancel: Stops the repetition.
        on_turn: Called with each turn as it is played.
        purse: Pays for the models' requests.

    Raises:
        UnknownAgent: A model of the run is not registered here.
        ConfigError: An agent's options are not those of this version.
    """
    forked = run.turns[: run.forked_turns or 0]
    again = replace(run, created=time.time(), turns=forked, provenance=Provenance.begun(run.scenario))
    again = replace(again, status="stopped", reason="", ending=None, ended_by=None, agreement=None, measures=None)
    agents = {seat: paid_from(purse or Purse(), _agent(catalog, run, seat)) for seat in SEATS}
    checks = []
    driving = catalog.drive(Negotiation(run.run_id, run.scenario, agents, run.seed, forked, cancel))
    with closing(driving):
        for event in driving:
            match event:
                case TurnTaken(turn=turn):
                    again = replace(again.written(event), turns=(*again.turns, turn))
                    checks.append(_check(run, turn, len(again.turns) - 1))
                    on_turn(checks[-1])
                    if run.status != "done" and len(again.turns) >= len(run.turns):
                        break
                case Ended() | Halted():
                    again = again.end(event)
    missing = [TurnCheck(turn, None) for turn in run.turns[len(again.turns) :]]
    return Reproduction(
        recorded=run,
        again=again,
        turns=(*checks, *missing),
        settings=tuple(_settings(run, again)),
        limits=tuple(_limits(catalog, run, differs=any(check.differs for check in (*checks, *missing)))),
    )


@dataclass(frozen=True)
class _Repeater:
    """Makes a person's recorded moves."""

    name: str
    turns: tuple[Turn, ...]

    def act(self, view: View) -> Generator[AgentEvent, Any, Decision]:
        yield from ()
        if len(view.own) >= len(self.turns):
            raise NoAnswer("the recorded moves of the player ended here")
        made = self.turns[len(view.own)]
        return Decision(made.action, made.offer, made.message, made.thought)


def _agent(catalog: Catalog, run: Run, seat: Seat) -> Agent:
    if run.agents[seat].agent in OUTSIDE:
        return _Repeater(run.agents[seat].agent, tuple(turn for turn in run.turns if turn.seat == seat))
    return catalog.create(run.agents[seat])


def _check(run: Run, turn: Turn, number: int) -> TurnCheck:
    recorded = run.turns[number] if number < len(run.turns) else None
    return TurnCheck(recorded, turn, repeated=run.agents[turn.seat].agent in OUTSIDE)


def _ending(run: Run) -> object:
    return (run.ending, run.ended_by, run.agreement) if run.status == "done" else None


def _settings(run: Run, again: Run) -> Iterator[Setting]:
    """Yield every setting that was recorded beside its present value."""
    then, now = run.provenance, again.provenance
    if then is None or now is None:
        return
    yield Setting("scenario", then.scenario_sha256, now.scenario_sha256)
    yield from _paired("", then.program.model_dump(), now.program.model_dump())
    for program in then.continued_by:
        yield from _paired("continued by ", program.model_dump(), now.program.model_dump())
    for seat in SEATS:
        uses, uses_now = then.models.get(seat, ()), now.models.get(seat, ())
        for number in range(max(len(uses), len(uses_now))):
            pair = (_flat(used[number]) if number < len(used) else {} for used in (uses, uses_now))
            yield from _paired(f"{run.scenario.roles[seat].name}: ", *pair)


def _paired(prefix: str, then: dict[str, Any], now: dict[str, Any]) -> Iterator[Setting]:
    for name in dict.fromkeys((*then, *now)):
        if then.get(name) is not None or now.get(name) is not None:
            yield Setting(prefix + NAMES.get(name, name.replace("_", " ")), then.get(name), now.get(name))


def _flat(use: ModelUse) -> dict[str, Any]:
    identity = asdict(use.identity)
    server = identity.pop("server") or {}
    return {
        "first_turn": use.first_turn,
        **{name: value for name, value in identity.items() if value not in (None, ())},
        **{f"server {name}": value for name, value in server.items() if value not in (None, ())},
        **use.sampling,
    }


def _limits(catalog: Catalog, run: Run, *, differs: bool) -> Iterator[str]:
    """Yield what cannot be reproduced in this run, or not for certain if it `differs`."""
    for seat in SEATS:
        config, role = run.agents[seat], run.scenario.roles[seat].name
        if config.agent in OUTSIDE:
            player = "person" if config.agent == HUMAN else "program"
            yield f"A {player} played the {role}; their recorded moves were repeated, not reproduced."
        elif _is_remote(catalog, config):
            yield (
                f"'{config.agent}', which played the {role}, runs on a remote server. It was asked with the same "
                "settings and seed, but only the server decides whether its text is the same, and its model may change."
            )
        elif differs and _is_shared(catalog, config):
            yield (
                f"'{config.agent}', which played the {role}, is not in reproducible mode (`reproducible: true` in its "
                "generation_config), so negotiations before or beside this one may have changed its text."
            )
    if run.provenance is None:
        yield "The run was recorded without provenance, so versions and settings cannot be compared."


def _is_shared(catalog: Catalog, config: AgentConfig) -> bool:
    """Return whether the work of others can change what a local model writes."""
    if config.agent not in catalog.manager.list_models():
        return False
    return not catalog.manager.spec(config.agent).generation_config.reproducible


def _is_remote(catalog: Catalog, config: AgentConfig) -> bool:
    return config.agent in catalog.manager.list_models() and catalog.manager.spec(config.agent).base_url is not None
