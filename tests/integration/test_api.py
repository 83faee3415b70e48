"""The API for programs, over HTTP, as docs/api.md describes it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from negotiation.agents.options import ModelOptions
from negotiation.game.agent import Decision
from negotiation.game.protocol import Action
from negotiation.gym import SeatEnvironment
from negotiation.scenario.model import load_scenario
from negotiation.scenario.source import SHIPPED
from tests.support.forking import ForkedServer
from tests.support.server import Server

DOCS = Path(__file__).resolve().parents[2] / "docs" / "api.md"
MODELS = "slow: {type: fake, label: Slow, tokens_per_second: 100}\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("api")
    configs = folder / "configs"
    configs.mkdir()
    (configs / "models.yaml").write_text(MODELS)
    server = ForkedServer(folder / "home", configs).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def client(server: Server) -> Client:
    return Client(server.url, verbose=False)


def test_nothing_but_the_documented_functions_is_public(client: Client) -> None:
    endpoints = client.view_api(return_format="dict", print_info=False)
    assert set(endpoints["named_endpoints"]) == {"/models", "/scenarios", "/negotiate", "/move", "/run"}
    assert not endpoints["unnamed_endpoints"]
    documented = set(re.findall(r"^\| `(/\w+)`", DOCS.read_text(), re.MULTILINE))
    assert documented == set(endpoints["named_endpoints"])


def test_the_documented_example_works(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    run_example(server, 0)
    printed = capsys.readouterr().out
    assert "'slow'" in printed
    assert "ended {'price': " in printed
    assert "\ndone " in printed


def run_example(server: Server, number: int) -> None:
    code = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)[number]
    exec(compile(code.replace("http://127.0.0.1:7860", server.url), str(DOCS), "exec"), {})


def test_a_program_takes_a_seat_as_documented(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    run_example(server, 1)
    agreed = re.search(r"ended \{'price': (\d+)\}", capsys.readouterr().out)
    assert agreed is not None
    assert int(agreed[1]) >= 16_500  # what no deal is worth to the seller


def test_any_program_can_play_over_plain_http_and_is_told_what_its_seat_knows(server: Server) -> None:
    address = f"{server.url}/gradio_api/call/v2"
    scenario = load_scenario(SHIPPED / "scenarios" / "company_car.yaml")
    gym = SeatEnvironment(ModelOptions(guard="free"))
    seen = gym.reset(scenario, "b", "linear")
    asked = 0

    def started(function: str, **arguments: object) -> str:
        told: Any = {"content": json.dumps(arguments), "headers": {"Content-Type": "application/json"}}
        event_id = httpx.post(f"{address}/{function}", **told).json()["event_id"]
        return f"{address}/{function}/{event_id}"

    stream = started("negotiate", scenario="company_car", agent_a="linear", agent_b="program")
    with httpx.stream("GET", stream, timeout=60) as lines:
        for line in lines.iter_lines():
            if not line.startswith("data:"):
                continue
            (event,) = json.loads(line.removeprefix("data:"))
            if event["event"] == "asked":
                assert seen is not None
                state = seen.view.state
                assert event["messages"] == list(seen.added)
                assert event["role"] == json.loads(scenario.roles["b"].model_dump_json())
                assert (event["state"]["table"], event["state"]["round"]) == (state.table, state.round)
                assert event["state"]["legal"] == list(state.legal)
                asked += 1
                action, offer = ("walk_away", None) if asked == 3 else ("offer", {"price": 14_000 + 250 * asked})
                move = {"run_id": event["run_id"], "key": event["key"], "action": action, "offer": offer}
                odd = httpx.get(started("move", **move | {"key": "\ud800"}), timeout=60).text
                assert "key" in odd
                assert "codec" not in odd, "not the text of an exception"
                assert "event: complete" in httpx.get(started("move", **move), timeout=60).text
                seen = gym.step(Decision(Action(action), offer)).observation
    assert (asked, event["event"], event["ending"]) == (3, "ended", "walked_away")


def test_only_who_has_the_key_moves_and_a_wrong_move_can_be_made_again(client: Client) -> None:
    job = client.submit("company_car", "program", "linear", 1, api_name="/negotiate")
    refused = 0
    for event in job:
        if event["event"] != "asked":
            continue
        move = {"run_id": event["run_id"], "api_name": "/move"}
        guesses = [{"key": key, "action": "walk_away"} for key in ("guess", "gu\u00eass")]
        for wrong in (*guesses, {"key": event["key"], "action": "shout"}):
            with pytest.raises(AppError, match=r"key|must be one of"):
                client.predict(**move, **wrong)
            refused += 1
        client.predict(**move, key=event["key"], action="walk_away")
    assert refused == 3
    assert event["event"] == "ended"
    assert event["ending"] == "walked_away"


def test_a_model_is_heard_while_it_writes(client: Client) -> None:
    events = list(client.submit("company_car", "slow", "boulware", 3, {"temperature": 0.1}, api_name="/negotiate"))
    kinds = [event["event"] for event in events]
    assert kinds[0] == "started"
    assert kinds.index("writing") < kinds.index("turn_taken")
    assert kinds[-1] == "ended"
    run = client.predict(events[0]["run_id"], api_name="/run")
    assert run["agents"]["a"]["options"]["temperature"] == 0.1
    assert "owner" not in run


def test_a_scenario_of_ones_own_is_given_as_text(client: Client) -> None:
    own = (DOCS.parents[1] / "configs" / "scenarios" / "company_car.yaml").read_text()
    events = list(client.submit(own, "linear", "linear", 1, api_name="/negotiate"))
    assert events[-1]["event"] == "ended"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("atlantis", "linear", "linear"), "Unknown scenario 'atlantis'"),
        (("company_car", "nobody", "linear"), "'nobody' is neither a model nor a strategy"),
        (("company_car", "human", "linear"), "people play on the page"),
        (("company_car", "slow", "linear", 1, {"temprature": 1}), "temprature"),
        (("title: broken\nissues: {}", "linear", "linear"), "Your scenario"),
    ],
)
def test_what_is_wrong_is_told(client: Client, arguments: tuple[object, ...], told: str) -> None:
    with pytest.raises(AppError, match=re.escape(told)):
        client.submit(*arguments, api_name="/negotiate").result()


def test_an_unknown_run_is_told(client: Client) -> None:
    with pytest.raises(AppError, match="No negotiation was found at this link"):
        client.predict("nothing", api_name="/run")
