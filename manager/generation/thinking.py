"""Separate a model's thinking from its reply: think blocks, the channels of gpt-oss, and marks around the reply itself.

Servers without a reasoning parser send all of them as text, and local models write them. The marks may be split over
pieces in any way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

THINKING_MARKS = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "<seed:think>": "</seed:think>",
    "<mm:think>": "</mm:think>",
    "[THINK]": "[/THINK]",
    "◁think▷": "◁/think▷",
    "<|START_THINKING|>": "<|END_THINKING|>",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "<|channel>thought": "<channel|>",
}
"""Marks around thinking, as chat templates and models of many families write them."""
REPLY_MARKS = {
    "<answer>": "</answer>",
    "<response>": "</response>",
    "<|START_RESPONSE|>": "<|END_RESPONSE|>",
    "<|begin_of_box|>": "<|end_of_box|>",
    "<|begin_of_solution|>": "<|end_of_solution|>",
}
"""Marks that some families write around the reply."""
_BARE, _BARE_FINAL = "analysis", "assistantfinal"
"""What is left of the channels of gpt-oss where a server removed their marks."""
_CLOSING = (*THINKING_MARKS.values(), _BARE_FINAL)
_CHANNEL, _START, _MESSAGE = "<|channel|>", "<|start|>", "<|message|>"
_ENDS = ("<|end|>", "<|return|>", "<|call|>", _START)
_HEADERS = (
    "<|start_header_id|>assistant<|end_header_id|>",
    "<|im_start|>assistant",
    "<start_of_turn>model",
    "<|assistant|>",
    "<bos>",
    "<s>",
)
"""Control tokens before a reply, which servers send as text if the model repeats the end of its prompt."""
_TURN_ENDS = (
    *("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|endoftext|>", "<|end_of_text|>", "<end_of_turn>", "<|end|>", "</s>"),
    *(
        "<eos>",
        "<end_of_utterance>",
        "<|END_OF_TURN_TOKEN|>",
        "<｜end▁of▁sentence｜>",
        "<|im_assistant|>",
        "<|return|>",
    ),
)
"""End tokens that servers with a wrong end token send as text, often followed by the next speaker's lines."""
_OPENING = (*THINKING_MARKS, *REPLY_MARKS, *_HEADERS, _CHANNEL, _START)
SPECIAL_MARKS = frozenset({*_OPENING, *THINKING_MARKS.values(), *REPLY_MARKS.values(), _MESSAGE, *_ENDS})
"""All marks, which are special tokens in some vocabularies."""
_LONGEST_HEADER = 200


@dataclass(frozen=True)
class Text:
    """A piece of the reply."""

    text: str


@dataclass(frozen=True)
class Reasoning:
    """A piece of the thinking before the reply."""

    text: str


State = Callable[[], Iterator[Text | Reasoning]]


class Separator:
    """Separates the pieces of one reply.

    Where JSON is expected, text that begins otherwise is held back: it may be thinking whose opening mark was part of
    the prompt, which only the closing mark shows.
    """

    def __init__(self, expects_json: bool) -> None:
        self._expects_json = expects_json
        self._opening = _OPENING if expects_json else (*THINKING_MARKS, _CHANNEL, _START)
        self._rest = ""  # not yet known to be either
        self._closing: tuple[str, ...] = ()
        self._first = True
        self._object = _Object()
        self.trailing = False
        """Whether more than white space follows the JSON object."""
        self.ended = False
        """Whether the model ended its turn, so that nothing more belongs to the reply."""
        self._read: State = self._begin

    @property
    def held(self) -> str:
        """The text that is held back since it does not begin like JSON."""
        prose = self._read == self._prose and not self._rest.lstrip().startswith(_BARE)
        return self._rest if prose else ""

    def feed(self, text: str) -> Iterator[Text | Reasoning]:
        """Add text, and yield what is known to be text or reasoning."""
        self._rest += text
        while True:
            before, rest = self._read, self._rest
            yield from self._read()
            if (self._read, self._rest) == (before, rest) or (not self._rest and self._read != self._over):
                return

    def end(self) -> Iterator[Text | Reasoning]:
        """Yield what is left when the reply has ended."""
        thinking = self._read in (self._block, self._aside)
        rest, self._rest = self._rest, ""
        if rest:
            yield Reasoning(rest) if thinking else Text(rest)

    # -- the states: each consumes what it can of the rest -----------------------------------------------------

    def _begin(self) -> Iterator[Text | Reasoning]:
        """At the beginning, or after a block."""
        begun = self._rest.lstrip()
        mark = next((mark for mark in self._opening if begun.startswith(mark)), None)
        if mark is not None and mark in THINKING_MARKS:
            self._rest, self._closing, self._read = begun[len(mark) :], (THINKING_MARKS[mark],), self._block
        elif mark is not None and mark in REPLY_MARKS:
            self._rest, self._closing, self._read = begun[len(mark) :], (REPLY_MARKS[mark],), self._text
        elif mark is not None and mark in _HEADERS:
            self._rest, self._first = begun[len(mark) :], False
        elif mark is not None:
            self._rest, self._read = begun, self._header
        elif any(mark.startswith(begun) for mark in self._opening):
            return  # perhaps a mark, once more has arrived
        else:
            self._rest, self._closing = self._rest if self._first else begun, ()
            self._read = self._text if begun.startswith("{") or not self._expects_json else self._prose
        yield from ()

    def _text(self) -> Iterator[Text | Reasoning]:
        rest, self._rest = self._rest, ""
        end = self._object.feed(rest) if self._expects_json else len(rest)
        if end:
            yield Text(rest[:end])
        if self._object.closed:
            self._rest, self._read = rest[end:], self._after

    def _after(self) -> Iterator[Text | Reasoning]:
        """After the JSON object, where end tokens and closing marks end the reply."""
        ends, begun = (*self._closing, *_TURN_ENDS), self._rest.lstrip()
        if any(begun.startswith(mark) for mark in ends):
            self._read = self._over
        elif begun and not any(mark.startswith(begun) for mark in ends):
            self.trailing = True
        if self._rest and (self.trailing or not begun):
            rest, self._rest = self._rest, ""
            yield Text(rest)

    def _over(self) -> Iterator[Text | Reasoning]:
        self.ended, self._rest = True, ""
        yield from ()

    def _prose(self) -> Iterator[Text | Reasoning]:
        mark = next((mark for mark in _CLOSING if mark in self._rest), None)
        if mark is not None:
            thought, _, self._rest = self._rest.partition(mark)
            self._first, self._read = False, self._begin
            yield Reasoning(thought)

    def _block(self) -> Iterator[Text | Reasoning]:
        yield from (Reasoning(text) for text in self._until(self._closing))

    def _header(self) -> Iterator[Text | Reasoning]:
        """In the header of a channel: <|start|>assistant<|channel|>final<|message|>."""
        header, mark, body = self._rest.partition(_MESSAGE)
        if mark:
            final = header.rpartition(_CHANNEL)[2].strip().startswith("final")
            self._rest, self._closing = body, _ENDS
            self._read = self._aside if not final else self._text if self._expects_json else self._final
        elif len(header) > _LONGEST_HEADER:
            self._read = self._text
        yield from ()

    def _final(self) -> Iterator[Text | Reasoning]:
        yield from (Text(text) for text in self._until(_ENDS))

    def _aside(self) -> Iterator[Text | Reasoning]:
        yield from (Reasoning(text) for text in self._until(_ENDS))

    def _until(self, marks: tuple[str, ...]) -> Iterator[str]:
        """Yield the text before the first of these marks, and begin anew after it."""
        at, mark = min(((self._rest.find(mark), mark) for mark in marks if mark in self._rest), default=(-1, ""))
        if mark:
            text, self._first, self._read = self._rest[:at], False, self._begin
            self._rest = self._rest[at + (0 if mark == _START else len(mark)) :]
        else:
            cut = len(self._rest) - _begun_mark(self._rest, marks)
            text, self._rest = self._rest[:cut], self._rest[cut:]
        if text:
            yield text


def _begun_mark(text: str, marks: tuple[str, ...]) -> int:
    """Return how many characters at the end of a text may be the beginning of a mark."""
    longest = max(map(len, marks)) - 1
    tails = (size for size in range(min(longest, len(text)), 0, -1))
    return next((size for size in tails if any(mark.startswith(text[-size:]) for mark in marks)), 0)


class _Object:
    """Follows a JSON object as it is written, to find its end."""

    def __init__(self) -> None:
        self.closed = False
        self._depth = 0
        self._quoted = self._escaped = False

    def feed(self, text: str) -> int:
        """Add text, and return where in it the object ends; the length of the text if it does not."""
        for at, character in enumerate(text):
            if self._escaped:
                self._escaped = False
            elif self._quoted:
                self._escaped = character == "\\"
                self._quoted = character != '"'
            elif character == '"':
                self._quoted = self._depth > 0
            elif character in "{[":
                self._depth += 1
            elif character in "}]" and self._depth:
                self._depth -= 1
                if not self._depth:
                    self.closed = True
                    return at + 1
        return len(text)
