"""A model as an agent: builds the conversation, takes a lease for one turn, reads the reply.

Knows the manager's public surface only. The reply is made under a grammar of what is legal, so it can be read
strictly and still nearly always holds; for one that does not, the model is asked again and told what was wrong. A
model that never gives a usable reply forfeits: its turn counts as walking away, and the ledger says why.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

from manager.errors import Cancelled
from manager.generation.request import Completion, GenerationRequest, Message
from manager.generation.stream import TokenStream
from manager.happenings import State
from manager.lease import Lease, WaitStatus
from manager.manager import LLMManager
from manager.registry import ModelSpec
from negotiation import prompts
from negotiation.agents.base import Decision, View
from negotiation.events import AgentEvent, InvalidReply, Rejected, Waiting, Writing
from negotiation.protocol import Action
from negotiation.reply import read_reply, reply_grammar

POLL_SECONDS = 0.25
REPLY_TOKENS = 1200
"""Room for a reply whose texts are as long as the grammar allows, in any script."""


@dataclass(frozen=True)
class ModelAgent:
    """Plays a seat with a model. The spec is kept, so that a run can finish after its model was unregistered."""

    manager: LLMManager
    spec: ModelSpec
    retries: int = 2

    @property
    def name(self) -> str:
        return self.spec.model_id

    def act(self, view: View) -> Generator[AgentEvent, None, Decision]:
        lease = yield from self._lease(view)
        try:
            return (yield from self._decide(view, lease))
        finally:
            lease.release()

    def _lease(self, view: View) -> Generator[AgentEvent, None, Lease]:
        following = view.next_agent.spec if isinstance(view.next_agent, ModelAgent) else None
        request = self.manager.request_lease(self.spec, owner=view.run_id, next_model=following)
        forget = view.cancel.on_cancel(request.cancel)
        try:
            told: Waiting | None = None
            while (lease := request.wait(POLL_SECONDS)) is None:
                status = self.manager.waiting(request)
                why = _why(view, status) if status is not None else told
                if why is not None and why != told:
                    yield why
                told = why
        except BaseException:
            request.cancel()
            raise
        finally:
            forget()
        if view.cancel.cancelled:  # it came at the last moment, and may have been given back already
            lease.release()
            raise Cancelled("cancelled while waiting")
        return lease

    def _decide(self, view: View, lease: Lease) -> Generator[AgentEvent, None, Decision]:
        told = prompts.new_messages(view)
        messages = [*prompts.conversation(view), *told]
        invalid: list[InvalidReply] = []
        tokens = prompt_tokens = 0
        for attempt in range(self.retries + 1):
            done = yield from self._write(view, lease, tuple(messages), attempt)
            tokens, prompt_tokens = tokens + done.tokens, prompt_tokens + done.prompt_tokens
            reply = read_reply(done.text, view.state)
            if reply.action is not None:
                ledger = tuple(replace(entry, outcome="repaired") for entry in invalid)
                said = (reply.action, reply.offer, reply.message, reply.thought)
                return Decision(*said, ledger, told, done.text, tokens, prompt_tokens)
            assert reply.kind is not None
            invalid.append(InvalidReply(reply.kind, reply.detail, done.text))
            yield Rejected(view.seat, attempt, invalid[-1])
            correction = f"{reply.detail} Reply again, with exactly one JSON object."
            messages += [{"role": "assistant", "content": done.text}, {"role": "user", "content": correction}]
        ledger = tuple(replace(entry, outcome="gave_up") for entry in invalid)
        return Decision(Action.WALK_AWAY, None, "", "", ledger, told, invalid[-1].raw, tokens, prompt_tokens)

    def _write(
        self, view: View, lease: Lease, messages: tuple[Message, ...], attempt: int
    ) -> Generator[AgentEvent, None, Completion]:
        config = self.spec.generation_config.model_copy(update={"max_new_tokens": REPLY_TOKENS})
        request = GenerationRequest(
            messages,
            config,
            seed=view.turn_seed(attempt),
            grammar=reply_grammar(view.state),
            conversation=f"{view.run_id} {view.seat}",
        )
        with lease.generate(request, view.cancel) as stream:
            yield from _read(stream, view, attempt)
            return stream.completion


def _read(stream: TokenStream, view: View, attempt: int) -> Generator[AgentEvent, None, None]:
    while (piece := stream.read(POLL_SECONDS)) is not None:
        if piece:
            yield Writing(view.seat, attempt, piece)


def _why(view: View, status: WaitStatus) -> Waiting:
    """What the manager says about a waiting request, as an event."""
    expected = status.expected_seconds
    if status.progress is not None:
        progress = status.progress
        return Waiting(view.seat, progress.stage, status.position, expected, progress.done, progress.total)
    if status.state in (State.LOADING, State.WAKING):
        return Waiting(view.seat, str(status.state), status.position, expected)
    return Waiting(view.seat, "preparing" if expected is None else "queued", status.position, expected)
