"""A list of runs as a table, with the lanes of a comparison next to each other."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from markupsafe import Markup

from negotiation.agents.human import HUMAN
from negotiation.runs.store import RunSummary
from ui.kit import text
from ui.kit.templates import render


@dataclass(frozen=True, kw_only=True)
class ListedRun:
    """One run of the table, with what its cells show beside the run's own fields."""

    run: RunSummary
    created: Markup
    about: str
    agent_a: str
    agent_b: str
    outcome: Markup
    has_person: bool
    chosen: bool


def runs_html(
    runs: Sequence[RunSummary], labels: Mapping[str, str], hidden: Container[str | None], chosen: Sequence[str] = ()
) -> Markup:
    """Draw the table in the order given.

    Args:
        runs: The runs; those of one comparison follow each other.
        labels: Agents' display names, by id.
        hidden: The comparisons whose agents stay hidden.
        chosen: The ids of the runs that are open.
    """
    if not runs:
        return render("empty", words=text.HISTORY_NONE)
    groups = [
        [
            _row(run, labels, run.comparison in hidden, run.run_id in chosen)
            for run in sorted(group, key=lambda run: run.lane or 0)
        ]
        for _, group in groupby(runs, key=lambda run: run.comparison or run.run_id)
    ]
    return render("run_list", groups=groups, columns=text.HISTORY_COLUMNS)


def _row(run: RunSummary, labels: Mapping[str, str], hidden: bool, chosen: bool) -> ListedRun:
    a, b = (text.HIDDEN_AGENT if hidden else labels.get(agent, agent) for agent in (run.agent_a, run.agent_b))
    return ListedRun(
        run=run,
        created=time_html(run.created),
        about=_about(run),
        agent_a=a,
        agent_b=b,
        outcome=outcome_html(run.status, run.ending, run.outcome, run.reason),
        has_person=HUMAN in (run.agent_a, run.agent_b),
        chosen=chosen,
    )


def time_html(created: float) -> Markup:
    """Draw a moment, which the browser rewrites in the visitor's own time zone (`scripts/times.js`)."""
    when = datetime.fromtimestamp(created, UTC)
    return render("moment", iso=when.isoformat(), shown=when.strftime("%Y-%m-%d %H:%M UTC"))


def outcome_html(status: str, ending: str | None, outcome: str, reason: str) -> Markup:
    """Draw how a run ended, or why it has not."""
    return render("outcome", status=status, ending=ending or "", outcome=outcome, reason=reason)


def _about(run: RunSummary) -> str:
    parts = [text.RAN_WITH.format(seed=run.seed)]
    if run.lane is not None:
        parts.append(text.LANE.format(number=run.lane).lower())
    if run.forked_from is not None:
        parts.append(text.FORKED_AFTER.format(turns=run.forked_turns))
    if run.published:
        parts.append(text.IS_PUBLISHED)
    return " · ".join(parts)
