"""Hostile requests to the page's server: private endpoints, other visitors' ids, paths, cookies and headers."""

from __future__ import annotations

import copy
import json
import re
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts
from prometheus_client.parser import text_string_to_metric_families

from negotiation.admission.limits import Limits
from negotiation.admission.sliding_window import Window
from negotiation.agents.config import AgentConfig
from negotiation.agents.human import HUMAN
from negotiation.agents.strategies import STRATEGIES
from negotiation.app.logs import FORMATTERS, _print_exc
from negotiation.app.settings import SHIPPED
from negotiation.errors import StoreError, UnknownRun
from negotiation.runs.owners import digest
from negotiation.runs.record import Run
from negotiation.scenario.model import Seat
from tests.support.page import NAME, PASSWORD, Served, served
from ui.kit import text
from ui.server import text as server_text
from ui.server.operator import ATTEMPTS_OF_ALL, WINDOW_SECONDS, operators_of
from ui.server.request_guard import CLOSED, MOST_BYTES, NO_FILES
from ui.server.visitor import COOKIE

VICTIM = "the-victim-of-all-this"
OPERATOR = "the-operator-of-all-this"
SCENARIO = (SHIPPED / "scenarios" / "company_car.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("page")) as page:
        yield page


@pytest.fixture(autouse=True)
def _no_operator_yet(page: Served) -> None:
    operators = operators_of(page.parley)
    operators._wrong = Window(WINDOW_SECONDS)
    operators._until.clear()


def run_of(page: Served, a: str = "linear") -> str:
    """Start a private run of the victim's; with a person in seat a, it waits for them."""
    scenario = page.parley.scenarios["company_car"]
    agents: dict[Seat, AgentConfig] = {"a": AgentConfig(a), "b": AgentConfig("linear")}
    run_id = page.parley.live.start(
        Run(run_id="", scenario=scenario, agents=agents, seed=1, owner=digest(VICTIM)), background=True
    )
    watch = page.parley.live.watch(run_id)
    if watch is not None and a != HUMAN:
        with watch:
            while page.parley.live.is_running(run_id):
                watch.poll(0.05)
    return run_id


# -- private endpoints -----------------------------------------------------------------------------------------


ONLY_SHOWS = ("follow", "_follow", "_look", "_remember", "_idle", "_again_", "_first", "js_fn", "show_status")


def test_a_stranger_with_a_victims_ids_changes_nothing_of_theirs(page: Served) -> None:
    done, waiting = run_of(page), run_of(page, HUMAN)
    before = [copy.deepcopy(page.parley.store.run(run_id)) for run_id in (done, waiting)]
    pins = {model_id: about["pinned"] for model_id, about in page.parley.manager.list_models().items()}
    openers = {page.of(name)["inputs"][0]: page.of(name) for name in ("_picked", "_opened", "_opened_1")}
    for run_id in (done, waiting):
        event = dict.fromkeys(("replay", "beside", "run", "scenario", "preset", "offer", "message"), run_id)
        sent: dict[str, Any] = {
            "session": run_id,
            "event": {**event, "action": "walk_away"},
            "query": dict.fromkeys(("run", "replay", "play"), run_id),
        }
        for endpoint in page.endpoints:
            if endpoint["api_name"].startswith(ONLY_SHOWS):
                continue
            for opener in (openers[part] for part in endpoint["inputs"] if part in openers):
                opened = page.post(opener, values(page, opener, run_id), **sent)
                assert opened.status_code == 200 or run_id == waiting, "anyone with a run's id may look at it"
            answer = page.post(endpoint, values(page, endpoint, run_id), **sent)
            assert answer.status_code in (200, 500), (endpoint["api_name"], answer.text)
    assert [page.parley.store.run(run_id) for run_id in (done, waiting)] == before
    assert page.parley.live.is_running(waiting)
    assert {model_id: about["pinned"] for model_id, about in page.parley.manager.list_models().items()} == pins
    assert not page.parley.tournaments.store.newest()
    page.parley.live.stop(waiting)


def values(page: Served, endpoint: dict[str, Any], run_id: str) -> list[Any]:
    """Return a valid value for each input of an endpoint, with the id wherever text is allowed."""
    hostile = {"runs": [run_id], "run": run_id, "pages": [], "last": None, "seat": "a", 1: run_id, 2: run_id}
    found: list[Any] = []
    for number in endpoint["inputs"]:
        part = page.components[number]
        choices = part["props"].get("choices")
        match part["type"]:
            case "state" | "browserstate":
                found.append(hostile)
            case "dropdown" | "radio" if choices:
                found.append(choices[0][1])
            case "slider" | "number":
                found.append(1)
            case "checkbox":
                found.append(True)
            case _:
                found.append(run_id)
    return found


def test_only_its_owner_deletes_a_run_and_its_link_dies_with_it(page: Served) -> None:
    for run_id in (run_of(page), run_of(page, HUMAN)):  # one has ended, one waits for a person
        picked, delete, opened = page.of("_picked"), page.of("delete"), page.of("_opened_2")
        for visitor, status in ((NAME, 500), (None, 500), (VICTIM, 200)):
            sent: dict[str, Any] = {"visitor": visitor, "session": f"deleting as {visitor}"}
            page.post(picked, values(page, picked, ""), event={"replay": run_id}, **sent)
            assert page.parley.store.run(run_id)
            assert page.post(delete, values(page, delete, ""), **sent).status_code == status
        assert not page.parley.live.is_running(run_id)
        with pytest.raises(UnknownRun):
            page.parley.store.run(run_id)
        answer = page.post(opened, values(page, opened, ""), session=run_id, query={"replay": run_id})
        assert text.UNKNOWN_RUN in answer.text
        assert run_id not in page.post("_again_1", [None, None, "", "", "", "", False, False], visitor=VICTIM).text


def test_two_lanes_over_the_limit_are_refused_before_the_first_starts(
    page: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page.parley.lanes, "limits", Limits(lanes_per_visitor=1, queue_per_visitor=1))
    agents: dict[Seat, AgentConfig] = {"a": AgentConfig(HUMAN), "b": AgentConfig("linear")}
    run = Run(run_id="", scenario=page.parley.scenarios["company_car"], agents=agents, seed=1, owner=digest(VICTIM))
    waiting = page.parley.live.start(run)
    before = page.parley.store.summaries()
    start = page.of("_start")
    answer = page.post(start, values(page, start, ""), visitor=VICTIM, session="start")
    assert answer.json()["error"].startswith("You have 1 negotiations running or waiting (limit: 2)")
    assert page.parley.store.summaries() == before
    page.parley.live.stop(waiting)


ACTIONS = {"load": ["m"], "unload": ["m"], "pin": ["m"], "unpin": ["m"], "_add": ["owner/name", "", ""]}


@pytest.mark.parametrize("action", ACTIONS)
def test_an_operators_action_requires_the_password(page: Served, action: str) -> None:
    before = page.parley.manager.list_models()
    for visitor in (NAME, None):
        refused = page.post(action, ACTIONS[action], visitor=visitor)
        assert refused.status_code == 500
        assert server_text.OPERATOR_ONLY in refused.text
    assert page.parley.manager.list_models() == before


def test_a_tournament_requires_the_password(page: Served) -> None:
    for button in ("cup-run", "cup-resume", "cup-stop"):
        endpoint = page.clicked(button)
        refused = page.post(endpoint, values(page, endpoint, "x"))
        assert refused.status_code == 500, button
    assert not page.parley.tournaments.store.newest()


def test_changing_cookie_session_or_headers_does_not_help_to_guess_the_password(page: Served) -> None:
    answers = []
    for number in range(ATTEMPTS_OF_ALL + 2):
        forged = {
            "x-forwarded-for": f"10.0.0.{number}",
            "x-real-ip": f"10.0.0.{number}",
            "forwarded": f"for=10.0.0.{number}",
        }
        other = f"{NAME}-{number}"
        answers.append(page.post("_enter", ["guess"], visitor=other, session=f"s{number}", headers=forged).text)
    assert server_text.OPERATOR_WRONG in answers[0]
    assert all(server_text.OPERATOR_SLOWLY in answer for answer in answers[5:])
    assert server_text.OPERATOR_SLOWLY in page.post("_enter", [PASSWORD]).text, "the right password is refused as well"


def test_the_operator_is_one_visitor(page: Served) -> None:
    assert page.post("_enter", [PASSWORD], visitor=OPERATOR).status_code == 200
    assert page.post("pin", ["m"], visitor=OPERATOR).status_code == 200
    assert page.post("unpin", ["m"], visitor=OPERATOR).status_code == 200
    assert server_text.OPERATOR_ONLY in page.post("pin", ["m"], visitor=NAME).text
    assert server_text.OPERATOR_ONLY in page.post("pin", ["m"], visitor=None, session="page").text


# -- other sites -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_sites_page_cannot_act_as_the_visitor(page: Served, site: str) -> None:
    page.post("_enter", [PASSWORD], visitor=OPERATOR)
    there = {"origin": "https://evil.test", "sec-fetch-site": site, "sec-fetch-mode": "cors"}
    assert server_text.OPERATOR_ONLY in page.post("pin", ["m"], visitor=OPERATOR, headers=there).text
    own = {"origin": "http://parley.test", "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}
    assert page.post("unpin", ["m"], visitor=OPERATOR, headers=own).status_code == 200


def test_following_a_link_from_another_site_keeps_the_visitors_name(page: Served) -> None:
    headers = {"cookie": f"{COOKIE}={NAME}", "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert "set-cookie" not in page.client.get("/?run=x", headers=headers).headers
    form = page.client.post("/", headers=headers)
    assert form.status_code == 405


def test_content_types_are_not_guessed_and_addresses_are_not_sent_to_other_sites(page: Served) -> None:
    for path in ("/", "/config", "/nothing", "/monitoring"):
        headers = page.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


# -- addresses and paths ---------------------------------------------------------------------------------------

OPEN = re.compile(
    r"/(healthz|metrics|status|card(/.*)?\.png|transcript/.*\.txt)|/(config|theme\.css|robots\.txt|favicon\.ico|pwa_icon(/.*)?|manifest\.json|openapi\.json|(static|assets|svelte)/.*)?/?"
    r"|/gradio_api/(info|openapi\.json|app_id|startup-events|theme\.css|heartbeat/.*|queue/.*|call/.*|run/.*|api/.*"
    r"|cancel)/?"
)
"""The addresses that the page and its clients need."""
PATHS = [
    "/etc/passwd",
    "../../../etc/passwd",
    "%2e%2e/%2e%2e/etc/passwd",
    "HOME/data/parley.db",
    "HOME/configs/models.yaml",
    "app.py",
    "http://127.0.0.1:1/",
    "//127.0.0.1:1/x",
    "%00",
    "C:\\windows",
    "file:///etc/passwd",
    "",
]


def test_every_address_is_either_needed_or_closed(page: Served) -> None:
    app: Any = page.client.app
    paths = set(_paths(app.routes))
    assert len(paths) > 50
    assert not sorted(path for path in paths if bool(CLOSED.match(path)) == bool(OPEN.fullmatch(path)))
    for path in ("/monitoring", "/monitoring/summary", "/gradio_api/deep_link?session_hash=page", "/login_check"):
        assert page.client.get(path).status_code == 404


def _paths(routes: Any) -> Iterator[str]:
    for route in iter_route_contexts(routes):
        inside = getattr(getattr(route, "app", None), "routes", None)
        if inside:
            yield from _paths(inside)
        elif route.path not in ("/docs", "/docs/oauth2-redirect", "/redoc"):  # added by this test's app
            yield str(route.path)


@pytest.mark.parametrize("path", PATHS)
def test_no_file_of_the_server_is_served(page: Served, path: str) -> None:
    path = path.replace("HOME", str(page.parley.settings.home))
    for prefix in ("/gradio_api/file=", "/gradio_api/file/", "/gradio_api/proxy=", "/static/", "/assets/", "/svelte/"):
        assert page.client.get(prefix + path).status_code in (400, 403, 404), prefix


def test_the_server_accepts_no_uploads(page: Served) -> None:
    assert page.client.post("/gradio_api/upload", files={"files": ("x.yaml", b"title: x")}).status_code == 404


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32", "escaped"])
@pytest.mark.parametrize("path", PATHS)
def test_a_request_makes_the_server_fetch_or_copy_no_file(page: Served, path: str, encoding: str) -> None:
    path = path.replace("HOME", str(page.parley.settings.home))
    given = {"path": path, "url": path, "meta": {"_type": "gradio.FileData"}, "orig_name": "x.yaml"}
    options = {"more": [given]}
    for name, data in (
        ("negotiate", ["company_car", "linear", "linear", 1, options, None]),
        ("_findings", [given]),
    ):
        body = json.dumps({"data": data, "fn_index": page.of(name)["id"], "session_hash": "page"})
        body = body.replace("meta", "\\u006deta") if encoding == "escaped" else body
        sent = body.encode("utf-8" if encoding == "escaped" else encoding)
        for address in (f"/gradio_api/run/{name}", "/gradio_api/queue/join", f"/gradio_api/call/{name}"):
            answer = page.client.post(address, content=sent, headers={"content-type": "application/json"})
            assert (answer.status_code, answer.text) == (400, NO_FILES)


def test_a_file_is_read_by_the_browser_and_only_its_text_is_sent(page: Served) -> None:
    assert page.post("_upload", [], event={"name": "x.yaml", "text": "title: x"}).json()["data"] == ["title: x"]
    for wrong in (None, 7, ["/etc/passwd"], {"name": "/etc/passwd"}):
        answer = page.post("_upload", [], event={"name": "<b>.yaml", "text": wrong})
        assert "is not a UTF-8 text file" in answer.json()["error"]


def test_requests_over_the_size_limit_are_refused(page: Served) -> None:
    body = b'{"data": ["' + b"x" * MOST_BYTES + b'"]}'
    headers = {"content-type": "application/json"}
    assert page.client.post("/gradio_api/queue/join", content=body, headers=headers).status_code == 413
    pieces = (body[at : at + 100_000] for at in range(0, len(body), 100_000))  # sent without a length
    assert page.client.post("/gradio_api/queue/join", content=pieces, headers=headers).status_code == 413


@pytest.mark.parametrize(
    "run_id",
    [
        "../../etc/passwd",
        "%2e%2e%2f",
        "' OR 1=1 --",
        "x\x00y",
        "\ud800",
        "<script>",
        "",
        "x" * 100_000,
        "a/b",
        "*",
        "%",
        "\u202e",
    ],
)
def test_a_run_id_is_a_key_and_nothing_else(page: Served, run_id: str) -> None:
    body = b'{"data": [' + json.dumps(run_id).encode() + b"]}"
    answer = page.client.post("/gradio_api/run/run", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422, 500)
    if answer.status_code == 500:
        assert answer.json()["error"] == text.UNKNOWN_RUN
    found = page.post("_again_1", [None, None, run_id, "", "", "", False, False], visitor=NAME)
    assert found.status_code == 200 or "error" in found.json()


@pytest.mark.parametrize(
    "name", ["../company_car", "/etc/passwd", "company_car.yaml", "own", "COMPANY_CAR", "", "\x00"]
)
def test_a_scenarios_name_is_a_key_and_nothing_else(page: Served, name: str) -> None:
    answer = page.client.post("/gradio_api/run/negotiate", json={"data": [name, "linear", "linear", 1, None, None]})
    assert answer.status_code == 500
    assert "Unknown scenario" in answer.json()["error"]


# -- whose run it is -------------------------------------------------------------------------------------------

STRANGERS: list[dict[str, Any]] = [
    {"visitor": NAME},
    {"visitor": None, "session": "page"},
    {"visitor": None, "session": VICTIM[:15]},
    {"visitor": VICTIM.upper()},
    {"visitor": digest(VICTIM)},  # what the database says
    {"visitor": f"{VICTIM}."},
    {"visitor": f'"{VICTIM}x"'},
    {"visitor": f"{NAME}; {COOKIE}=nobody"},
    {"visitor": "' OR '1'='1' -- and more"},
    {"visitor": OPERATOR},
    {"visitor": "None"},
    {"visitor": None, "session": "nobody"},
    {"visitor": None, "session": ""},
    {"visitor": VICTIM, "headers": {"sec-fetch-site": "cross-site", "origin": "https://evil.test"}},
]
"""Requests that must not count as the victim's. The last is the victim's browser on another site's page."""


def test_only_its_owner_deletes_or_publishes_a_run_even_if_strangers_have_its_link(page: Served) -> None:
    done, waiting = run_of(page), run_of(page, HUMAN)
    for stranger in STRANGERS:
        for run_id in (done, waiting):
            look(page, run_id, **stranger)
            for name in ("publish", "delete"):
                page.post(name, values(page, page.of(name), run_id), **stranger)
            assert not page.parley.store.run(run_id).published, stranger
    assert page.parley.live.is_running(waiting)
    look(page, waiting, visitor=VICTIM)
    page.post("delete", values(page, page.of("delete"), waiting), visitor=VICTIM)
    assert not page.parley.live.is_running(waiting)
    with pytest.raises(UnknownRun):
        page.parley.store.run(waiting)


def look(page: Served, run_id: str, **who: Any) -> None:
    """Open a run in History, as anyone with its id may."""
    opener = page.of("_picked")
    answer = page.post(opener, values(page, opener, run_id), event={"replay": run_id}, **who)
    assert answer.status_code == 200, answer.text


# -- what leaks ------------------------------------------------------------------------------------------------

MARK = "xyzzy-that-no-one-else-may-read"


def test_health_reports_four_things_and_no_path(page: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    page.post("_begin", [], event=None)
    assert set(page.client.get("/healthz").json()) == {"status", "version", "uptime_seconds", "database"}

    def refuse() -> None:
        raise StoreError(f"could not open {page.parley.settings.home}/data/parley.db for {MARK}")

    monkeypatch.setattr(page.parley.store, "check", refuse)
    answer = page.client.get(f"/healthz?x={MARK}", headers={"x-mark": MARK})
    assert answer.json()["status"] == "failing"
    assert str(page.parley.settings.home) not in answer.text
    assert MARK not in answer.text


def test_no_visitor_can_create_labels_in_the_metrics(page: Served) -> None:
    """A label's values are stored forever, here and in Prometheus, so none may come from a request."""
    run_of(page)
    before = label_values(page)
    lines = f"{MARK}\n{MARK} 1"
    for number, given in enumerate((MARK, lines, 'm",agent="x', "\u202e")):
        page.post("negotiate", [given, "linear", "linear", 1, None, None], visitor=f"{NAME}-{number}")
        page.post("negotiate", ["company_car", given, given, 1, {given: given}, None], session=given)
        page.post("negotiate", ["company_car", "linear", "boulware", 1, None, None], visitor=None, session=given)
        own = SCENARIO.replace("The company car", json.dumps(f"{MARK} {given}"))
        assert (page.post("negotiate", [own, "linear", "boulware", 1, None, None]).status_code == 200) == (
            given != lines
        )
    after = label_values(page)
    assert {value for name, value in after - before if name == "agent"} <= set(STRATEGIES)
    assert {name for name, _ in after - before} <= {"agent", "le", "status", "stage", "type"}
    assert MARK not in metrics(page)
    assert len(after) < len(before) + 8


def metrics(page: Served) -> str:
    return page.parley.metrics.text().decode()


def label_values(page: Served) -> set[tuple[str, str]]:
    return {
        (name, value)
        for family in text_string_to_metric_families(metrics(page))
        for sample in family.samples
        for name, value in sample.labels.items()
    }


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-forwarded-for": "127.0.0.1"},
        {"authorization": "Bearer "},
        {"authorization": "Bearer None"},
        {"cookie": f"{COOKIE}={OPERATOR}"},
        {"host": "127.0.0.1"},
        {"x-forwarded-host": "127.0.0.1", "x-real-ip": "127.0.0.1"},
    ],
)
def test_a_visitor_does_not_see_the_metrics(page: Served, headers: dict[str, str]) -> None:
    assert page.client.get("/metrics", headers=headers).status_code == 403


def test_the_error_of_a_handler_is_logged_by_type_and_never_quoted(
    page: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Gradio by itself would print what the visitor sent."""
    monkeypatch.setattr(traceback, "print_exc", _print_exc)
    endpoint = next(one for one in page.endpoints if chosen_from(page, one))
    data = [MARK if page.components[part]["type"] == "dropdown" else "" for part in endpoint["inputs"]]
    refused = page.post(endpoint, data)
    assert refused.status_code == 500
    assert MARK in refused.text, "the sender sees what was wrong"

    def broken(*_: Any) -> None:
        raise ValueError(f"{MARK}\n2030-01-01 INFO nothing happened")

    monkeypatch.setattr(page.parley.store, "run", broken)
    failed = page.post("run", [MARK])
    assert (failed.status_code, failed.json()["error"]) == (500, text.UNEXPECTED)
    assert MARK not in failed.text, "nor does the visitor see what a bug says"
    printed = capsys.readouterr()
    assert MARK not in printed.err + printed.out
    refusal, error = [one for one in caplog.records if one.exc_info]
    for formatter in FORMATTERS.values():
        assert "Error" in formatter().format(refusal)
        assert "ValueError" in formatter().format(error)
        assert MARK not in formatter().format(refusal) + formatter().format(error)


def chosen_from(page: Served, endpoint: dict[str, Any]) -> bool:
    """Return whether an endpoint takes a choice from a list."""
    parts = [page.components[part] for part in endpoint["inputs"]]
    return any(one["type"] == "dropdown" and not one["props"].get("allow_custom_value") for one in parts)
