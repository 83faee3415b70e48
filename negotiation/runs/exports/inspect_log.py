"""Runs as logs of Inspect (inspect_ai), written with its own API: one log per pair of agents and seating.

Each run is a sample. Its messages are what both sides said, its events the turns; a model's turn is a model event with
the prompt and the raw reply. Scores are Parley's measures, by seat where they differ. Metadata hold the provenance and
the link to the replay. Needs the extra `inspect`.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import negotiation
from manager.errors import ConfigError
from negotiation.game.events import Turn
from negotiation.replies.reader import well_formed
from negotiation.runs.exports.columns import Row, RunPlace, place_outside, run_row
from negotiation.runs.exports.model_input import model_input
from negotiation.runs.exports.parquet import refuse_existing
from negotiation.runs.record import Run
from negotiation.scenario.model import SEATS

try:
    from inspect_ai import __version__ as inspect_version
    from inspect_ai.event import Event, InfoEvent, ModelEvent, SpanBeginEvent, SpanEndEvent
    from inspect_ai.log import (
        EvalConfig,
        EvalDataset,
        EvalError,
        EvalLog,
        EvalSample,
        EvalSampleLimit,
        EvalSpec,
        EvalStats,
        recompute_metrics,
        write_eval_log,
    )
    from inspect_ai.model import (
        ChatMessage,
        ChatMessageAssistant,
        ChatMessageSystem,
        ChatMessageUser,
        GenerateConfig,
        ModelOutput,
        ModelUsage,
    )
    from inspect_ai.scorer import Score
except ImportError as missing:
    remedy = "install it with `pip install 'parley[inspect]'`"
    raise ConfigError(f"--inspect needs inspect-ai ({missing}); {remedy}") from None

TASK = "parley/negotiation"
NO_MODEL = "none/none"
"""Inspect's name for "no single model", so that `inspect score` asks for the model that is to judge."""
SHARED = "agreed", "welfare_share", "pareto_distance", "nash_distance"
BY_SEAT = "utility", "gain", "surplus", "rational"
SCORES = (*SHARED, *(f"{name}_{seat}" for name in BY_SEAT for seat in SEATS))
"""The scores, as the columns of runs/exports/columns.py."""
MESSAGES: dict[str, type[Any]] = {
    "system": ChatMessageSystem,
    "user": ChatMessageUser,
    "assistant": ChatMessageAssistant,
}


def write_logs(
    folder: Path, runs: Iterable[Run], page: str, places: Mapping[str, RunPlace] | None = None
) -> Iterator[Path]:
    """Write the logs of runs with their turns, and yield each path.

    Args:
        folder: Where to write them.
        runs: What to write.
        page: The address of the page that has the replays.
        places: The tournaments that the runs are part of, by run; by default none.

    Raises:
        ConfigError: A log exists already or cannot be written.
    """
    together: defaultdict[tuple[str, ...], list[tuple[Run, RunPlace]]] = defaultdict(list)
    for run in runs:
        place = (places or {}).get(run.run_id) or place_outside(run)
        together[tuple(place.labels[seat] for seat in SEATS)].append((run, place))
    logs = {}
    for played in together.values():
        played.sort(key=lambda each: each[0].created)
        first = f"{_time(played[0][0]):%Y-%m-%dT%H-%M-%S}"
        logs[folder / f"{first}_negotiation_{_id(played)}.eval"] = played
    refuse_existing(logs)
    for path, played in logs.items():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_eval_log(_log(played, page), path)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written ({error.strerror})") from None
        except (ValueError, OverflowError) as error:
            raise ConfigError(f"{path}: cannot hold one of the runs ({error})") from None
        yield path


def _id(played: Sequence[tuple[Run, RunPlace]]) -> str:
    """Return the id of a log, which is the same for the same runs."""
    return hashlib.sha256(" ".join(run.run_id for run, _ in played).encode("utf-8", "replace")).hexdigest()[:22]


def _log(played: Sequence[tuple[Run, RunPlace]], page: str) -> EvalLog:
    samples = [_sample(run, place, page) for run, place in played]
    runs, (first, place) = [run for run, _ in played], played[0]
    agents = {seat: well_formed(place.labels[seat]) for seat in SEATS}
    named = _id(played)
    ends = [_time(run, sum(turn.seconds for turn in _own_turns(run))) for run in runs]
    log = EvalLog(
        status="success",
        eval=EvalSpec(
            eval_id=named,
            run_id=named,
            task_id=named,
            created=_time(first).isoformat(),
            task=TASK,
            task_display_name=f"{agents['a']} and {agents['b']}",
            task_args=agents,
            tags=list(dict.fromkeys(agents.values())),
            dataset=EvalDataset(name="runs", samples=len(samples), sample_ids=[sample.id for sample in samples]),
            model=NO_MODEL,
            config=EvalConfig(),
            packages={"parley": negotiation.__version__, "inspect_ai": inspect_version},
            metadata={"written_by": f"Parley {negotiation.__version__}", "page": page},
            scorers=[{"name": name, "metrics": [{"name": "inspect_ai/mean"}]} for name in SCORES],
        ),
        stats=EvalStats(started_at=_time(first).isoformat(), completed_at=max(ends).isoformat()),
        samples=samples,
    )
    for sample in samples:
        for model, usage in sample.model_usage.items():
            log.stats.model_usage[model] = log.stats.model_usage.get(model, ModelUsage()) + usage
    recompute_metrics(log)
    return log


def _sample(run: Run, place: RunPlace, page: str) -> EvalSample:
    row, link = run_row(run, place), f"{page}?run={run.run_id}"
    events, usage = _events(run, link)
    seconds = sum(turn.seconds for turn in _own_turns(run))
    reason = well_formed(run.reason)
    failed = EvalError(message=reason, traceback="", traceback_ansi="") if run.status == "failed" else None
    halted = run.status in ("stopped", "interrupted", "running")
    return EvalSample(
        id=run.run_id,
        epoch=1,
        input=well_formed(f"{run.scenario.title}\n\n{run.scenario.story.strip()}"),
        target="",
        messages=list(_said(run)),
        output=ModelOutput.from_content(NO_MODEL, _outcome(run)),
        scores={name: Score(value=float(row[name]), answer=_outcome(run)) for name in SCORES if row[name] is not None},
        metadata=_clean({"replay": link, **_about(run, row)}),
        events=events,
        model_usage=usage,
        started_at=_time(run).isoformat(),
        completed_at=_time(run, seconds).isoformat(),
        total_time=seconds,
        working_time=seconds,
        uuid=run.run_id,
        error=failed,
        limit=EvalSampleLimit(type="operator", limit=1, reason=reason) if halted else None,
    )


def _about(run: Run, row: Row) -> dict[str, Any]:
    """Return what is known of a run beyond its turns and scores."""
    return {
        **{f"agent_{seat}": row[f"label_{seat}"] for seat in SEATS},
        "agents": {seat: run.agents[seat].to_json() for seat in SEATS},
        **{name: row[name] for name in ("tournament_id", "scenario", "title", "seed", "rounds", "discount", "status")},
        **{name: row[name] for name in ("reason", "ending", "ended_by", "last_round", "forked_turns")},
        "roles": {seat: run.scenario.roles[seat].name for seat in SEATS},
        "reservation": {seat: run.scenario.roles[seat].reservation for seat in SEATS},
        "agreement": None if run.agreement is None else dict(run.agreement),
        "provenance": None if run.provenance is None else run.provenance.model_dump(mode="json"),
    }


def _said(run: Run) -> Iterator[ChatMessage]:
    """Yield what both sides saw: the story, and the turns, with seat a as the assistant."""
    yield ChatMessageSystem(content=well_formed(run.scenario.story.strip()))
    for turn in run.turns:
        offer = "" if turn.offer is None else f" {run.scenario.show(turn.offer)}"
        content = f"{run.scenario.roles[turn.seat].name}: {turn.action}{offer}\n\n{turn.message}"
        kind = ChatMessageAssistant if turn.seat == "a" else ChatMessageUser
        about = {"seat": turn.seat, "agent": turn.agent, "round": turn.round, "action": str(turn.action)}
        yield kind(content=well_formed(content), metadata=_clean({**about, "offer": turn.offer and dict(turn.offer)}))


def _own_turns(run: Run) -> tuple[Turn, ...]:
    """Return the turns that were played in this run. Those that a fork begins with belong to another."""
    return run.turns[run.forked_turns or 0 :]


def _events(run: Run, link: str) -> tuple[list[Event], dict[str, ModelUsage]]:
    """Return a span for every turn, and what the models of this run used."""
    events: list[Event] = [InfoEvent(source="parley", data=f"[Replay]({link})", timestamp=_time(run), working_start=0)]
    usage: dict[str, ModelUsage] = {}
    passed = 0.0
    for turn in run.turns:
        at = {"timestamp": _time(run, passed), "working_start": passed, "span_id": f"turn-{turn.index}"}
        name = f"Round {turn.round}, {run.scenario.roles[turn.seat].name} ({turn.agent})"
        events.append(SpanBeginEvent(id=f"turn-{turn.index}", name=well_formed(name), type="agent", **at))
        events += [InfoEvent(source="invalid reply", data=_clean(asdict(invalid)), **at) for invalid in turn.invalid]
        if turn.prompt and turn.index >= (run.forked_turns or 0):
            wrote = _model_event(run, turn, at)
            events.append(wrote)
            assert wrote.output.usage is not None
            usage[wrote.model] = usage.get(wrote.model, ModelUsage()) + wrote.output.usage
        events.append(InfoEvent(source=turn.agent, data=_clean(_move(turn)), **at))
        passed += turn.seconds if turn.index >= (run.forked_turns or 0) else 0
        after = {"timestamp": _time(run, passed), "working_start": passed, "span_id": f"turn-{turn.index}"}
        events.append(SpanEndEvent(id=f"turn-{turn.index}", **after))
    return events, usage


def _model_event(run: Run, turn: Turn, at: dict[str, Any]) -> ModelEvent:
    use = run.provenance.of_turn(turn.seat, turn.index) if run.provenance is not None else None
    asked = [MESSAGES[message["role"]](content=well_formed(message["content"])) for message in model_input(run, turn)]
    name = well_formed(use.identity.model_name if use else turn.agent)
    output = ModelOutput.from_content(name, well_formed(turn.raw))
    output.usage = ModelUsage(
        input_tokens=turn.prompt_tokens,
        output_tokens=turn.tokens,
        total_tokens=turn.prompt_tokens + turn.tokens,
        total_cost=turn.cost,
    )
    output.time = turn.seconds
    return ModelEvent(
        model=name,
        role=turn.seat,
        input=asked,
        tools=[],
        tool_choice="none",
        config=_config(use.sampling if use else {}),
        output=output,
        completed=at["timestamp"] + timedelta(seconds=turn.seconds),
        working_time=turn.seconds,
        metadata=_clean({"sampling": use.sampling} if use else {}),
        **at,
    )


def _config(sampling: dict[str, Any]) -> GenerateConfig:
    """Return the sampling settings that Inspect has a name for."""
    names = {"temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "max_new_tokens": "max_tokens"}
    return GenerateConfig(**{names[key]: value for key, value in sampling.items() if key in names})


def _move(turn: Turn) -> dict[str, Any]:
    return {
        "round": turn.round,
        "seat": turn.seat,
        "action": str(turn.action),
        "offer": turn.offer and dict(turn.offer),
        "utility_a": turn.utility_a,
        "utility_b": turn.utility_b,
        "message": turn.message,
        "thought": turn.thought,
        "notes": list(turn.notes),
    }


def _outcome(run: Run) -> str:
    if run.measures is None:
        return well_formed(f"{run.status}: {run.reason}")
    return well_formed(run.scenario.show(run.agreement)) if run.agreement else "no deal"


def _time(run: Run, seconds: float = 0.0) -> datetime:
    return datetime.fromtimestamp(run.created + seconds, UTC)


def _clean(value: Any) -> Any:
    """Return plain data whose texts files in UTF-8 can hold."""
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, dict):
        return {well_formed(str(key)): _clean(each) for key, each in value.items()}
    return [_clean(each) for each in value] if isinstance(value, list | tuple) else value
