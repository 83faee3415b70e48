"""A reply in which one JSON object is expected, as it is written without a grammar, by a local model or a server.

Its thinking is dropped, or put into one <think> block. `ReplyFilter.over` is set when the text can no longer
become a reply, so that the rest need not be written.
"""

from __future__ import annotations

from collections.abc import Iterable

from manager.generation.thinking import Reasoning, Separator, Text

MOST_PROSE = 200
"""Characters of prose before the JSON object after which a reply is cut off: enough to recognise it as prose."""
MOST_SPACE = 400
"""Characters of white space in a row after which a reply is cut off: in JSON mode, some models write it for ever."""
THINK, THOUGHT = "<think>", "</think>"
"""Marks around the thinking of a reasoning model before its reply."""


def all_thinking(tokens: str, instead: str) -> str:
    """Return the note on a reply whose tokens all went into thinking, with what to do `instead` of more room."""
    return (
        f"All {tokens} tokens went into thinking and none into the reply; raise the agent's option 'thinking', or "
        f"{instead}."
    )


class ReplyFilter:
    """Takes text as it is written, and returns what to pass on.

    Args:
        expects_json: Whether the reply is one JSON object. If not, it is passed on whatever it is.
        thinking: Whether thinking is passed on.
    """

    def __init__(self, *, expects_json: bool, thinking: bool) -> None:
        self.thought = ""
        self.text = ""  # without its thinking
        self.cut = ""  # why it can no longer become a reply, as a sentence
        self._expects_json = expects_json
        self._thinking = thinking
        self._block = False  # whether a block of thinking is open
        self._separator = Separator(expects_json)

    def feed(self, text: str) -> str:
        """Add text as it was written."""
        return self._spread(self._separator.feed(text))

    def think(self, text: str) -> str:
        """Add text that is known to be thinking."""
        self.thought += text
        if not self._thinking:
            return ""
        opened, self._block = self._block, True
        return text if opened else THINK + text

    def say(self, text: str) -> str:
        """Add text that is known to belong to the reply."""
        self.text += text
        return self.close() + text

    def end(self) -> str:
        """Return what was held back, now that nothing more is written."""
        return self._spread(self._separator.end())

    def close(self) -> str:
        """Return the mark that closes the thinking, if it is still open."""
        opened, self._block = self._block, False
        return THOUGHT if opened else ""

    @property
    def only_thinking(self) -> bool:
        """Whether it was all thinking."""
        return bool(self.thought) and not self.text.strip()

    @property
    def over(self) -> bool:
        """Whether nothing that follows can belong to the reply. `cut` says why, unless the model ended its turn."""
        if not self._expects_json:
            return False
        held = self._separator.held
        if self._separator.trailing:
            self.cut = "The reply went on after its JSON object, and was cut off."
        elif len(held.strip()) > MOST_PROSE and not self._thinking:
            begun = "began with a code fence" if held.lstrip().startswith("```") else "did not begin with a JSON object"
            self.cut = f"The reply {begun}, and was cut off."
        elif len(self.text) - len(self.text.rstrip()) > MOST_SPACE:
            self.cut = "The reply was cut off after a long run of white space."
        return self._separator.ended or bool(self.cut)

    def _spread(self, found: Iterable[Text | Reasoning]) -> str:
        written = (self.think(part.text) if isinstance(part, Reasoning) else self.say(part.text) for part in found)
        return "".join(written)
