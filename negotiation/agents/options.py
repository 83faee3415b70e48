"""Options of agents. Runs record all of them, so that a run can be reproduced."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from negotiation.agents.strategies import STRATEGIES

Guard = Literal["free", "legal", "rational"]


def _plain(text: str) -> str:
    text = text.strip()
    if any(unicodedata.category(character) == "Cc" and character != "\n" for character in text):
        raise ValueError("control characters are not allowed; write plain text")
    return text


def _strategy(name: str) -> str:
    if name and name not in STRATEGIES:
        raise ValueError(f"unknown strategy '{name[:60]}'; choose from: {', '.join(STRATEGIES)}")
    return name


Words = Annotated[str, Field(max_length=500), AfterValidator(_plain)]


class ModelOptions(BaseModel):
    """How a model plays.

    - `guard`: the constraint on its replies during generation. `free`: none, replies are only read strictly; `legal`:
      what the protocol allows; `rational`: also nothing worse than its own reservation value.
    - `retries`: how often it is asked again after an invalid reply.
    - `retry`: whether the retry explains the fault (`specific`) or repeats the question (`blind`).
    - `narrates`: a scripted strategy that decides, while the model only writes the messages.
    - `persona`, `hint`, `language`: its manner, its strategy in words, and the language that it writes.
    - `calculator`: whether prompts state what the offer on the table and its own last offers are worth to it.
    - `temperature`: the sampling temperature; None for the model's own setting.
    - `thinking`: the number of characters it may think in a <think> block before it replies; for reasoning models.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    guard: Guard = "legal"
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    retry: Literal["specific", "blind"] = "specific"
    narrates: Annotated[str, AfterValidator(_strategy)] = ""
    persona: Words = ""
    hint: Words = ""
    language: Annotated[Words, Field(max_length=60)] = ""
    calculator: bool = True
    temperature: Annotated[float, Field(ge=0, le=5)] | None = None
    thinking: Annotated[int, Field(ge=0, le=40_000)] = 0


class StrategyOptions(BaseModel):
    """How a script plays.

    `gives_in`: whether it accepts any acceptable offer in its last turn; None for the strategy's own way.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    gives_in: bool | None = None


class HumanOptions(BaseModel):
    """How a person plays. `answer_seconds` is the time limit for each turn."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    answer_seconds: Annotated[float, Field(gt=0, le=86_400)] = 600.0
