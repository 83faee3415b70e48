"""After a person has negotiated: both sides' preferences, what the deal was worth, and what others would have got."""

from __future__ import annotations

from collections.abc import Iterable

from negotiation.diagnostics.hindsight import baselines, references
from negotiation.game.measures import measure_seat
from negotiation.game.protocol import Action
from negotiation.runs.record import Run
from negotiation.scenario.model import Offer, Scenario, Seat, other
from ui.drawing.charts import utility_rounds, utility_space
from ui.drawing.outcome_space import space_of
from ui.kit import text
from ui.kit.html import esc, number, tag
from ui.play.offer_form import preferences_html


def reveal_html(run: Run, seat: Seat) -> str:
    """Everything about a run that ended, for who played `seat`. May take a moment: strategies play it again."""
    if run.status != "done":
        return ""
    space, agreed = space_of(run.scenario), run.agreement is not None
    plots = utility_space(space, run.turns, agreed) + utility_rounds(space, run.turns)
    parts = [
        tag("div", plots, "figures"),
        _section(text.REVEAL_OTHER, text.REVEAL_OTHER_ABOUT, _other_html(run.scenario, seat)),
        _section(text.REVEAL_REGRET, text.REVEAL_REGRET_ABOUT, _regret_html(run, seat)),
        _instead_html(run, seat),
    ]
    return tag("div", "".join(parts), "reveal")


def _section(title: str, about: str, content: str) -> str:
    return tag("section", tag("h3", esc(title)) + tag("p", esc(about), "note") + content)


def _other_html(scenario: Scenario, seat: Seat) -> str:
    role = scenario.roles[other(seat)]
    told = tag("p", tag("b", esc(text.REVEAL_BRIEFING.format(name=role.name))) + " " + esc(role.briefing), "briefing")
    return told + preferences_html(scenario, (seat, other(seat)))


def _regret_html(run: Run, seat: Seat) -> str:
    rows = []
    found = measure_seat(seat, space_of(run.scenario).analyser, run.turns)
    own_turns = [turn for turn in run.turns if turn.seat == seat]
    for turn, regret in zip(own_turns, found.regret, strict=True):
        own = turn.utility_a if seat == "a" else turn.utility_b
        worth = run.scenario.roles[seat].reservation if own is None else own
        did = run.scenario.show(turn.offer) if turn.offer is not None else text.ACTS[str(turn.action)]
        if turn.action is Action.ACCEPT:
            did = text.ACTS[str(turn.action)]
        rows.append([str(turn.round), did, number(worth), number(regret)])
    return _table(text.REGRET_COLUMNS, rows, numbers=2)


def _instead_html(run: Run, seat: Seat) -> str:
    """What scripted strategies get in the seat, or where the opponent cannot be played again, the points of theory."""
    scenario, foe = run.scenario, run.agents[other(seat)].agent
    own = (run.measures.utility_a, run.measures.utility_b) if run.measures else (0.0, 0.0)
    mine, theirs = own if seat == "a" else own[::-1]
    you = [text.YOU_ROW, _deal(scenario, run.agreement), number(mine), number(theirs)]
    if played := baselines(run, seat):
        rows = [
            [found.strategy, _deal(scenario, found.agreement), number(found.utility), number(found.utility_other)]
            for found in played
        ]
        about = text.BASELINES_ABOUT.format(opponent=foe, seed=run.seed)
        return _section(text.BASELINES, about, _table(text.BASELINE_COLUMNS, [you, *rows], numbers=2, marked=0))
    rows = [
        [
            text.REFERENCES[point.name],
            _deal(scenario, point.agreement),
            number(point.utility),
            number(point.utility_other),
        ]
        for point in references(scenario, seat, space_of(scenario).analyser)
    ]
    return _section(
        text.BASELINES,
        text.REFERENCES_ABOUT,
        _table(text.REFERENCE_COLUMNS, [you, *rows], numbers=2, marked=0),
    )


def _deal(scenario: Scenario, agreement: Offer | None) -> str:
    return text.NO_DEAL if agreement is None else scenario.show(agreement)


def _table(columns: Iterable[str], rows: Iterable[list[str]], numbers: int, marked: int | None = None) -> str:
    """A table whose last `numbers` columns are numbers; `marked` is the row that stands out."""
    names = list(columns)
    first = len(names) - numbers
    head = "".join(
        tag("th", esc(name), "number" if place >= first else "", scope="col") for place, name in enumerate(names)
    )
    body = "".join(
        tag(
            "tr",
            "".join(tag("td", esc(cell), "number" if place >= first else "") for place, cell in enumerate(row)),
            "marked" if index == marked else "",
        )
        for index, row in enumerate(rows)
    )
    table = tag("table", tag("thead", tag("tr", head)) + tag("tbody", body), "plain-table")
    return tag("div", table, "scroll", tabindex=0)
