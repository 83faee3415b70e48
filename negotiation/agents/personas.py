"""The characters that scripted strategies speak as: what each says about a move, without ever repeating itself.

A character's lines are data, one file per strategy in the folder `lines`: templates (phrases.py) by what the move
amounts to (moves.py) and, where they answer something, by what was heard. Their slots are facts of the move, so a line
names no value that is not in the offer. The words have a random generator of their own, and no influence on any move.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from manager.config.strict_yaml import read_yaml, validate
from negotiation.agents.moves import Heard, Moment, MoveKind, moment
from negotiation.agents.phrases import Draft, Template, freshest
from negotiation.game.agent import View
from negotiation.game.protocol import Action
from negotiation.scenario.model import Offer

LINES = Path(__file__).with_name("lines")
DRAFTS, TRIES = 4, 4
"""How many drafts a message is chosen from, and how often to draft again while every draft repeats a sentence."""


def _template(text: str) -> str:
    Template.parse(text)
    return text


def _by_heard(given: Any) -> Any:
    return {"any": given} if isinstance(given, list) else given


Line = Annotated[str, Field(min_length=1), AfterValidator(_template)]
Lines = Annotated[dict[Heard | Literal["any"], tuple[Line, ...]], BeforeValidator(_by_heard)]
"""Lines by what they answer, or a list of lines that fit anything."""


class Persona(BaseModel):
    """What a character says, by the kind of move.

    `late` is for runs so long that every line has been used: it names the role and the round, and so never repeats.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    late: dict[Action, Line]
    lines: dict[MoveKind, Lines]

    @model_validator(mode="after")
    def _complete(self) -> Persona:
        missing = [*(set(Action) - set(self.late)), *(set(MoveKind) - set(self.lines))]
        if missing:
            raise ValueError(f"'{sorted(missing)[0]}' is missing")
        return self

    @cached_property
    def _templates(self) -> dict[tuple[MoveKind, str], list[Template]]:
        return {
            (kind, heard): [Template.parse(line) for line in lines]
            for kind, by_heard in self.lines.items()
            for heard, lines in by_heard.items()
        }

    def say(self, now: Moment, chance: random.Random, said: Sequence[str] = ()) -> str:
        """Return what the character says about a move.

        Args:
            chance: Decides the choice of words.
            said: All messages so far, of both sides. None of their sentences is repeated.
        """
        fitting = [*self._templates[now.kind, "any"], *self._templates.get((now.kind, now.heard), ())]
        for _ in range(TRIES):
            drafts = [_draft(fitting, now.facts(chance), chance) for _ in range(DRAFTS)]
            if (found := freshest(drafts, said)) is not None:
                return found
            fitting = [line for line in fitting if line.varies] or fitting  # the others are used up first
        return Template.parse(self.late[now.action]).fill(now.facts(chance), chance).text


def _draft(lines: Sequence[Template], facts: Mapping[str, str], chance: random.Random) -> Draft:
    """Fill one of the lines that need no other facts than these."""
    fitting = [line for line in lines if line.slots <= facts.keys()]
    return fitting[int(chance.random() * len(fitting))].fill(facts, chance)


@cache
def persona(strategy: str) -> Persona:
    """Return the character of a strategy; raises ConfigError if its file is wrong."""
    path = LINES / f"{strategy}.yaml"
    return validate(Persona, read_yaml(path), str(path))


def spoken(strategy: str, view: View, action: Action, offer: Offer | None = None) -> str:
    """Return what a strategy says about its move in a view: the same for the same run so far and seed.

    The last message is part of the seed, so that two lanes with the same strategy, seat and seed differ in words.
    """
    said = [turn.message for turn in view.public]
    chance = random.Random(f"{view.turn_seed()} {said[-1] if said else ''}")
    return persona(strategy).say(moment(view, action, offer), chance, said)
