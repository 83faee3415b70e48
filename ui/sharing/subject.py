"""What a shared link shows, in words: one run, or the two lanes of a comparison.

Names, points and the result are left out where the visitor has not voted yet (`hidden`), because whatever is made of a
subject (a picture, a preview, a transcript) leaves the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from negotiation.agents.human import HUMAN
from negotiation.app.parley import Parley
from negotiation.errors import UnknownRun
from negotiation.runs.record import Run
from negotiation.scenario.model import SEATS, Seat
from ui.drawing.ending import compare, contested
from ui.drawing.lane_head import status_of
from ui.drawing.text import VOTE_ASK
from ui.drawing.turns import Labels, config_name
from ui.kit import text as shared
from ui.kit.units import in_points, points
from ui.sharing import text
from ui.widgets.agent_picker import labels
from ui.widgets.follow import stored_view

BLIND = "blind"
"""The key of a link that keeps names and points hidden until a vote."""
MOST_ID = 64
"""The most characters of a run's id."""


@dataclass(frozen=True)
class SharedSide:
    """A side of a lane: its seat, role and agent, and the points it got, once there are any."""

    seat: Seat
    role: str
    agent: str
    worth: str


@dataclass(frozen=True)
class SharedLane:
    """A run, and how far it is in a few words; `look` is how the page colours them."""

    name: str
    look: str
    outcome: str
    sides: tuple[SharedSide, ...]
    run: Run


@dataclass(frozen=True)
class Subject:
    """What a link shows. `listed` says whether its runs are published."""

    title: str
    headline: str
    details: str
    lanes: tuple[SharedLane, ...]
    hidden: bool = False
    listed: bool = False

    @property
    def about(self) -> str:
        """The details and who plays, in one line."""
        return " ".join(filter(None, (self.details, *_players(self))))

    @property
    def link(self) -> str:
        """The link that shows it, relative to the page."""
        return link_to(self.lanes[0].run, hidden=self.hidden)

    @property
    def over(self) -> bool:
        """Whether nothing about it changes any more."""
        return all(lane.run.status != "running" for lane in self.lanes)

    @property
    def state(self) -> tuple[object, ...]:
        """A value that changes whenever a picture of the subject would."""
        lanes = ((lane.run.run_id, lane.run.status, len(lane.run.turns), lane.sides) for lane in self.lanes)
        return (self.hidden, *lanes)


def link_to(run: Run, *, hidden: bool = False) -> str:
    """Return the link to a run, relative to the page; where a person played, to its replay.

    What is `hidden` stays hidden from whoever opens the link, until they vote.
    """
    person = HUMAN in (config.agent for config in run.agents.values())
    return replay_link(run.run_id, hidden=hidden) if person else f"?run={run.run_id}{_blind(hidden)}"


def replay_link(run_id: str, *, hidden: bool = False) -> str:
    """Return the link to a replay, relative to the page; `hidden` as for `link_to`."""
    return f"?replay={run_id}{_blind(hidden)}"


def _blind(hidden: bool) -> str:
    return f"&{BLIND}=1" if hidden else ""


def find_subject(parley: Parley, run_id: str, *, hidden: bool = False) -> Subject:
    """Return what a link to a run shows to anyone: both lanes if it is one of two, as far as they may be seen.

    Raises:
        UnknownRun: There is no such run.
        StoreError: Runs cannot be read now.
    """
    if not run_id.isascii() or len(run_id) > MOST_ID:
        raise UnknownRun(shared.UNKNOWN_RUN)
    runs = parley.store.comparison(run_id)
    ids = [run.run_id for run in runs] if [run.lane for run in runs] == [1, 2] else [run_id]
    names = labels(parley) | {HUMAN: text.A_PERSON}
    return subject_of([parley.store.run(one) for one in ids], names, hidden=hidden)


def subject_of(runs: Sequence[Run], names: Labels, *, hidden: bool = False) -> Subject:
    """Return what one run, or the two lanes of a comparison, came to; only two lanes can be `hidden`."""
    hidden = hidden and len(runs) == 2
    scenario = runs[0].scenario
    lanes = tuple(_lane(run, number, names, hidden) for number, run in enumerate(runs, 1))
    if len(runs) == 1:
        (lane,) = lanes
        lanes = (SharedLane("", lane.look, lane.outcome, lane.sides, lane.run),)
        headline, details = _single(lane)
    elif hidden:
        headline, details = VOTE_ASK.format(role=scenario.roles[contested(runs)].name), text.HIDDEN
    elif result := compare(runs):
        headline, details = result.headline, result.details[0]
    else:
        headline, details = text.LANES.format(first=lanes[0].outcome, second=lanes[1].outcome), ""
    listed = all(run.published for run in runs)
    return Subject(scenario.title, headline, details, lanes, hidden=hidden, listed=listed)


def _lane(run: Run, number: int, names: Labels, hidden: bool) -> SharedLane:
    look, outcome = status_of(stored_view(run))
    if run.agreement is not None and run.turns:
        outcome = text.DEAL.format(round=run.turns[-1].round)
    sides = tuple(_side(run, seat, names, hidden) for seat in SEATS)
    return SharedLane(shared.LANE.format(number=number), look, outcome, sides, run)


def _side(run: Run, seat: Seat, names: Labels, hidden: bool) -> SharedSide:
    role = run.scenario.roles[seat].name
    if hidden:
        return SharedSide(seat, role, text.HIDDEN_AGENT, "")
    worth = ""
    if run.measures is not None:
        worth = points(run.measures.utility_a if seat == "a" else run.measures.utility_b)
    return SharedSide(seat, role, config_name(run.agents[seat], names), worth)


def _single(lane: SharedLane) -> tuple[str, str]:
    """Return what a run came to, and the deal, if it has one."""
    run, (a, b) = lane.run, lane.sides
    if run.agreement is None or run.measures is None:
        return ending_of(lane), ""
    worth_a = in_points(run.measures.utility_a)
    return text.WORTHS.format(a=a.role, b=b.role, worth_a=worth_a, worth_b=b.worth), run.scenario.show(run.agreement)


def ending_of(lane: SharedLane) -> str:
    """Return how a run ended, or how far it is, as a sentence."""
    run = lane.run
    if run.agreement is not None or run.ending is None:
        return f"{lane.outcome}."
    by = run.scenario.roles[run.ended_by].name if run.ended_by else ""
    return f"{lane.outcome}. {shared.VERDICT[str(run.ending)].format(name=by)}"


def _players(subject: Subject) -> list[str]:
    if subject.hidden:
        return []
    found = []
    for lane in subject.lanes:
        a, b = lane.sides
        sides = text.SIDES.format(a=a.role, agent_a=a.agent, b=b.role, agent_b=b.agent)
        found.append(f"{lane.name}: {sides}" if lane.name else sides)
    return found
