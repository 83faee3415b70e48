"""A list of runs as a table; lanes of one comparison stand together."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby

from negotiation.agents.human import HUMAN
from negotiation.runs.store import RunSummary
from ui.kit import text
from ui.kit.html import esc, number, tag

HIDDEN = text.HIDDEN_AGENT


def runs_html(
    runs: Sequence[RunSummary], labels: Mapping[str, str], hidden: Container[str | None], chosen: Sequence[str] = ()
) -> str:
    """The table, newest first; `hidden` says of which comparisons nobody is to know yet who played."""
    if not runs:
        return tag("p", esc(text.HISTORY_NONE), "empty")
    head = "".join(tag("th", esc(name), scope="col") for name in text.HISTORY_COLUMNS)
    groups = ""
    for _, group in groupby(runs, key=lambda run: run.comparison or run.run_id):
        lanes = sorted(group, key=lambda run: run.lane or 0)
        rows = (_row(run, labels, run.comparison in hidden, run.run_id in chosen) for run in lanes)
        groups += tag("tbody", "".join(rows), "group" if len(lanes) > 1 else "")
    table = tag("table", tag("thead", tag("tr", head)) + groups, "history")
    return tag("div", table, "scroll", tabindex=0, role="region", aria_label=text.HISTORY)


def _row(run: RunSummary, labels: Mapping[str, str], hidden: bool, chosen: bool) -> str:
    cells = [
        time_html(run.created),
        tag("b", esc(run.title)) + tag("small", esc(_about(run))),
        _agent(run.role_a, run.agent_a, labels, hidden),
        _agent(run.role_b, run.agent_b, labels, hidden),
        outcome_html(run.status, run.ending, run.outcome, run.reason),
        _worth(run.utility_a, "a"),
        _worth(run.utility_b, "b"),
        _acts(run),
    ]
    names = text.HISTORY_COLUMNS
    return tag(
        "tr",
        "".join(tag("td", cell, data_name=name) for name, cell in zip(names, cells, strict=True)),
        "chosen" if chosen else "",
    )


def time_html(created: float) -> str:
    """A moment; the browser writes it in the visitor's own time (`scripts/times.js`)."""
    when = datetime.fromtimestamp(created, UTC)
    return tag("time", esc(when.strftime("%Y-%m-%d %H:%M UTC")), datetime=when.isoformat())


def outcome_html(status: str, ending: str | None, outcome: str, reason: str) -> str:
    """How a run ended, and why it did not."""
    if status == "done":
        why = "" if outcome else tag("small", esc(text.ENDINGS.get(ending or "", "")))
        return tag("span", esc(outcome or text.NO_DEAL), "" if outcome else "no-deal") + why
    words = text.HALTED.get(status, text.STATUS_RUNNING)
    return tag("span", esc(words), f"status {status}") + (tag("small", esc(reason)) if reason else "")


def _about(run: RunSummary) -> str:
    parts = [text.RAN_WITH.format(seed=run.seed)]
    if run.lane is not None:
        parts.append(text.LANE.format(number=run.lane).lower())
    if run.forked_from is not None:
        parts.append(text.FORKED_AFTER.format(turns=run.forked_turns))
    if run.published:
        parts.append(text.IS_PUBLISHED)
    return " · ".join(parts)


def _agent(role: str, agent: str, labels: Mapping[str, str], hidden: bool) -> str:
    name = HIDDEN if hidden else labels.get(agent, agent)
    return tag("span", esc(name)) + tag("small", esc(role))


def _worth(value: float | None, seat: str) -> str:
    return "" if value is None else tag("b", esc(number(value)), f"seat-{seat}")


def _acts(run: RunSummary) -> str:
    replay = tag("button", esc(text.REPLAY), "plain", type="button", data_send="replay", data_value=run.run_id)
    beside = tag("button", esc(text.BESIDE), "plain", type="button", data_send="beside", data_value=run.run_id)
    if HUMAN in (run.agent_a, run.agent_b):
        link = tag("a", esc(text.OPEN), href=f"?replay={run.run_id}")
    else:
        link = tag("a", esc(text.OPEN), href=f"?run={run.run_id}")
    return tag("span", replay + beside + link, "row-acts")
