"""Random input of every kind that strangers write gives a result or a typed error with a message, and nothing else.

`PARLEY_FUZZ_CASES` sets the number of cases per kind, which then differ on every run (`make stress`).
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gradio_client.utils import is_file_obj_with_meta
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from manager.backends.fake import FakeModel  # noqa: F401 (the type `fake` is looked up while entries are read)
from manager.config.registry import Registry
from manager.errors import ConfigError, ParleyError
from manager.manager import LLMManager
from negotiation.admission.limits import Limits
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.agents.human import read_answer
from negotiation.agents.strategies import STRATEGIES
from negotiation.app.settings import SHIPPED
from negotiation.errors import IllegalTurn, ScenarioError, StoreError
from negotiation.game.events import Ended, TurnTaken
from negotiation.game.protocol import Action, GameState
from negotiation.game.session import Negotiation, negotiate
from negotiation.replies.reader import glimpse, read_reply
from negotiation.runs.journal import read_journal, run_line
from negotiation.runs.record import Run
from negotiation.runs.rows import run_row
from negotiation.scenario.genius_import import import_genius
from negotiation.scenario.model import load_scenario, load_scenarios, scenario_from_text
from negotiation.tournament.plan_file import load_tournament
from tests.support.page import Served, served
from ui.server.request_guard import names_file
from ui.widgets.scenario_picker import findings_html

pytestmark = pytest.mark.timeout(3600)

CASES = int(os.environ.get("PARLEY_FUZZ_CASES", "40"))
settings.register_profile(
    "fuzz",
    max_examples=CASES,
    derandomize="PARLEY_FUZZ_CASES" not in os.environ,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
fuzzed = settings.get_profile("fuzz")
MAX_MESSAGE = 20_000
"""Maximum length of an error message in characters."""

SCENARIOS = [path.read_text(encoding="utf-8") for path in sorted((SHIPPED / "scenarios").glob("*.yaml"))]
REGISTRY = (SHIPPED / "models.yaml").read_text(encoding="utf-8")
TOURNAMENT = (SHIPPED / "tournaments" / "example.yaml").read_text(encoding="utf-8")
GENIUS = Path(__file__).parents[1] / "unit" / "negotiation" / "scenario" / "genius"
XML = [(GENIUS / f"bakery_{name}.xml").read_text(encoding="utf-8") for name in ("domain", "baker", "miller")]
FAULTY_XML = [path.read_text(encoding="latin-1") for path in sorted((GENIUS / "field").rglob("*.xml"))]
CAR = load_scenario(SHIPPED / "scenarios" / "company_car.yaml")

ODD = [
    "",
    " ",
    "\t",
    "\n",
    "\0",
    "\ud800",
    "\u202e",
    "\ufeff",
    "\U0010ffff",
    "&a ",
    "*a",
    "<<: ",
    "!!python/name:os.system ",
    "!!binary ",
    "!!int ",
    "!!set ",
    "!<x> ",
    "? ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ",",
    ": ",
    "|",
    ">",
    "'",
    '"',
    "#",
    "%YAML 9.9",
    "---",
    "...",
    "1:1:1:1.5",
    "0x",
    "0o7",
    "1e999",
    "-.inf",
    ".nan",
    "9" * 5000,
    "-0",
    "1_0",
    "2001-01-01",
    "~",
    "null",
    "yes",
    "true",
    "<!DOCTYPE x>",
    "<!ENTITY a 'b'>",
    "&amp;",
    "&#0;",
    "&a;",
    "<![CDATA[",
    "<?x?>",
    "</issue>",
    "<a>",
    'value="-1"',
    'value="1e999"',
    'type="real"',
    'index="1"',
    "<|im_end|>",
    "\\u0000",
    "\\ud800",
    "{{7*7}}",
    "'; DROP TABLE runs; --",
    "../../etc/passwd",
    "=1+1",
]
odd = st.sampled_from(ODD) | st.text(max_size=20)


@st.composite
def spoilt(draw: st.DrawFn, texts: list[str]) -> str:
    """A good text in which pieces are missing, doubled, moved or replaced by something odd."""
    text = draw(st.sampled_from(texts))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.sampled_from([0, 1, 2, 8, 60, 600])))
        piece = draw(odd | st.just(text[start:end] * 2) | st.just(text[start:end] * 200) | st.just(""))
        text = text[:start] + piece + text[end:]
    return text[:400_000]


words = odd | st.sampled_from(
    ["title", "story", "issues", "roles", "a", "b", "values", "weights", "options", "range", "min", "max"]
)
plain = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from([2**63, -(2**70), 10**400]) | words
values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4), max_leaves=12
)


def check_message(error: ParleyError) -> None:
    """Check that an error says something, and not too much."""
    assert 0 < len(str(error)) < MAX_MESSAGE


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@fuzzed
@given(spoilt(SCENARIOS) | values.map(as_text) | st.text())
def test_scenarios(text: str) -> None:
    assert findings_html(Limits(), text)
    try:
        scenario = scenario_from_text(text)
    except ScenarioError as error:
        check_message(error)
        return
    agents = {"a": STRATEGIES["conceder"], "b": STRATEGIES["linear"]}
    *_, last = negotiate(Negotiation("run", scenario, agents, 1))  # type: ignore[arg-type]
    assert isinstance(last, Ended)


@fuzzed
@given(text=spoilt([REGISTRY]) | values.map(as_text))
def test_registries(tmp_path: Path, text: str) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        assert len(Registry.from_yaml(path)) >= 0
    except ParleyError as error:
        check_message(error)
    assert list(tmp_path.iterdir()) == [path]


@fuzzed
@given(text=spoilt([TOURNAMENT]) | values.map(as_text))
def test_tournaments(tmp_path: Path, text: str, catalog: Catalog) -> None:
    path = tmp_path / "cup.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        assert load_tournament(path, catalog, SHIPPED_SCENARIOS).size >= 0
    except ParleyError as error:
        check_message(error)
    assert list(tmp_path.iterdir()) == [path]


SHIPPED_SCENARIOS = load_scenarios(SHIPPED / "scenarios")


@pytest.fixture(scope="module")
def catalog() -> Iterator[Catalog]:
    with LLMManager(Registry.from_yaml(SHIPPED / "models.yaml")) as manager:
        yield Catalog(manager)


@fuzzed
@given(texts=st.tuples(*(st.just(text) | spoilt([text]) | spoilt(XML + FAULTY_XML) for text in XML)))
def test_genius(tmp_path: Path, texts: tuple[str, ...]) -> None:
    domain, a, b = (tmp_path / name for name in ("domain.xml", "a.xml", "b.xml"))
    for path, text in zip((domain, a, b), texts, strict=True):
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        import_genius(domain, a, b)
    except ScenarioError as error:
        check_message(error)
    assert set(tmp_path.iterdir()) == {domain, a, b}


REPLIES = [
    json.dumps({"thought": "t", "action": action, "offer": offer, "message": "m"})
    for action, offer in (
        ("accept", None),
        ("walk_away", None),
        ("offer", {name: issue.choices[0] for name, issue in CAR.issues.items()}),
    )
]


@fuzzed
@given(spoilt(REPLIES) | values.map(as_text) | st.text())
def test_replies(text: str) -> None:
    state = GameState(CAR)
    state = state.apply(Action.OFFER, {name: issue.choices[-1] for name, issue in CAR.issues.items()})
    reply = read_reply(text, state)
    if reply.action is None:
        assert reply.kind
        assert 0 < len(reply.detail or "") < MAX_MESSAGE
    else:
        assert json.loads(text)["action"] == reply.action
        state.apply(reply.action, reply.offer)
    assert all(isinstance(part, str) for part in glimpse(text).values())


@fuzzed
@given(st.sampled_from([*Action, "", "ACCEPT"]) | words, values, st.text(max_size=50) | st.just("x" * 3000))
def test_peoples_answers(action: str, offer: Any, message: str) -> None:
    try:
        decision = read_answer(GameState(CAR), action, offer, message)
    except IllegalTurn as error:
        check_message(error)
    else:
        assert decision.action in set(Action)


@fuzzed
@given(values)
def test_agents(given_agent: Any) -> None:
    try:
        AgentConfig.from_json(given_agent)
    except ConfigError as error:
        check_message(error)


def journal_line() -> str:
    agents = {"a": STRATEGIES["conceder"], "b": STRATEGIES["linear"]}
    events = list(negotiate(Negotiation("run", CAR, agents, 1)))  # type: ignore[arg-type]
    turns = tuple(event.turn for event in events if isinstance(event, TurnTaken))
    end = events[-1]
    assert isinstance(end, Ended)
    configs = {seat: AgentConfig(agent.name) for seat, agent in agents.items()}
    run = Run(run_id="run", scenario=CAR, agents=configs, seed=1, owner="somebody", turns=turns)  # type: ignore[arg-type]
    return json.dumps(run_line(run.end(end)))


JOURNAL = [journal_line()]


@fuzzed
@given(st.lists(spoilt(JOURNAL) | st.sampled_from(JOURNAL) | values.map(as_text) | st.text(), max_size=3))
def test_journals(tmp_path: Path, lines: list[str]) -> None:
    (tmp_path / "1.jsonl").write_text("\n".join(lines), encoding="utf-8", errors="surrogatepass")
    contents = read_journal(tmp_path)
    for run_id in contents.runs:
        try:
            run = contents.run(run_id)
        except StoreError as error:
            check_message(error)
        else:
            json.dumps(run_row(run), allow_nan=False)


# -- over the wire ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("page")) as page:
        yield page


def sendable(value: Any) -> bool:
    """Whether JSON can say it, as a program would send it."""
    try:
        json.dumps(value, allow_nan=False).encode()
    except (ValueError, UnicodeEncodeError):
        return False
    return True


sent = values.filter(sendable)
scenario_texts = st.sampled_from([*SHIPPED_SCENARIOS, *SCENARIOS]) | spoilt(SCENARIOS)
agents = st.sampled_from(["m", "linear", "boulware", "human", "nobody"]) | sent
arguments = {
    "models": st.tuples() | st.tuples(sent),
    "scenarios": st.tuples() | st.tuples(sent),
    "run": st.tuples(sent | st.just("0" * 32)),
    "negotiate": st.tuples(
        scenario_texts | sent, agents, agents, st.integers() | sent, st.none() | sent, st.none() | sent
    ),
}


@pytest.mark.parametrize("name", arguments)
def test_the_api_for_programs(page: Served, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    broken: list[BaseException | None] = []
    monkeypatch.setattr("gradio.routes.traceback.print_exc", lambda: broken.append(sys.exc_info()[1]))

    @fuzzed
    @given(arguments[name])
    def call(data: tuple[Any, ...]) -> None:
        answer = page.post(name, list(data))
        assert answer.status_code in (200, 400, 422, 500), answer.text
        assert answer.status_code == 200 or 0 < len(answer.text) < MAX_MESSAGE
        assert not broken, f"an error that was not raised on purpose: {broken[0]!r}"

    call()
    assert page.post("models", []).status_code == 200


def test_private_endpoints(page: Served) -> None:
    pins = {model_id: about["pinned"] for model_id, about in page.parley.manager.list_models().items()}
    files = stored_files(page)
    endpoints = [one for one in page.endpoints if one["targets"] and one["api_name"] not in ("js_fn", "negotiate")]

    @fuzzed
    @given(st.data(), st.sampled_from(endpoints), st.dictionaries(words, sent, max_size=3).filter(sendable))
    def call(data: st.DataObject, endpoint: dict[str, Any], event: dict[str, Any]) -> None:
        count = len(endpoint["inputs"])
        inputs = data.draw(st.lists(sent, min_size=count, max_size=count) | st.lists(sent, max_size=count + 1))
        answer = page.post(endpoint, inputs, session=f"s{random.Random(count).random()}", event=event)
        assert answer.status_code in (200, 400, 422, 500), answer.text

    call()
    assert page.post("models", []).status_code == 200
    assert {model_id: about["pinned"] for model_id, about in page.parley.manager.list_models().items()} == pins
    assert stored_files(page) == files


def stored_files(page: Served) -> set[str]:
    """The files in the home folder, but for the database's own."""
    home = page.parley.settings.home
    return {str(path.relative_to(home)) for path in home.rglob("*") if ".db" not in path.name}


@fuzzed
@given(values.filter(sendable), st.booleans(), st.sampled_from(["utf-8", "utf-16", "utf-32-le", "escaped"]))
def test_files_in_requests_are_seen_wherever_they_are(value: Any, hidden: bool, encoding: str) -> None:
    file = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
    assert is_file_obj_with_meta(file)
    body = json.dumps({"data": [[value, {"x": file}] if hidden else value]})
    if encoding == "escaped":
        body, encoding = body.replace("meta", "\\u006d\\u0065ta").replace("path", "p\\u0061th"), "utf-8"
    assert names_file(body.encode(encoding)) is hidden
