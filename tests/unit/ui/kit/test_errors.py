"""Errors that visitors read: plain words, each problem on its own line, and nothing that is for programmers only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest

from manager import LLMManager
from manager.errors import ConfigError, LoadFailed, ParleyError, Unreachable
from negotiation.admission.limits import LimitReached, Limits
from negotiation.errors import ScenarioError, UnknownRun
from negotiation.scenario.model import scenario_from_text
from tests.support.page import NAME, PASSWORD, Served, served
from ui.kit import text
from ui.kit.errors import MOST_LINES, plain, plainly, words_of
from ui.server.operator import operators_of
from ui.widgets.scenario_picker import findings_html

JARGON = re.compile(
    r"Traceback|[a-z]Error\b|Exception|<class|\btype=|\bNone\b|\bTrue\b|Input should|not in the list of choices"
    r"|NoneType|object is not|unhashable|unexpected keyword"
)


def broken(written: str) -> ScenarioError:
    with pytest.raises(ScenarioError) as caught:
        scenario_from_text(written)
    return caught.value


def test_every_problem_of_a_scenario_is_on_its_own_line_after_its_key() -> None:
    words = words_of(broken("title: 1\nrounds: 0\nstory: x\nissues: {}\nroles: {}"))
    assert words.splitlines() == [
        "Your scenario has 3 problems:",
        "title: must be text, got '1'",
        "rounds: must be at least 1, got '0'",
        "issues: a scenario needs at least one issue",
    ]


def test_a_line_that_cannot_be_read_is_named() -> None:
    words = words_of(broken("title: x: y"))
    assert words.startswith("Your scenario has a problem:\nline 1, column 9: a colon has no place here")


def test_a_model_with_a_problem_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        LLMManager({"a/b": {"model_name": "a/b", "gguf_file": "../x"}})
    assert words_of(caught.value).startswith(
        "Model 'a/b' has a problem:\ngguf_file: write a path inside the repository"
    )


def test_a_long_list_of_problems_ends_with_a_count() -> None:
    lines = words_of(broken("\n".join(f"key{number}: 1" for number in range(9)))).splitlines()
    assert len(lines) == MOST_LINES + 2
    assert re.fullmatch(r"and \d+ more", lines[-1])


def test_the_problems_beside_the_editor_have_their_keys() -> None:
    shown = findings_html(Limits(), "title: 1\nrounds: 0\n")
    for key, words in (
        ("title", "must be text, got &#39;1&#39;"),
        ("rounds", "must be at least 1"),
        ("roles", "missing"),
    ):
        assert f"<li><code>{key}</code> {words}" in shown
    weights = "weights: {price: 0.7, lens: 0.25, case: 0.05}"
    assert weights  # a problem of the whole scenario names its place, too
    assert "<code>line 1, column 5</code> a colon has no place here" in findings_html(Limits(), "a: b: c")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("'a/b': OSError: We couldn't connect", f"'a/b': {text.INTERNAL}"),
        ("waking 'a/b': torch.cuda.OutOfMemoryError: CUDA\nout", f"waking 'a/b': {text.INTERNAL}"),
        ("KeyError: 'x'", text.INTERNAL),
        ("the request to https://x failed (ConnectError)", "the request to https://x failed"),
        ("x.gguf: not a GGUF file (ValueError: bad magic); fetch it again", "x.gguf: not a GGUF file; fetch it again"),
        ("an internal error (KeyError); the log has the details", "an internal error; the log has the details"),
        ("the server answered: rate limit", "the server answered: rate limit"),
        ("You wrote Terror: a novel", "You wrote Terror: a novel"),
    ],
)
def test_what_libraries_say_to_programmers_is_left_out(said: str, shown: str) -> None:
    assert plain(said) == shown


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (UnknownRun("no run 'x'"), text.UNKNOWN_RUN),
        (LimitReached("the message is too long; shorten it"), "The message is too long; shorten it"),
        (LoadFailed("'m': RuntimeError: x"), f"'m': {text.INTERNAL}"),
        (Unreachable("the Hub did not answer"), "the Hub did not answer"),
        (ConfigError("this form: seeds must be numbers"), "this form: seeds must be numbers"),
    ],
)
def test_expected_errors_become_messages(error: ParleyError, words: str) -> None:
    assert words_of(error) == words
    with pytest.raises(gr.Error) as caught, plainly():
        raise error
    assert caught.value.message == words


# -- everything that a page can send -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("page")) as page:
        yield page


@pytest.mark.parametrize("wrong", ["nonsense", ["nonsense"], {"a": 1}, None], ids=str)
def test_no_answer_to_a_mistaken_request_shows_a_python_type_or_an_exceptions_text(page: Served, wrong: Any) -> None:
    operators_of(page.parley).sign_in(NAME, "", PASSWORD)  # the operator's actions answer, too
    for endpoint in page.endpoints:
        if not endpoint["backend_fn"] or endpoint["api_name"] in ("negotiate", "_follow_pairs"):
            continue
        answer = page.post(endpoint, [wrong] * len(endpoint["inputs"]), event={"action": wrong, "offer": wrong})
        if answer.is_error:
            said = answer.json().get("error") or answer.json().get("detail") or ""
            assert not JARGON.search(str(said)), f"{endpoint['api_name']}: {said}"


def test_a_choice_that_is_gone_is_refused_in_plain_words(page: Served) -> None:
    endpoint = page.clicked("arena-start")
    data = [page.components[part]["props"].get("value") for part in endpoint["inputs"]]
    place = next(
        number
        for number, part in enumerate(endpoint["inputs"])
        if page.components[part]["props"].get("elem_id") == "lane-1-agent-a"
    )
    data[place] = "a model that was removed"
    answer = page.post(endpoint, data, visitor=NAME)
    assert answer.json()["error"] == text.NO_CHOICE.format(value="a model that was removed")
