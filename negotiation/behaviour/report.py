"""Profiles as plain data, as Markdown, and as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from negotiation.behaviour.profile import AgentProfile, Profiles, TraitFigure
from negotiation.behaviour.traits import LEAST_PRECISION, TRAITS, Trait, validation
from negotiation.figures.points import points
from negotiation.figures.statistics import Interval

LEGEND = (
    "Shares in percent, first offer and gap in points out of 100, with 95 % intervals: first for these scenarios, "
    "then for scenarios like these; in brackets the number of chances"
)


def to_json(profiles: Profiles, agents: Sequence[str]) -> dict[str, Any]:
    """Return the profiles of agents as plain data."""
    return {
        "agents": [_agent(profiles, profiles.of(agent)) for agent in agents],
        "validation": {
            trait.name: {"precision": found.precision, "recall": found.recall, "shown": trait not in profiles.hidden}
            for trait in TRAITS.values()
            if (found := validation()["held_out"].get(trait.reads)) is not None
        },
    }


def _agent(profiles: Profiles, profile: AgentProfile) -> dict[str, Any]:
    sides = [side for side in profiles.sides if side.agent == profile.agent]
    return {
        "agent": profile.agent,
        "negotiations": profile.games,
        "measures": {name: _figure(figure) for name, figure in profile.figures.items()},
        "only_bounded": profile.only_bounded,
        "findings": [
            {"run_id": side.run_id, "round": found.round, "measure": found.trait, "truth": found.truth}
            for side in sides
            for found in side.found
        ],
    }


def _figure(figure: TraitFigure | None) -> dict[str, Any] | None:
    if figure is None:
        return None
    return {
        "these_scenarios": asdict(figure.these),
        "scenarios_like_these": None if figure.like_these is None else asdict(figure.like_these),
        "chances": figure.chances,
    }


def to_markdown(profiles: Profiles, agents: Sequence[str], title: str) -> list[str]:
    """Return the profiles of agents as a Markdown page, line by line."""
    lines = [f"# How they bargain: {title}", "", f"{LEGEND}.", ""]
    for agent in agents:
        profile = profiles.of(agent)
        lines += [f"## {agent}", "", f"{profile.games} negotiations.", ""]
        lines += ["| measure | mean | these scenarios | scenarios like these | chances |", "|---|---|---|---|---|"]
        for trait, figure in _shown(profile):
            ends = [_ends(trait, interval) for interval in (figure.these, figure.like_these)]
            lines.append(
                f"| {trait.title} | {_value(trait, figure.these.mean)} | {' | '.join(ends)} | {figure.chances} |"
            )
        lines += ["", *_notes(profile)]
    return [*lines, *_footer(profiles)]


def to_lines(profiles: Profiles, agents: Sequence[str]) -> list[str]:
    """Return the profiles of agents as lines for a terminal."""
    lines = [f"{LEGEND}."]
    width = max(len(trait.title) for trait in TRAITS.values())
    for agent in agents:
        profile = profiles.of(agent)
        lines += ["", f"{agent}: {profile.games} negotiations"]
        for trait, figure in _shown(profile):
            ends = "  ".join(f"{_ends(trait, interval):>16}" for interval in (figure.these, figure.like_these))
            mean = _value(trait, figure.these.mean)
            lines.append(f"  {trait.title:{width}}  {mean:>6}  {ends}  ({figure.chances})  {trait.about}")
        lines += [f"  {note}" for note in _notes(profile) if note]
    return [*lines, "", *_footer(profiles)]


def _shown(profile: AgentProfile) -> Iterator[tuple[Trait, TraitFigure]]:
    for name, figure in profile.figures.items():
        if figure is not None:
            yield TRAITS[name], figure


def _notes(profile: AgentProfile) -> list[str]:
    if profile.only_bounded:
        return [f"In {profile.only_bounded} more negotiations only bounds of the best response are known.", ""]
    if profile.figures["oracle_gap"] is None:
        return ["No best response is known, as no opponent was a script.", ""]
    return []


def _footer(profiles: Profiles) -> list[str]:
    held_out = validation()["held_out"]
    read = {trait.title: held_out[trait.reads].precision for trait in TRAITS.values() if trait.reads in held_out}
    rates = ", ".join(f"{title} {rate:.0%}" for title, rate in read.items())
    lines = [f"How often a finding was right on labelled turns held out: {rates}. Definitions: docs/behaviour.md."]
    if profiles.hidden:
        names = ", ".join(trait.title for trait in profiles.hidden)
        lines.append(f"Not shown, as less than {LEAST_PRECISION:.0%} of the findings were right: {names}.")
    return lines


def _value(trait: Trait, value: float) -> str:
    if trait.unit == "share":
        return f"{value:.0%}"
    return points(value) if trait.unit == "points" else f"{value:.2f}"


def _ends(trait: Trait, interval: Interval | None) -> str:
    return "" if interval is None else f"[{_value(trait, interval.low)}, {_value(trait, interval.high)}]"
