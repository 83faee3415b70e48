"""Hostile text stays text wherever it is shown, linked or saved."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from manager.identity import Identity, ServerReport
from negotiation.admission.limits import Limits
from negotiation.agents.config import AgentConfig
from negotiation.agents.strategies import STRATEGIES
from negotiation.figures.statistics import Interval
from negotiation.game.events import Ended, Halted, Started, TurnTaken, Writer, Writing
from negotiation.game.protocol import GameState
from negotiation.game.session import Negotiation, negotiate
from negotiation.runs.provenance import Provenance
from negotiation.runs.record import Run
from negotiation.runs.store import RunSummary
from negotiation.scenario.model import SEATS, Scenario, parse_scenario
from ui.drawing.charts import interval_plot, thumbnail, utility_rounds, utility_space
from ui.drawing.lane_view import LaneView
from ui.drawing.outcome_space import space_of
from ui.drawing.run_list import runs_html
from ui.drawing.table_and_verdict import table_html, verdict_html
from ui.drawing.turns import now_html, turns_html
from ui.history.provenance import provenance_html
from ui.history.replay import head_html
from ui.kit.downloads import file_html
from ui.play.offer_form import best_offer, builder_html, worth_html
from ui.play.preferences import own_html, preferences_html
from ui.play.reveal import reveal_html
from ui.widgets.scenario_picker import cards_html, findings_html, story_html

ATTACKS = {
    "html": "<img src=x onerror=hurt()><script>hurt()</script>",
    "attribute": "\" onload=\"hurt()\" x='",
    "svg": "</text></svg><svg onload=hurt()><a href='javascript:hurt()'>",
    "template": "${hurt()}{{hurt()}}<%=hurt()%>",
    "markdown": "[x](javascript:hurt()) ![x](http://evil.test/x)",
    "latex": "$\\href{javascript:hurt()}{x}$ \\(x\\)",
    "bidi": "a\u202ehurt\u2066b\u202d",
    "formula": "=HYPERLINK(\"http://evil.test\",1)",
    "end": "</textarea></template></title></style><iframe srcdoc=x>",
}  # fmt: skip
RUN_OR_LOAD = {
    "script",
    "img",
    "iframe",
    "object",
    "embed",
    "link",
    "meta",
    "base",
    "style",
    "foreignobject",
    "image",
    "use",
    "animate",
    "set",
    "video",
    "audio",
    "source",
    "math",
    "frame",
    "applet",
    "noscript",
}


class Checker(HTMLParser):
    """Refuses markup that could run code, load anything or lead to another site."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in RUN_OR_LOAD, f"<{tag}>"
        for name, value in attrs:
            assert not name.startswith("on"), f"{tag} {name}"
            if name in ("href", "src", "action", "formaction", "xlink:href", "srcdoc", "background"):
                assert re.match(r"[?#]", value or ""), f"{name}={value}"
            assert "url(" not in (value or "") or name != "style"


def check(shown: str) -> None:
    Checker(convert_charrefs=False).feed(shown)
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", shown)
    assert "hurt" in shown, "the text is there"


@pytest.fixture(params=list(ATTACKS.values()), ids=list(ATTACKS))
def text(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def scenario(text: str) -> Scenario:
    """A scenario in which every text is hostile."""
    return parse_scenario("own", data_of(text), "here")


def data_of(text: str) -> dict[str, Any]:
    hurt = text if "hurt" in text else f"hurt {text}"
    options = [f"{hurt[:50]} {number}" for number in (1, 2, 3)]
    roles = {
        seat: {
            "name": f"{hurt[:30]} {seat}",
            "briefing": hurt,
            "reservation": 0.2,
            "weights": {"x": 0.5, "y": 0.5},
            "values": {
                "x": dict(zip(options, worth, strict=True)),
                "y": {0: worth[0], 10: worth[2]},
            },
        }
        for seat, worth in (("a", (0.0, 0.5, 1.0)), ("b", (1.0, 0.4, 0.0)))
    }
    issues = {"x": {"title": hurt[:80], "options": options}, "y": {"unit": hurt[:20], "range": {"min": 0, "max": 10}}}
    return {"title": hurt[:80], "story": hurt, "rounds": 3, "issues": issues, "roles": roles}


@pytest.fixture
def run(scenario: Scenario, text: str) -> Run:
    """Two strategies that say hostile things."""
    events = list(negotiate(Negotiation("run", scenario, dict.fromkeys(SEATS, STRATEGIES["conceder"]), 1)))
    turns = tuple(
        replace(event.turn, message=f"{text} hurt", thought=f"{text} hurt", raw=text, agent="m")
        for event in events
        if isinstance(event, TurnTaken)
    )
    end = events[-1]
    assert isinstance(end, Ended)
    configs = {seat: AgentConfig("m", {"persona": f"{text} hurt"}) for seat in SEATS}
    return Run(run_id="run", scenario=scenario, agents=configs, seed=1, turns=turns).end(end)


def hostile_provenance(run: Run, text: str) -> Provenance:
    """What a hostile server says about itself."""
    hurt = f"{text} hurt"
    server = ServerReport(model=hurt, fingerprint=hurt, software=hurt, omitted=(hurt,))
    identity = Identity(model_name=hurt, revision=hurt, package=hurt, device=hurt, adapters=(hurt,), server=server)
    return Provenance.begun(run.scenario).written("a", 0, Writer(identity, {hurt: hurt}))


def test_scenarios(scenario: Scenario, text: str) -> None:
    offer = best_offer(scenario, "a")
    for shown in (
        story_html(scenario),
        cards_html([scenario], "own"),
        preferences_html(scenario, SEATS),
        own_html(scenario, "a"),
        builder_html(GameState(scenario), "a", "run", offer, taken=0, turn=True),
        utility_space(space_of(scenario), (), agreed=False),
    ):
        check(shown)
    Checker().feed(thumbnail(space_of(scenario)) + worth_html(scenario, "a", offer, 1))
    check(findings_html(Limits(), json.dumps({**data_of(text), f"{text} hurt": 1})))
    Checker().feed(findings_html(Limits(), f"{text} hurt: ["))


def test_transcripts_verdicts_and_plots(run: Run, text: str) -> None:
    names = {"m": f"{text} hurt"}
    scenario, space = run.scenario, space_of(run.scenario)
    view = LaneView(scenario).fold([Started("run", "own", {"a": "m", "b": "m"}, 1), *map(TurnTaken, run.turns[:-1])])
    writing = view.fold([Writing("a", 0, json.dumps({"thought": f"{text} hurt", "message": f"{text} hurt"}))])
    halted = view.fold([Halted("failed", f"{text} hurt")])
    for shown in (
        turns_html(view, names),
        turns_html(view, names, "a"),
        now_html(writing, names) + turns_html(view, names),
        table_html(view),
        verdict_html(halted, space),
        utility_space(space, run.turns, agreed=True),
        utility_rounds(space, run.turns),
        interval_plot(Interval(0.1, 0.0, 0.2), f"{text} hurt", "b"),
        head_html(run, names),
        provenance_html(replace(run, provenance=hostile_provenance(run, text))),
        reveal_html(run, "a"),
    ):
        check(shown)


def test_lists(text: str) -> None:
    hurt = f"{text} hurt"
    row = RunSummary(
        run_id="run", created=1.0, owner="me", published=False, status="failed", reason=hurt, scenario_id="own",
        title=hurt,
        seed=1, agent_a=hurt, agent_b=hurt, comparison=None, lane=None, forked_from="run", forked_turns=1, ending=None,
        outcome=hurt, utility_a=None, utility_b=None, role_a=hurt, role_b=hurt,
    )  # fmt: skip
    check(runs_html([row], {}, ()))
    check(runs_html([replace(row, status="done", ending="agreement", run_id='" onload="hurt()')], {hurt: hurt}, ()))


def test_files(run: Run, text: str) -> None:
    for kind in ("csv", "jsonl"):
        shown = file_html([run], kind)
        Checker().feed(shown)
        found = re.search('data-bytes="([^"]*)"', shown)
        assert found is not None
        written = base64.b64decode(found[1]).decode()
        if kind == "jsonl":
            assert json.loads(written)["turns"][0]["message"] == f"{text} hurt"
        else:
            for cells in csv.reader(io.StringIO(written.removeprefix("\ufeff"))):
                assert not any(cell.lstrip().startswith(("=", "+", "-", "@")) for cell in cells)
