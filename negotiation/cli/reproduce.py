"""The command that plays a stored run again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from manager.cancel import CancelToken
from negotiation.agents.human import OUTSIDE
from negotiation.agents.purse import LIMIT, Purse
from negotiation.app.parley import Parley
from negotiation.cli.common.base import Json, Output, one_line, opened, runs_named, say
from negotiation.cli.common.own_keys import AskKey, CostLimit, KeyVariables, OwnKeys, spent
from negotiation.diagnostics import reproduction
from negotiation.diagnostics.reproduction import Reproduction, Setting, TurnCheck
from negotiation.runs.record import Run

app = typer.Typer()

WIDEST = 60
"""Characters of a value that differs."""


@app.command()
def reproduce(
    run: Annotated[str, typer.Argument(metavar="RUN", help="ID of a stored run, or path of a file of exported runs.")],
    api_key: KeyVariables = None,
    ask_api_key: AskKey = False,
    cost_limit: CostLimit = LIMIT,
    json: Json = None,
) -> int:
    """Play a run again with the same settings and seed, and report what differs.

    The repetition is not stored. The exit status is 0 if every turn is the same, and 1 if not.
    """
    with opened() as parley, Output(json) as out:
        runs = runs_named(parley, run)
        agents = [config for each in runs for config in each.agents.values() if config.agent not in OUTSIDE]
        payer = OwnKeys(api_key or (), ask_api_key, cost_limit).payer(parley.catalog, agents, len(runs))
        purse = Purse(payer)
        found = [_again(parley, recorded, purse) for recorded in runs]
        spent(payer, purse.spent)
        data = [describe(each) for each in found]
        lines = [line for each in found for line in report(each)]
        out.write(data[0] if len(data) == 1 else data, lines=lines)
    return 0 if all(each.identical for each in found) else 1


def describe(found: Reproduction) -> dict[str, Any]:
    """Return a reproduction as plain data."""
    first = found.first_difference
    return {
        "run_id": found.recorded.run_id,
        "identical": found.identical,
        "first_difference": None if first is None else found.turns.index(first),
        "limits": list(found.limits),
        "reason": found.again.reason,
        "settings": [{**asdict(setting), "same": setting.same} for setting in found.settings],
        "turns": [
            {
                "round": made.round,
                "agent": made.seat,
                "same": not check.differs,
                "repeated": check.repeated,
                "differs": list(check.differs),
            }
            for check in found.turns
            if (made := check.recorded or check.now) is not None
        ],
    }


def report(found: Reproduction) -> list[str]:
    """Return a reproduction in lines for people."""
    changed = [setting for setting in found.settings if not setting.same]
    lines = [*found.limits, *(f"differs: {_change(setting)}" for setting in changed)]
    if found.settings and not changed:
        lines.append("same: all versions and settings")
    first = found.first_difference
    if first is not None:
        lines += [f"first difference: {_turn(found.recorded, first)}", *_parts(first)]
    if found.again.status == "failed":
        lines.append(f"the repetition failed: {one_line(found.again.reason)}")
    count = len(found.turns)
    same = sum(not check.differs for check in found.turns)
    verdict = "identical" if found.identical else f"not identical ({same} of {count} turns are the same)"
    return [*lines, f"{found.recorded.run_id}: {verdict}"]


def _again(parley: Parley, run: Run, purse: Purse) -> Reproduction:
    say(f"run {run.run_id}: {len(run.turns)} recorded turns")
    cancel = CancelToken()
    try:
        return reproduction.reproduce(parley.catalog, run, cancel, lambda check: say(_line(run, check)), purse)
    except KeyboardInterrupt:
        cancel.cancel()
        raise


def _line(run: Run, check: TurnCheck) -> str:
    how = f"differs ({', '.join(check.differs)})" if check.differs else "repeated" if check.repeated else "same"
    return f"{_turn(run, check)}: {how}"


def _turn(run: Run, check: TurnCheck) -> str:
    made = check.recorded or check.now
    assert made is not None
    return f"round {made.round}, {run.scenario.roles[made.seat].name}"


def _parts(check: TurnCheck) -> list[str]:
    """Return what differs in a turn, part by part."""
    if check.recorded is None or check.now is None:
        return ["  recorded only" if check.now is None else "  not in the record"]
    pairs = [(part, getattr(check.recorded, part), getattr(check.now, part)) for part in check.differs]
    return [f"  {part}: {_apart(str(then), str(now))}" for part, then, now in pairs]


def _change(setting: Setting) -> str:
    return f"{setting.name}: {_apart(_word(setting.recorded), _word(setting.now))}"


def _word(value: Any) -> str:
    return "none" if value is None else str(value)


def _apart(then: str, now: str) -> str:
    """Return two texts from shortly before the place where they part."""
    start = next((at for at, (one, two) in enumerate(zip(then, now, strict=False)) if one != two), 0)
    start = max(0, start - WIDEST // 3)
    shown = [("…" if start else "") + one_line(text[start : start + WIDEST]) for text in (then, now)]
    return f"{shown[0]!r} recorded, {shown[1]!r} now"
