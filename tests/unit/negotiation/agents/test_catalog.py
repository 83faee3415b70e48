"""Who can play: names and options from a form, a file, the command line or a store become agents, or a clear error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from manager.errors import ConfigError
from manager.manager import LLMManager
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.agents.human import HumanAgent
from negotiation.agents.model import ModelAgent
from negotiation.agents.options import ModelOptions
from negotiation.agents.strategies import STRATEGIES
from negotiation.errors import UnknownAgent


@pytest.fixture
def catalog(managers: Callable[..., LLMManager]) -> Catalog:
    return Catalog(managers({"model": {}}))


def test_a_plain_id_is_enough(catalog: Catalog) -> None:
    agent = catalog.create(AgentConfig("model"))
    assert isinstance(agent, ModelAgent)
    assert (agent.name, agent.options) == ("model", ModelOptions())
    assert catalog.create(AgentConfig("micro")) is STRATEGIES["micro"]
    assert isinstance(catalog.create(AgentConfig("human")), HumanAgent)


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({"guard": "rational"}, ModelOptions(guard="rational")),
        ({"retries": "0", "retry": "blind"}, ModelOptions(retries=0, retry="blind")),
        ({"calculator": "false", "thinking": 800}, ModelOptions(calculator=False, thinking=800)),
        ({"narrates": "tit_for_tat", "language": " French "}, ModelOptions(narrates="tit_for_tat", language="French")),
        ({"persona": "Gruff.\nFair.", "hint": "x" * 500}, ModelOptions(persona="Gruff.\nFair.", hint="x" * 500)),
    ],
)
def test_options_are_read(catalog: Catalog, given: dict[str, Any], options: ModelOptions) -> None:
    agent = catalog.create(AgentConfig("model", given))
    assert isinstance(agent, ModelAgent)
    assert agent.options == options


@pytest.mark.parametrize(
    ("agent", "options", "says"),
    [
        ("model", {"guard": "strict"}, "agent 'model': key 'guard'"),
        ("model", {"retries": "11"}, "key 'retries'"),
        ("model", {"retries": "-1"}, "key 'retries'"),
        ("model", {"narrates": "genius"}, "unknown strategy 'genius'; choose from: boulware, linear"),
        ("model", {"persona": "x" * 501}, "key 'persona'"),
        ("model", {"hint": "a\x1b[0m"}, "control characters"),
        ("model", {"thinking": "-1"}, "key 'thinking'"),
        ("model", {"guardrail": "free"}, "unknown key (known: guard, retries"),
        (
            "boulware",
            {"guard": "free"},
            "agent 'boulware': key 'guard': unknown key (known: gives_in, ",
        ),
        ("micro", {"gives_in": "often"}, "agent 'micro': key 'gives_in'"),
        ("human", {"answer_seconds": "0"}, "key 'answer_seconds'"),
        ("human", {"answer_seconds": "nan"}, "key 'answer_seconds'"),
    ],
)
def test_a_wrong_option_is_named(catalog: Catalog, agent: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as error:
        catalog.create(AgentConfig(agent, options))
    assert says in str(error.value)


def test_an_unknown_agent_is_named(catalog: Catalog) -> None:
    with pytest.raises(UnknownAgent, match="'nobody' is neither a model nor a strategy"):
        catalog.create(AgentConfig("nobody"))


@pytest.mark.parametrize(
    ("name", "whose"), [("random", "a scripted strategy"), ("human", "a person"), ("program", "a program elsewhere")]
)
def test_a_model_may_not_take_another_agents_name(managers: Callable[..., LLMManager], name: str, whose: str) -> None:
    with pytest.raises(ConfigError, match=f"model '{name}' has the name of {whose}"):
        Catalog(managers({name: {}}))


def test_a_recorded_config_has_every_option(catalog: Catalog) -> None:
    recorded = catalog.complete(AgentConfig("model", {"guard": "rational", "retries": "3"}))
    assert recorded.options == ModelOptions(guard="rational", retries=3).model_dump()
    assert AgentConfig.from_json(recorded.to_json()) == recorded
    assert recorded.chosen == {"guard": "rational", "retries": 3}
    assert recorded.label == "model (guard=rational, retries=3)"
    assert catalog.complete(AgentConfig("linear")) == AgentConfig("linear")
    assert catalog.complete(AgentConfig("human")).options == {"answer_seconds": 600.0}
    assert catalog.complete(AgentConfig("model")).label == "model"


def test_from_plain_data() -> None:
    assert AgentConfig.from_json("model") == AgentConfig("model")
    assert AgentConfig.from_json({"agent": "model"}) == AgentConfig("model")
    assert AgentConfig.from_json({"agent": "model", "options": {"guard": "free"}}) == AgentConfig(
        "model", {"guard": "free"}
    )


@pytest.mark.parametrize(
    "data", [None, 3, [], {}, {"agent": 3}, {"agent": "x", "option": {}}, {"agent": "x", "options": [1]}]
)
def test_plain_data_that_is_no_agent_is_refused(data: Any) -> None:
    with pytest.raises(ConfigError, match=r"^tournament\.yaml: "):
        AgentConfig.from_json(data, "tournament.yaml")


def test_from_arguments() -> None:
    config = AgentConfig.from_arguments("model", ["guard=free", "persona=a=b, c"], "--a-option")
    assert config == AgentConfig("model", {"guard": "free", "persona": "a=b, c"})
    with pytest.raises(ConfigError, match="--a-option: 'guard' is not of the form KEY=VALUE"):
        AgentConfig.from_arguments("model", ["guard"], "--a-option")
    with pytest.raises(ConfigError, match="--a-option: key 'guard' is given twice"):
        AgentConfig.from_arguments("model", ["guard=free", "guard=legal"], "--a-option")


def test_people_are_not_in_the_list_of_who_plays_by_itself(catalog: Catalog) -> None:
    assert [choice.agent for choice in catalog.choices()] == ["model", *STRATEGIES]
    assert catalog.choices()[1].label == "The Hardhead — holds out, then gives in late (boulware)"
