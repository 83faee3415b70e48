"""What the model under training learns to say about a move, and what opponents say to press it.

The sentences come from templates (lines.yaml) whose slots are facts of the move, as those of the scripted characters
do. A message names no value but those of its offer, and repeats no sentence of the negotiation.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from manager.config.strict_yaml import read_yaml
from negotiation.agents.moves import Moment, MoveKind, moment
from negotiation.agents.phrases import Template, freshest
from negotiation.game.agent import View
from negotiation.game.protocol import Action
from negotiation.replies.named_values import contradictions
from negotiation.replies.narration import MAX_MESSAGE
from negotiation.replies.vocabulary import Vocabulary
from negotiation.scenario.model import Offer

LINES = Path(__file__).with_name("lines.yaml")
DRAFTS, TRIES = 4, 60
GROUPED = re.compile(r"(?<=\d),(?=\d{3})")
"""Separators of thousands. A small model that must insert them into the figures of its offer often gets them wrong."""


def spoken(view: View, action: Action, offer: Offer | None, *, pressed: bool, vocabulary: Vocabulary) -> str:
    """Return a new message about a move; raise ValueError if every draft repeats or contradicts something.

    Args:
        pressed: Whether the other side tried to press it instead of arguing.
        vocabulary: The words of the scenario.
    """
    chance = random.Random(f"voice {view.turn_seed()}")
    now = moment(view, action, offer)
    said = [turn.message for turn in view.public]
    texts = _lines()["pressed"] if pressed and action is Action.OFFER else _lines()[now.kind]
    for _ in range(TRIES):
        drafts = []
        for _ in range(DRAFTS):
            facts = {**now.facts(chance), **_wish(now)}
            fitting = [text for text in texts if text.slots <= facts.keys()]
            drafts.append(chance.choice(fitting).fill(facts, chance))
        text = freshest(drafts, said)
        if text is not None and len(text) <= MAX_MESSAGE:
            text = GROUPED.sub("", text[:1].upper() + text[1:])
            if not contradictions(vocabulary, view.seat, text, now.offer):
                return text
    raise ValueError("no new message was found")


def pressure(you: str, chance: random.Random, said: Sequence[str]) -> str:
    """Return a message that tries to make the role `you` accept, or reveal what is private."""
    drafts = [chance.choice(_lines()["pressure"]).fill({"you": you}, chance) for _ in range(2 * DRAFTS)]
    return freshest(drafts, said) or drafts[0].text


def _wish(now: Moment) -> Mapping[str, str]:
    """Return the title of the weightiest issue on which the offer asks for much and does not give way."""
    names = list(now.scenario.issues)
    kept = [(term.weight, name) for name, term in zip(names, now.terms, strict=False) if term.value >= 0.5]
    kept = [(weight, name) for weight, name in kept if now.terms[names.index(name)].change >= 0]
    if not kept or len(names) == 1:
        return {}
    name = max(kept)[1]
    return {"wish": now.scenario.issues[name].title or name}


@cache
def _lines() -> Mapping[str, list[Template]]:
    data = read_yaml(LINES)
    others = {"pressed": data["pressed"], "pressure": data["pressure"]}
    lines = {**data["lines"], MoveKind.LARGE: data["lines"][MoveKind.SMALL], **others}
    if missing := {*MoveKind} - lines.keys() - {MoveKind.TOO_LATE}:
        raise ValueError(f"{LINES}: '{min(missing)}' is missing")
    return {kind: [Template.parse(" ".join(text.split())) for text in texts] for kind, texts in lines.items()}
