"""Sessions: load, switch, ask, stream and unload, each with its own active model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from manager.cancel import CancelToken
from manager.config.model_spec import ModelSpec
from manager.credentials import Handle
from manager.errors import NoActiveModel
from manager.generation.request import GenerationRequest, Grammar, Message, as_messages
from manager.lease import Lease, merged_config

Prompt = str | Sequence[Message]


class ModelSource(Protocol):
    """The part of LLMManager that a session uses."""

    def spec(self, model_id: str) -> ModelSpec:
        """Return the registry entry of a model; raises UnknownModel."""

    def lease(
        self,
        model: ModelSpec,
        *,
        owner: str | None,
        cancel: CancelToken | None = None,
        credential: Handle | None = None,
    ) -> Lease:
        """Wait for a lease on a model's weights."""

    def unload(self, spec: ModelSpec) -> None:
        """Unload a model's weights as soon as no lease holds them."""

    def list_models(self) -> dict[str, dict[str, Any]]:
        """Describe all registered models."""


class Session:
    """One caller's view of the models. Sessions share weights, but never an active model.

    Make one with `LLMManager.session(owner)`. The manager itself acts as the default session.
    """

    def __init__(self, models: ModelSource, owner: str | None, credential: Handle | None = None) -> None:
        self._models = models
        self._owner = owner
        self._credential = credential
        self._active: str | None = None

    @property
    def active_model(self) -> str | None:
        """The model that answers when a call names none."""
        return self._active

    def load_model(self, model_id: str) -> LoadedModel:
        """Load a model's weights now, waiting for room if necessary, and return a handle to it.

        Raises:
            UnknownModel: No model with this id is registered.
            ModelUnavailable: The weights cannot be loaded.
            Busy: The queue is full, or the wait took too long.
        """
        spec = self._models.spec(model_id)
        self._models.lease(spec, owner=self._owner, credential=self._credential).release()
        return LoadedModel(self, spec)

    def switch_model(self, model_id: str) -> LoadedModel:
        """Load a model and make it the active one. Raises like `load_model`."""
        loaded = self.load_model(model_id)
        self._active = model_id
        return loaded

    def get_response(self, prompt: Prompt, model_id: str | None = None, **generation: Any) -> str:
        """Return the whole answer to a prompt or conversation.

        Args:
            prompt: The user's message, or a sequence of `{"role": ..., "content": ...}` messages.
            model_id: The model to ask, which becomes the active one. Default: the active model.
            generation: Overrides of the model's generation_config (temperature, top_p, max_new_tokens, stop, ...), and
                optionally `seed`, `schema` (a JSON schema for the answer) and `cancel` (a CancelToken).

        Raises:
            NoActiveModel: No model was named and none is active.
            ConfigError: A generation setting is unknown or out of range.
            Cancelled: `cancel` was cancelled.
            GenerationFailed: The model failed while writing.

        It also raises like `load_model`.

        >>> from manager import LLMManager
        >>> manager = LLMManager({"echo": {"type": "fake", "replies": ["Hello!"]}})
        >>> manager.get_response("Say hello", "echo"), manager.get_response("Say it again")
        ('Hello!', 'Hello!')
        >>> manager.cleanup()
        """
        return "".join(self.stream_response(prompt, model_id, **generation))

    def stream_response(
        self,
        prompt: Prompt,
        model_id: str | None = None,
        *,
        seed: int | None = None,
        schema: dict[str, Any] | None = None,
        cancel: CancelToken | None = None,
        **generation: Any,
    ) -> Iterator[str]:
        """Yield the answer piece by piece; arguments and errors as in `get_response`.

        Closing the iterator stops the writing.
        """
        spec = self._choose(model_id)
        return self.ask(spec, prompt, seed=seed, schema=schema, cancel=cancel, **generation)

    def ask(
        self,
        spec: ModelSpec,
        prompt: Prompt,
        *,
        seed: int | None = None,
        schema: dict[str, Any] | None = None,
        cancel: CancelToken | None = None,
        **generation: Any,
    ) -> Iterator[str]:
        """Like `stream_response`, but leave the active model unchanged."""
        grammar = Grammar(schema=schema) if schema is not None else None
        request = GenerationRequest(as_messages(prompt), merged_config(spec, generation), seed, grammar)
        return self._stream(spec, request, cancel)

    def generate_response(self, model_id: str, prompt: Prompt, **generation: Any) -> str:
        """Call `get_response` under its other name."""
        return self.get_response(prompt, model_id, **generation)

    def unload_model(self, model_id: str) -> None:
        """Unload a model's weights: at once if no lease holds them, else when the last lease ends."""
        self._models.unload(self._models.spec(model_id))

    def list_models(self) -> dict[str, dict[str, Any]]:
        """Describe the registered models: {model id: {model_name, is_loaded, state, device, ...}}."""
        return self._models.list_models()

    def _choose(self, model_id: str | None) -> ModelSpec:
        if model_id is not None:
            spec = self._models.spec(model_id)
            self._active = model_id
            return spec
        if self._active is None:
            raise NoActiveModel("no model was named and none is active; pass model_id or call switch_model first")
        return self._models.spec(self._active)

    def _stream(self, spec: ModelSpec, request: GenerationRequest, cancel: CancelToken | None) -> Iterator[str]:
        lease = self._models.lease(spec, owner=self._owner, cancel=cancel, credential=self._credential)
        try:
            yield from lease.generate(request, cancel)
        finally:
            lease.release()


class LoadedModel:
    """A handle to a model. It leases the weights for each call, so it neither keeps nor outlives them.

    Using it leaves the active model of its session unchanged.
    """

    def __init__(self, session: Session, spec: ModelSpec) -> None:
        self.model_id = spec.model_id
        self._spec = spec
        self._session = session

    def get_response(self, prompt: Prompt, **generation: Any) -> str:
        """Return the whole answer; see `Session.get_response`."""
        return "".join(self.stream_response(prompt, **generation))

    def stream_response(self, prompt: Prompt, **generation: Any) -> Iterator[str]:
        """Yield the answer piece by piece; see `Session.stream_response`."""
        return self._session.ask(self._spec, prompt, **generation)
