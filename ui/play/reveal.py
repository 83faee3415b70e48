"""The reveal after a person has negotiated: both sides' preferences, the cost of each turn, and other deals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from negotiation.agents.strategies import STRATEGIES
from negotiation.diagnostics.coaching import Lesson, lessons
from negotiation.diagnostics.hindsight import baselines, references
from negotiation.game.measures import measure_seat
from negotiation.game.protocol import Action
from negotiation.runs.record import Run
from negotiation.scenario.model import Offer, Scenario, Seat, other
from ui.drawing.charts import utility_rounds, utility_space
from ui.drawing.outcome_space import space_of
from ui.drawing.turns import OfferCard, offer_card
from ui.kit import text as shared
from ui.kit.templates import render
from ui.kit.units import in_points, points
from ui.play import text
from ui.play.preferences import preferences_html
from ui.sharing.buttons import share_html
from ui.sharing.subject import replay_link


@dataclass(frozen=True)
class PointsTable:
    """A table of points: its last two columns are numbers, and a marked first row is the person's own."""

    title: str
    about: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    marked: bool = False


def reveal_html(run: Run, seat: Seat) -> Markup:
    """Draw everything about a run that ended, for the person in `seat`; nothing if it did not end.

    May take a moment, because scripted strategies play the run again.
    """
    if run.status != "done":
        return Markup()
    space, agreed = space_of(run.scenario), run.agreement is not None
    role = run.scenario.roles[other(seat)]
    return render(
        "play/reveal",
        text=text,
        plots=utility_space(space, run.turns, agreed) + utility_rounds(space, run.turns),
        share=share_html(run.run_id, replay_link(run.run_id)),
        lessons=_lessons(run, seat),
        briefing_of=text.BRIEFING.format(name=role.name),
        briefing=role.briefing,
        preferences=preferences_html(run.scenario, (seat, other(seat))),
        tables=[_regret(run, seat), _instead(run, seat)],
    )


@dataclass(frozen=True)
class LessonCard:
    """A turn that cost much: what would have been better, in words and as an offer that marks what changes."""

    round: str
    words: str
    offer: OfferCard
    worth: str


def _lessons(run: Run, seat: Seat) -> list[LessonCard]:
    """Return the two turns that cost the person most."""
    return [_lesson(run, lesson) for lesson in lessons(run, seat, space_of(run.scenario).analyser)]


def _lesson(run: Run, lesson: Lesson) -> LessonCard:
    turn, kind = lesson.turn, "table" if lesson.on_table else "certain" if lesson.certain else "likely"
    before = run.agreement if turn.action is Action.ACCEPT else turn.offer
    return LessonCard(
        text.LESSON_ROUND.format(round=turn.round),
        text.LESSONS[kind, str(turn.action)],
        offer_card(run.scenario, lesson.better, None if lesson.on_table else before),
        text.LESSON_WORTH.format(worth=in_points(lesson.worth), cost=in_points(lesson.cost)),
    )


def _regret(run: Run, seat: Seat) -> PointsTable:
    rows = []
    found = measure_seat(seat, space_of(run.scenario).analyser, run.turns)
    own_turns = [turn for turn in run.turns if turn.seat == seat]
    for turn, regret in zip(own_turns, found.regret, strict=True):
        own = turn.utility_a if seat == "a" else turn.utility_b
        worth = run.scenario.roles[seat].reservation if own is None else own
        offered = turn.offer if turn.action is Action.OFFER else None
        did = text.ACTS[str(turn.action)] if offered is None else run.scenario.show(offered)
        rows.append((str(turn.round), did, points(worth), points(regret)))
    return PointsTable(text.REGRET, text.REGRET_ABOUT, text.REGRET_COLUMNS, rows)


def _instead(run: Run, seat: Seat) -> PointsTable:
    """Compare with scripted strategies in the same seat, or with points of theory if the opponent was no script."""
    scenario, opponent = run.scenario, run.agents[other(seat)].agent
    own = (run.measures.utility_a, run.measures.utility_b) if run.measures else (0.0, 0.0)
    mine, theirs = own if seat == "a" else own[::-1]

    def row(name: str, agreement: Offer | None, worth: float, worth_other: float) -> tuple[str, ...]:
        return name, _deal(scenario, agreement), points(worth), points(worth_other)

    you = row(text.YOU, run.agreement, mine, theirs)
    if played := baselines(run, seat):
        others = [
            row(STRATEGIES[each.strategy].label, each.agreement, each.utility, each.utility_other) for each in played
        ]
        about = text.BASELINES_ABOUT.format(opponent=STRATEGIES[opponent].label, seed=run.seed)
        return PointsTable(text.BASELINES, about, text.BASELINE_COLUMNS, [you, *others], marked=True)
    others = [
        row(text.REFERENCE_POINTS[each.name], each.agreement, each.utility, each.utility_other)
        for each in references(scenario, seat, space_of(scenario).analyser)
    ]
    about = text.REFERENCES_ABOUT
    return PointsTable(text.REFERENCES, about, text.REFERENCE_COLUMNS, [you, *others], marked=True)


def _deal(scenario: Scenario, agreement: Offer | None) -> str:
    return shared.NO_DEAL if agreement is None else scenario.show(agreement)
