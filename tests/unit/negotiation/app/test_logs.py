"""Logging as lines or JSON, never with texts of people or models."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
import uvicorn

from manager.errors import ConfigError, GenerationFailed
from manager.manager import LLMManager
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.app.logs import FORMATTERS, log_event, one_log, set_up_logging
from negotiation.game.agent import Agent, Decision, View
from negotiation.game.events import Halted, Started
from negotiation.live.live_runs import LiveRuns
from negotiation.runs.record import Run
from negotiation.runs.store import Store

MARK = "xyzzy"


class Broken:
    """An agent that fails with its prompt in the error."""

    name = "broken"

    def __init__(self, error: Exception) -> None:
        self.error = error

    def act(self, view: View) -> Generator[Any, None, Decision]:
        yield from ()
        raise self.error


class House(Catalog):
    error: Exception | None = None

    def create(self, config: AgentConfig) -> Agent:
        return Broken(self.error) if self.error and config.agent == "linear" else super().create(config)


@pytest.fixture(params=list(FORMATTERS))
def logged(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """Everything that is logged, at every level, as the program would write it."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(FORMATTERS[request.param]())
    root, before = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.setLevel(before)
    root.removeHandler(handler)


@pytest.mark.parametrize("error", [None, GenerationFailed(f"it said {MARK}"), ValueError(MARK), KeyError(MARK)])
def test_no_texts_of_people_or_models_are_logged(
    logged: io.StringIO,
    error: Exception | None,
    managers: Callable[..., LLMManager],
    store: Store,
    make_run: Callable[..., Run],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SECRET_KEY", f"{MARK}-key")
    reply = json.dumps({"thought": MARK, "action": "walk_away", "offer": None, "message": MARK})
    manager = managers({"chatty": {"replies": [reply], "api_key": "SECRET_KEY"}})
    house = House(manager)
    house.error = error
    live = LiveRuns(house, store, on_event=log_event)
    about = make_run().scenario.model_dump(mode="json", exclude={"scenario_id"}, exclude_none=True)
    scenario = make_run().scenario.model_copy(update={"title": MARK, "story": MARK})
    assert MARK not in json.dumps(about)
    hint = {"hint": MARK, "persona": MARK, "guard": "free"}
    agents = {"a": AgentConfig("linear"), "b": AgentConfig("chatty", hint)}
    run_id = live.start(Run(run_id="", scenario=scenario, agents=agents, seed=1, owner=f"{MARK}-visitor-name"))  # type: ignore[arg-type]
    watch = live.watch(run_id)
    if watch is not None:
        with watch:
            for _ in watch:
                pass
    live.close()
    run = store.run(run_id)
    if error is None:
        assert MARK in run.turns[-1].message
    assert run_id in logged.getvalue()
    assert MARK not in logged.getvalue()
    if error is not None:
        assert type(error).__name__ in logged.getvalue()


HOSTILE = (
    "it\n2030-01-01 00:00:00,000 INFO parley: the operator signed in",
    "x\r\x1b[2J\x9b2J\x00",
    "\u2028\u2029\x85\u202e",
    "\ud800",
    '"} {"level": "error"}',
)


@pytest.mark.parametrize("text", HOSTILE)
def test_logged_text_cannot_forge_records(logged: io.StringIO, text: str) -> None:
    """Names in a record can come from outside; they stay in their line and cannot control a terminal."""
    log_event("abc", Started("abc", text, {"a": text, "b": "linear"}, 1))
    log_event("abc", Halted("failed", text, text))
    logging.getLogger("parley").error("%s cannot be read", text)
    logging.getLogger("manager.loading.loader").error("it broke", exc_info=(ValueError, ValueError(text), None))
    lines = logged.getvalue().split("\n")
    assert "negotiation abc started" in logged.getvalue()
    assert all(line.isprintable() for line in lines)
    assert not any(line.startswith(("2030", '"')) for line in lines)
    assert "2030" not in "".join(lines) or "\\n2030" in "".join(lines)


def test_exceptions_quoted_by_asyncio_are_left_out(logged: io.StringIO) -> None:
    logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: ValueError('%s')", MARK)
    assert "never retrieved" in logged.getvalue()
    assert MARK not in logged.getvalue()


@pytest.fixture
def json_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[Any]]]:
    """The whole process logs as JSON while the test runs; gives the lines."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    for where, name in ((traceback, "print_exc"), (sys, "excepthook"), (threading, "excepthook")):
        monkeypatch.setattr(where, name, getattr(where, name))
    set_up_logging({"LOG_FORMAT": "json"})
    (handler,) = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    written = io.StringIO()
    handler.setStream(written)
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


def test_json_lines_can_be_read_by_programs(json_log: Callable[[], list[Any]]) -> None:
    log_event("abc", Halted("failed", MARK, "OutOfMemory"))
    try:
        json.loads(MARK)
    except ValueError:
        logging.getLogger("parley").exception("run %s\nbroke", "abc")
    first, second = json_log()
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "warning",
        "logger": "parley.negotiations",
        "message": "negotiation abc was halted: failed OutOfMemory",
        "event": "halted",
        "run": "abc",
        "status": "failed",
        "error": "OutOfMemory",
    }
    assert second["error"] == "JSONDecodeError"
    assert "test_logs.py" in second["stack"]
    assert MARK not in second["stack"]


def test_output_of_libraries_is_logged_like_everything_else(
    json_log: Callable[[], list[Any]],
) -> None:
    uvicorn.Config(lambda: None)  # brings handlers of its own
    one_log()
    try:
        json.loads(MARK)
    except ValueError:
        traceback.print_exc()  # as Gradio does
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
        traceback.print_exc(file=io.StringIO())
    thread = threading.Thread(target=json.loads, args=(MARK,))
    thread.start()
    thread.join()
    printed = json_log()
    assert [line["error"] for line in printed] == ["JSONDecodeError"] * 3
    assert MARK not in str(printed)


def test_an_unknown_format_is_an_error() -> None:
    with pytest.raises(ConfigError, match="LOG_FORMAT: 'xml' is not a format; use one of text, json"):
        set_up_logging({"LOG_FORMAT": "xml"})
