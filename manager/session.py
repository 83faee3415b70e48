"""The familiar calls - load, switch, ask, stream, unload - with an active model of one's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from manager.cancel import CancelToken
from manager.config.registry import ModelSpec
from manager.errors import NoActiveModel
from manager.generation.request import GenerationRequest, Grammar, Message, as_messages
from manager.lease import merged_config

if TYPE_CHECKING:
    from manager.manager import LLMManager

Prompt = str | Sequence[Message]


class Session:
    """One caller's view of the manager. Sessions share weights, never an active model."""

    def __init__(self, manager: LLMManager, owner: str | None) -> None:
        self._manager = manager
        self._owner = owner
        self._active: str | None = None

    @property
    def active_model(self) -> str | None:
        """The model that is asked when none is named."""
        return self._active

    def load_model(self, model_id: str) -> LoadedModel:
        """Load a model's weights now, waiting for room if need be, and return a handle to it.

        >>> from manager.manager import LLMManager
        >>> manager = LLMManager({"echo": {"type": "fake", "replies": ["Hello!"]}})
        >>> manager.load_model("echo").get_response("Say hello")
        'Hello!'
        >>> manager.cleanup()
        """
        spec = self._manager.spec(model_id)
        self._manager.lease(spec, owner=self._owner).release()
        return LoadedModel(self, spec)

    def switch_model(self, model_id: str) -> LoadedModel:
        """Load a model and make it the active one.

        >>> from manager.manager import LLMManager
        >>> manager = LLMManager({"echo": {"type": "fake", "replies": ["Hello!"]}})
        >>> handle = manager.switch_model("echo")
        >>> manager.get_response("Say hello")
        'Hello!'
        >>> manager.cleanup()
        """
        loaded = self.load_model(model_id)
        self._active = model_id
        return loaded

    def get_response(self, prompt: Prompt, model_id: str | None = None, **generation: Any) -> str:
        """The whole answer to a prompt or conversation. A `model_id` becomes the active model.

        `generation` overrides the model's generation_config (temperature, top_p, max_new_tokens, stop, ...); `seed`,
        `schema` (a JSON schema for the answer) and `cancel` (a CancelToken) may be given, too.

        >>> from manager.manager import LLMManager
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
        """The answer piece by piece, as `get_response` takes it; closing the iterator stops the writing.

        >>> from manager.manager import LLMManager
        >>> manager = LLMManager({"echo": {"type": "fake", "replies": ["Hello!"]}})
        >>> "".join(manager.stream_response("Say hello", "echo", max_new_tokens=3))
        'Hello!'
        >>> manager.cleanup()
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
        """`stream_response` that leaves the active model as it is."""
        grammar = Grammar(schema=schema) if schema is not None else None
        request = GenerationRequest(as_messages(prompt), merged_config(spec, generation), seed, grammar)
        return self._stream(spec, request, cancel)

    def generate_response(self, model_id: str, prompt: Prompt, **generation: Any) -> str:
        """`get_response` by its other name.

        >>> from manager.manager import LLMManager
        >>> manager = LLMManager({"echo": {"type": "fake", "replies": ["Hello!"]}})
        >>> manager.generate_response("echo", "Say hello")
        'Hello!'
        >>> manager.cleanup()
        """
        return self.get_response(prompt, model_id, **generation)

    def unload_model(self, model_id: str) -> None:
        """Unload a model's weights: at once if nobody leases them, else when the last lease ends.

        >>> from manager.manager import LLMManager
        >>> manager = LLMManager({"echo": {"type": "fake", "replies": ["Hello!"]}})
        >>> with manager.lease("echo"):
        ...     manager.unload_model("echo")
        ...     manager.list_models()["echo"]["state"]
        'draining'
        >>> manager.cleanup()
        """
        self._manager.unload(self._manager.spec(model_id))

    def list_models(self) -> dict[str, dict[str, Any]]:
        """What is registered: {model id: model_name, is_loaded, state, device, ...}.

        >>> from manager.manager import LLMManager
        >>> manager = LLMManager({"echo": {"type": "fake", "replies": ["Hello!"]}})
        >>> about = manager.list_models()["echo"]
        >>> about["type"], about["is_loaded"], about["state"], about["pinned"]
        ('fake', False, 'cold', False)
        >>> manager.cleanup()
        """
        return self._manager.describe()

    def _choose(self, model_id: str | None) -> ModelSpec:
        if model_id is not None:
            spec = self._manager.spec(model_id)
            self._active = model_id
            return spec
        if self._active is None:
            raise NoActiveModel("no model was named and none is active; pass model_id or call switch_model first")
        return self._manager.spec(self._active)

    def _stream(self, spec: ModelSpec, request: GenerationRequest, cancel: CancelToken | None) -> Iterator[str]:
        lease = self._manager.lease(spec, owner=self._owner, cancel=cancel)
        try:
            yield from lease.generate(request, cancel)
        finally:
            lease.release()


class LoadedModel:
    """A handle to a model. It leases the weights for each call, so it never keeps them and never outlives them.

    Using it leaves its session's active model as it is.
    """

    def __init__(self, session: Session, spec: ModelSpec) -> None:
        self.model_id = spec.model_id
        self._spec = spec
        self._session = session

    def get_response(self, prompt: Prompt, **generation: Any) -> str:
        """The whole answer."""
        return "".join(self.stream_response(prompt, **generation))

    def stream_response(self, prompt: Prompt, **generation: Any) -> Iterator[str]:
        """The answer piece by piece."""
        return self._session.ask(self._spec, prompt, **generation)
