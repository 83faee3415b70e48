"""The conversation of one turn of a model: what was said before, what is added, and corrections of invalid replies."""

from __future__ import annotations

from manager.generation.request import Completion, Held, Message
from manager.identity import ServerReport
from negotiation.agents import prompts
from negotiation.agents.options import ModelOptions
from negotiation.agents.purse import Bill
from negotiation.game.agent import Decision, View
from negotiation.game.events import InvalidReply


class Conversation:
    """The conversation of one turn, with its corrections and its cost."""

    def __init__(self, view: View, options: ModelOptions, plan: Decision | None) -> None:
        self.added = prompts.new_messages(view, options, plan)
        self.attempt = self.tokens = self.prompt_tokens = 0
        self.bills: list[Bill] = []  # of all its requests
        self.held: Held | None = None
        self.server: ServerReport | None = None
        self._view, self._options = view, options
        self._before = prompts.conversation(view, options)
        self._corrections: tuple[Message, ...] = ()

    @property
    def messages(self) -> tuple[Message, ...]:
        """The whole conversation."""
        return (*self._before, *self.added, *self._corrections)

    def correct(self, invalid: InvalidReply) -> None:
        """Add an invalid reply and its fault, for the rest of this turn only."""
        self._corrections += prompts.correction(invalid, self._options)

    def shorten(self) -> bool:
        """Drop the oldest messages, or the corrections last; return False if nothing can be dropped."""
        shorter = prompts.shortened(self._view, self._options, (*self._before, *self.added))
        if shorter is not None:
            self._before, self.added = (), shorter
        elif self._corrections:
            self._corrections = ()
        else:
            return False
        self.attempt += 1
        return True

    def count(self, done: Completion) -> None:
        """Add the tokens of a reply."""
        self.tokens += done.tokens
        self.prompt_tokens += done.prompt_tokens
        self.held = done.held
        self.server = done.server
