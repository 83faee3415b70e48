"""A model as an agent: build the conversation, take a lease for one turn, read the reply.

The reply is generated under a grammar of what is allowed, so it can be read strictly and is nearly always valid. After
an invalid one the model is asked again. A model that never gives a valid reply forfeits: its turn counts as walking
away, and its list of invalid replies shows why. A model that narrates a strategy cannot forfeit: the strategy's move is
played with the strategy's words.
"""

from __future__ import annotations

import re
import time
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from manager.config.model_spec import GenerationConfig, ModelSpec
from manager.credentials import Handle
from manager.errors import Cancelled, ContextTooLong, TooSlow
from manager.generation.request import Completion, GenerationRequest
from manager.generation.stream import TokenStream
from manager.lease import Lease, LeaseRequest
from manager.state import State, WaitStatus
from negotiation.agents import prompts
from negotiation.agents.conversation import Conversation
from negotiation.agents.options import ModelOptions
from negotiation.agents.purse import Bill, Purse
from negotiation.agents.remarks import remarks
from negotiation.agents.strategies import STRATEGIES
from negotiation.game.agent import Agent, Decision, View
from negotiation.game.events import AgentEvent, InvalidReply, Rejected, Waiting, Writer, Writing
from negotiation.game.protocol import Action
from negotiation.replies.allowed import Allowed, Decided, legal, rational
from negotiation.replies.reader import Reply, clean, read_reply, split_thinking

COMING = (State.LOADING, State.WAKING)
POLL_SECONDS = 0.25
SILENCE_SECONDS = 900.0
"""A local model that makes no progress for this long, while it loads or writes, is given up."""
REPLY_TOKENS = 1200
"""Enough for a reply whose texts are as long as the grammar allows, in any script."""

CONTEXT_UNIT = 256
LEAST_MESSAGE = 4
"""Bytes of a narrated message's words; a message with less is replaced by the strategy's own words."""


class Lessor(Protocol):
    """What an agent needs of the owner of the weights: `LLMManager`, or `Placed` in a forked process."""

    def request_lease(
        self,
        model: ModelSpec,
        *,
        owner: str | None = None,
        next_model: ModelSpec | None = None,
        credential: Handle | None = None,
    ) -> LeaseRequest:
        """See `LLMManager`."""

    def waiting(self, request: LeaseRequest) -> WaitStatus | None:
        """See `LLMManager`."""


def reply_limit(spec: ModelSpec) -> int:
    """Return the most tokens of a reply, without thinking."""
    configured = spec.generation_config
    return configured.max_new_tokens if "max_new_tokens" in configured.model_fields_set else REPLY_TOKENS


@dataclass(frozen=True)
class ModelAgent:
    """Plays a seat with a model. It stores the spec, so that a run can finish after its model was unregistered.

    Its requests are paid for from `purse`.
    """

    manager: Lessor
    spec: ModelSpec
    options: ModelOptions = prompts.DEFAULTS
    purse: Purse = field(default_factory=Purse, repr=False, compare=False)

    @property
    def name(self) -> str:
        return self.spec.model_id

    def act(self, view: View) -> Generator[AgentEvent, Any, Decision]:
        with self.purse.noticing():
            lease = yield from self._lease(view)
            try:
                return (yield from self._decide(view, lease))
            finally:
                lease.release()

    def _lease(self, view: View) -> Generator[AgentEvent, Any, Lease]:
        following = view.next_agent.spec if isinstance(view.next_agent, ModelAgent) else None
        request = self.manager.request_lease(
            self.spec, owner=view.run_id, next_model=following, credential=self.purse.credential
        )
        forget = view.cancel.on_cancel(request.cancel)
        try:
            last: Waiting | None = None
            patience = _Patience(f"loading '{self.name}'")
            while (lease := request.wait(POLL_SECONDS)) is None:
                status = self.manager.waiting(request)
                waiting = _waiting(view, status) if status is not None else last
                if waiting is not None and waiting != last:
                    yield waiting
                last = waiting
                if status is not None and status.state in COMING:
                    patience.check(status.progress.done if status.progress is not None else status.state)
        except BaseException:
            request.cancel()
            raise
        finally:
            forget()
        if view.cancel.cancelled:  # at the last moment; the lease may have been released already
            lease.release()
            raise Cancelled("cancelled while waiting")
        return lease

    def _decide(self, view: View, lease: Lease) -> Generator[AgentEvent, Any, Decision]:
        options = self.options
        plan = STRATEGIES[options.narrates].decide(view) if options.narrates else None
        allowed = _allowed(view, options, plan)
        # A remote server may ignore the grammar, so its prompts describe the form of a reply in full.
        described = options.model_copy(update={"guard": "free"}) if self.spec.base_url else options
        talk = Conversation(view, described, plan)
        invalid: list[InvalidReply] = []
        for attempt in range(options.retries + 1):
            done = yield from self._write(view, lease, talk, allowed, attempt)
            reply = _checked(done, view, options, allowed)
            if reply.action is not None:
                if isinstance(allowed, Decided) and _says_nothing_new(reply.message, view):
                    reply = replace(reply, message=allowed.words)
                ledger = tuple(replace(entry, outcome="repaired") for entry in invalid)
                decision = self._decision(reply, ledger, talk, done.text, lease)
                return replace(decision, notes=remarks(view, reply, transcript=done.transcript))
            assert reply.kind is not None
            last = attempt == options.retries
            invalid.append(InvalidReply(reply.kind, reply.detail, done.text, "gave_up" if last else "pending"))
            yield Rejected(view.seat, talk.attempt, invalid[-1])
            talk.attempt += 1
            if options.retry == "specific":
                talk.correct(invalid[-1])
        ledger = tuple(replace(entry, outcome="gave_up") for entry in invalid)
        if isinstance(allowed, Decided):  # play the decided move with the strategy's words
            narrated = Reply(allowed.action, allowed.offer, allowed.words)
            return self._decision(narrated, ledger, talk, allowed.reply(allowed.words), lease)
        return self._decision(Reply(Action.WALK_AWAY), ledger, talk, invalid[-1].raw, lease)

    def _decision(
        self, reply: Reply, ledger: tuple[InvalidReply, ...], talk: Conversation, raw: str, lease: Lease
    ) -> Decision:
        """Return a reply as a decision, with what it cost and what wrote it."""
        assert reply.action is not None
        return Decision(
            action=reply.action,
            offer=reply.offer,
            message=reply.message,
            thought=reply.thought,
            invalid=ledger,
            prompt=talk.added,
            raw=raw,
            tokens=talk.tokens,
            prompt_tokens=talk.prompt_tokens,
            cost=sum(bill.cost for bill in talk.bills) if self.spec.price is not None else None,
            estimated=any(bill.estimated for bill in talk.bills),
            held=talk.held,
            writer=Writer(replace(lease.identity, server=talk.server), self._sampling),
        )

    @property
    def _config(self) -> GenerationConfig:
        """The model's generation settings with the agent's own."""
        changed = {} if self.options.temperature is None else {"temperature": self.options.temperature}
        most = reply_limit(self.spec) + self.options.thinking
        return self.spec.generation_config.model_copy(update={"max_new_tokens": most, **changed})

    @property
    def _sampling(self) -> dict[str, Any]:
        """All settings that sampling depends on, except the seed of a turn, which follows from that of the run."""
        extra = {"extra_body": self.spec.extra_body} if self.spec.extra_body else {}
        return {**self._config.model_dump(mode="json"), **extra}

    def _write(
        self, view: View, lease: Lease, talk: Conversation, allowed: Allowed | Decided, attempt: int
    ) -> Generator[AgentEvent, Any, Completion]:
        """Generate a reply, shortening the conversation for as long as it leaves too little room for one."""
        options = self.options
        config = self._config
        grammar = allowed.grammar(options.thinking)
        while True:
            request = GenerationRequest(
                talk.messages,
                config,
                seed=view.turn_seed(attempt),
                grammar=grammar,
                constrained=options.guard != "free",
                conversation=f"{view.run_id} {view.seat}",
                thinking=options.thinking,
            )
            try:
                with (
                    self.purse.paying(self.spec.price, talk.messages, lease.most_tokens(request), view.cancel) as bill,
                    lease.generate(request, view.cancel) as stream,
                ):
                    bill.follow(stream)
                    talk.bills.append(bill)
                    yield from self._read(stream, view, talk.attempt, bill)
                    done = stream.completion
                    bill.finish(done)
            except ContextTooLong:
                if not talk.shorten():
                    raise
                continue
            talk.count(done)
            ended = done.finish_reason == "stop" or done.tokens >= config.max_new_tokens
            if ended or not self._is_full(done) or not talk.shorten():
                return done

    def _read(self, stream: TokenStream, view: View, attempt: int, bill: Bill) -> Generator[AgentEvent, Any, None]:
        patience, pieces, stage = _Patience(f"'{self.name}'"), 0, ""
        while (piece := stream.read(POLL_SECONDS)) is not None:
            if not piece and stream.stage != stage:
                stage = stream.stage
                yield Waiting(view.seat, stage)
            if piece:
                pieces += 1
                bill.add(piece)
                yield Writing(view.seat, attempt, piece)
            if self.spec.base_url is None:  # remote servers have their own time limits
                patience.check(pieces)

    def _is_full(self, done: Completion) -> bool:
        """Return whether a text that was cut off filled the context.

        A remote server does not say whether that or a limit of its own cut the text off. Contexts are sized in
        multiples of 256 tokens, which prompt and text together then fill.
        """
        return self.spec.base_url is None or (done.prompt_tokens + done.tokens + 1) % CONTEXT_UNIT < 3


def paid_from(purse: Purse, agent: Agent) -> Agent:
    """Return an agent whose requests, if it is a model, are paid for from a purse."""
    return replace(agent, purse=purse) if isinstance(agent, ModelAgent) else agent


class _Patience:
    """Gives up on work that makes no progress and would keep its negotiation running for ever."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._progress: object = None
        self._since = 0.0

    def check(self, progress: object) -> None:
        """Raise TooSlow if the progress has been the same for SILENCE_SECONDS."""
        now = time.monotonic()
        if progress != self._progress:
            self._progress, self._since = progress, now
        elif now - self._since > SILENCE_SECONDS:
            raise TooSlow(f"{self._what} made no progress for {SILENCE_SECONDS:g} s; try another model")


def _allowed(view: View, options: ModelOptions, plan: Decision | None) -> Allowed | Decided:
    if plan is not None:
        return Decided(view.state, plan.action, plan.offer, plan.message, led=not options.language)
    return rational(view.state) if options.guard == "rational" else legal(view.state)


def _checked(done: Completion, view: View, options: ModelOptions, allowed: Allowed | Decided) -> Reply:
    """Read a reply; one that is not allowed is as invalid as one that is not legal."""
    thinking, text = split_thinking(done.text) if options.thinking else ("", done.text)
    reply = read_reply(text, view.state)
    if reply.action is None and done.note:
        return replace(reply, detail=done.note)
    problem = allowed.problem(reply) if reply.action is not None else None
    if problem is not None:
        return Reply(kind=problem[0], detail=problem[1])
    return replace(reply, thought="\n".join(part for part in (clean(thinking), reply.thought) if part))


def _says_nothing_new(message: str, view: View) -> bool:
    """Return whether a narrated message is hardly a word or repeats an earlier one, as small models do turn by turn."""
    words = _words(message)
    return len("".join(words).encode()) < LEAST_MESSAGE or any(words == _words(turn.message) for turn in view.own)


def _words(message: str) -> list[str]:
    return re.findall(r"\w+", message.lower())


def _waiting(view: View, status: WaitStatus) -> Waiting:
    """Return the manager's status of a waiting request as an event."""
    expected = status.expected_seconds
    if status.progress is not None:
        progress = status.progress
        return Waiting(view.seat, progress.stage, status.position, expected, progress.done, progress.total)
    if status.state in COMING:
        return Waiting(view.seat, str(status.state), status.position, expected)
    return Waiting(view.seat, "preparing" if expected is None else "queued", status.position, expected)
