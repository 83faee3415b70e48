"""`parley check-server`: one page about what a server can do, and what follows from it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from manager.backends.remote import pacing
from negotiation.cli.main import main
from tests.support.remote_dialects import delta
from tests.support.remote_server import Behaviour, Call, FaultyServer, answers, refuses


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyServer]:
    monkeypatch.setattr(pacing, "FIRST_PAUSE", 0.002)
    made = FaultyServer()
    yield made
    made.close()


def able(call: Call) -> None:
    """A server that can do everything."""
    answers('{"colour": "teal"}' if "response_format" in call.body else "yes, of course")(call)


def poor(call: Call) -> None:
    """A server that thinks, limits replies, and knows neither schemas nor seeds nor usage."""
    if call.body.get("response_format", {}).get("type") == "json_schema":
        call.refuse(400, "response_format: json_schema is not supported")
    elif "seed" in call.body:
        call.refuse(400, "unknown field seed")
    elif call.body["max_tokens"] > 4096:
        call.refuse(400, "max_tokens must be in the range [1, 4096]")
    else:
        text = '{"colour": "blue"}' if "response_format" in call.body else f"No {call.body['messages']}"
        call.start().event(delta(reasoning_content="Hm.")).say(text).end(usage=None)


def found(server: FaultyServer, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, str]:
    assert main(["check-server", server.base_url, "org/m", "--json", "-", *options]) == 0
    report = json.loads(capsys.readouterr().out)
    return {finding["topic"]: f"{finding['found']} → {finding['consequence']}" for finding in report["findings"]}


def test_a_server_that_can_do_everything(server: FaultyServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.behaviours = [able]
    topics = found(server, capsys)
    assert list(topics) == ["streaming", "usage", "schema", "JSON mode", "seed", "reasoning", "limit", "settings"]
    for topic, words in {
        "streaming": "pieces in",
        "usage": "7 tokens in the prompt, 3 in the reply",
        "schema": "enforced, with anyOf at the root → the server writes only replies of the right form",
        "JSON mode": "works → not needed",
        "seed": "all replies were the same",
        "reasoning": "does not think",
        "limit": "none up to 32,000",
        "settings": "all are accepted",
    }.items():
        assert words in topics[topic], topic


def test_a_server_that_can_do_little(server: FaultyServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.behaviours = [poor]
    topics = found(server, capsys)
    for topic, words in {
        "streaming": "one piece",
        "usage": "not reported → tokens and cost are estimates",
        "schema": "refused → replies are checked",
        "JSON mode": "works → used, because schemas are refused",
        "seed": "refused",
        "reasoning": "thinks before it replies, even when asked not to",
        "limit": "4,096 tokens",
        "settings": "refused: seed",
    }.items():
        assert words in topics[topic], topic


def by_seed(call: Call) -> None:
    answers(f"The number {call.body['seed']}.")(call)


def hushed(call: Call) -> None:
    """A server that thinks unless it is asked not to."""
    thought = [] if call.body.get("reasoning_effort") == "none" else [delta(reasoning_content="Hm. ")]
    call.start()
    for event in thought:
        call.event(event)
    call.say("Yes.").end()


@pytest.mark.parametrize(
    ("behaviour", "topic", "words"),
    [
        (by_seed, "seed", "two replies with one seed were the same → runs may repeat"),
        (hushed, "reasoning", "stops when asked to → it is asked not to think"),
        (answers("Sure! The sky is blue."), "schema", "accepted but not enforced: the reply was not JSON"),
        (answers('{"colour": "blue"}'), "schema", "accepted but not enforced: the reply was other JSON"),
        (answers("Yes", (7, 16), "length"), "limit", "cut off after 16 tokens → longer replies are invalid"),
    ],
)
def test_what_a_server_does_and_what_follows(
    server: FaultyServer, capsys: pytest.CaptureFixture[str], behaviour: Behaviour, topic: str, words: str
) -> None:
    server.behaviours = [behaviour]
    assert words in found(server, capsys)[topic]


def test_the_page_and_the_key(
    server: FaultyServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_KEY", "sk-Very-Secret")
    server.behaviours = [able]
    assert main(["check-server", server.base_url, "org/m", "--api-key", "THE_KEY"]) == 0
    page = capsys.readouterr()
    assert page.out.startswith(f"{server.base_url}  org/m\nstreaming  ")
    assert len(page.out.splitlines()) < 25, "one page"
    assert server.calls[0].headers["Authorization"] == "Bearer sk-Very-Secret"
    assert "Very-Secret" not in page.out + page.err


def test_a_server_that_does_not_answer_is_an_error(server: FaultyServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.behaviours = [refuses(401)]
    assert main(["check-server", server.base_url, "org/m"]) == 1
    assert "refuses access" in capsys.readouterr().err
    assert main(["check-server", "ftp://x", "m"]) == 1
    assert "base_url" in capsys.readouterr().err
