"""What programs read about the public functions: in /gradio_api/info, where agents.md sends them, and as MCP tools."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Mapping
from typing import Any
from unittest.mock import MagicMock

import gradio as gr
import pytest
from gradio.utils import get_function_description

from ui.api import build_api

FUNCTIONS = {"models", "scenarios", "negotiate", "move", "run"}


@pytest.fixture(scope="module")
def page() -> gr.Blocks:
    async def build() -> gr.Blocks:
        with gr.Blocks() as blocks:
            build_api(MagicMock())
        return blocks

    return asyncio.run(build())  # without a running loop, Gradio opens one and leaves it open


@pytest.fixture(scope="module")
def listed(page: gr.Blocks) -> Mapping[str, Any]:
    found: dict[str, Any] = page.get_api_info()["named_endpoints"]
    return {name.removeprefix("/"): about for name, about in found.items()}


@pytest.fixture(scope="module")
def functions(page: gr.Blocks) -> Mapping[str, Any]:
    return {one.api_name: one.fn for one in page.fns.values() if one.api_visibility == "public"}


def test_every_public_function_is_listed(listed: Mapping[str, Any], functions: Mapping[str, Any]) -> None:
    assert listed.keys() == functions.keys() == FUNCTIONS


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_the_description_alone_says_how_to_call_a_function_and_what_comes_back(
    listed: Mapping[str, Any], name: str
) -> None:
    """Gradio lists neither the descriptions of parameters nor those of results."""
    words = listed[name]["description"]
    assert words.endswith(".")
    assert "Args" not in words
    untold = [one["parameter_name"] for one in listed[name]["parameters"] if one["parameter_name"] not in words]
    assert not untold
    assert re.search(r"The result is|Each event is", words)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_parameter_is_described_in_one_line(
    listed: Mapping[str, Any], functions: Mapping[str, Any], name: str
) -> None:
    """Gradio passes only the first line on to MCP."""
    _, parameters, returns = get_function_description(functions[name])
    for one in listed[name]["parameters"]:
        assert parameters[one["parameter_name"]].endswith("."), one["parameter_name"]
    assert returns
    section = inspect.getdoc(functions[name]).partition("Args:\n")[2].partition("\n\n")[0]  # type: ignore[union-attr]
    assert len(section.splitlines()) == len(listed[name]["parameters"])
