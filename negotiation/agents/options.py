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

    None stands for the strategy's own way.

    - `gives_in`: whether it accepts anything above its floor in its last turn.
    - `exponent`: how early it gives in, for strategies that follow the clock (below 1: late, above 1: early).
    - `margin`: how far its floor lies above its reservation value, as a share of the way to its best outcome.
    - `hidden`: whether the exponent and the margin, unless given, are drawn anew for each negotiation.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    gives_in: bool | None = None
    exponent: Annotated[float, Field(ge=0.01, le=100)] | None = None
    margin: Annotated[float, Field(ge=0, lt=1)] | None = None
    hidden: bool = False


class HumanOptions(BaseModel):
    """How a person plays. `answer_seconds` is the time limit for each turn."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    answer_seconds: Annotated[float, Field(gt=0, le=86_400)] = 600.0
