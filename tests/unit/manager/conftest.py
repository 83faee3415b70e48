"""Shared by the manager's tests: managers that are cleaned up, a backend under the test's control, and a watcher."""

from __future__ import annotations

import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest

from manager.backends.base import BaseLLMModel, Footprint, Progress, register_backend
from manager.config.model_spec import ModelSpec
from manager.generation.request import Completion, GenerationRequest
from manager.generation.stream import TokenStream, cancelled
from manager.manager import LLMManager
from manager.state import State
from manager.status.snapshot import Heartbeat, StatusEvent, Subscription

_CACHE = tempfile.TemporaryDirectory()
CACHE = Path(_CACHE.name)
"""A cache folder for models that convert nothing; digests of their files are remembered there."""
SECONDS = 60.0
"""How long a test waits for what must happen soon; reached only by tests that fail."""

Result = TypeVar("Result")
MakeManager = Callable[..., LLMManager]


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Workshop:
    """Controls `type: bench` models: holds their loads and their writing until released, and logs everything.

    A bench model lives on device "bench" (or is remote, if it has a base_url), writes its `replies` one after the
    other and ends when they are written. `problems` collects what no manager may ever do to it.
    """

    def __init__(self) -> None:
        self.log: list[str] = []
        self.problems: list[str] = []
        self.most_loaded = 0
        self.failing: dict[str, list[BaseException]] = {}  # "prepare A" -> raised one after the other
        self._lock = threading.Lock()
        self._logged = threading.Condition(self._lock)
        self._gates: dict[str, threading.Event] = {}
        self._deaf: set[str] = set()
        self._loaded: set[str] = set()
        self._writing: Counter[str] = Counter()

    def hold(self, what: str, deaf: bool = False) -> threading.Event:
        """Stop at "prepare A", "load A", "unload A" or "write A" until the event that is returned is set.

        Held work checks regularly whether it was cancelled, unless it is `deaf`, like a network that hangs.
        """
        gate = self._gates[what] = threading.Event()
        if deaf:
            self._deaf.add(what)
        return gate

    def count(self, what: str) -> int:
        return self.log.count(what)

    def wait_for(self, *what: str) -> None:
        """Wait until all of this is in the log."""
        with self._logged:
            assert self._logged.wait_for(lambda: set(what) <= set(self.log), SECONDS), f"{what} not in {self.log}"

    def open_all(self) -> None:
        for gate in self._gates.values():
            gate.set()

    # -- for the models ----------------------------------------------------------------------------------------

    def begin(self, what: str, model: BenchModel) -> None:
        name = model.name
        with self._lock:
            self.log.append(what)
            self._logged.notify_all()
            errors = self.failing.get(what)
            if errors:
                if what.startswith("unload "):
                    self._loaded.discard(name)
                raise errors.pop(0)
            if what.startswith("load "):
                self._loaded.add(name)
                self.most_loaded = max(self.most_loaded, len(self._loaded))
            if what.startswith("unload ") and self._writing[name]:
                self.problems.append(f"{what} while it was writing")
            if what.startswith("write "):
                self._writing[name] += 1
                if name not in self._loaded:
                    self.problems.append(f"{what} while it was not loaded")

    def end(self, what: str, model: BenchModel) -> None:
        with self._lock:
            if what.startswith("write "):
                self._writing[model.name] -= 1
            else:
                self._loaded.discard(model.name)

    def pause(self, what: str, look_up: Callable[[], object]) -> None:
        """Wait at a gate, if there is one, calling `look_up` repeatedly."""
        gate = self._gates.get(what)
        while gate is not None and not gate.wait(SECONDS if what in self._deaf else 0.005):
            look_up()


class BenchModel(BaseLLMModel):
    def __init__(self, spec: ModelSpec, cache_dir: Path, shop: Workshop) -> None:
        super().__init__(spec, cache_dir)
        self.name = spec.model_name
        self.shop = shop

    def prepare(self, progress: Progress) -> Footprint:
        self.shop.begin(f"prepare {self.name}", self)
        progress("fetching", 0, 1)
        self.shop.pause(f"prepare {self.name}", lambda: progress("fetching", 0, 1))
        return Footprint("bench", self.spec.size_bytes, remote=self.spec.base_url is not None)

    def load(self, progress: Progress) -> int:
        what = f"load {self.name}"
        self.shop.begin(what, self)
        try:
            progress("loading", 0, 1)
            self.shop.pause(what, lambda: progress("loading", 0, 1))
        except BaseException:
            self.shop.end(what, self)
            raise
        return self.spec.size_bytes

    def unload(self) -> int:
        what = f"unload {self.name}"
        self.shop.begin(what, self)
        self.shop.pause(what, lambda: None)
        self.shop.end(what, self)
        return 0

    def generate(self, request: GenerationRequest, stream: TokenStream) -> None:
        what = f"write {self.name}"
        self.shop.begin(what, self)
        threading.Thread(target=self._write, args=(what, request, stream), daemon=True).start()

    def _write(self, what: str, request: GenerationRequest, stream: TokenStream) -> None:
        try:
            for piece in self.spec.replies:
                stream.push(piece)
            self.shop.pause(what, stream.cancel_token.check)
        except Exception:  # noqa: BLE001 (only `check` raises here)
            self.shop.end(what, self)
            stream.fail(cancelled())
            return
        self.shop.end(what, self)
        stream.finish(Completion("".join(self.spec.replies), "stop"))


class Watch:
    """Waits for events, so that no test needs to sleep."""

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription

    def until(self, kind: str, model_id: str | None = None, state: State | None = None) -> StatusEvent:
        """The next event of this kind; fails if it does not come."""
        while True:
            event = self.subscription.get(SECONDS)
            if isinstance(event, Heartbeat):
                continue
            assert isinstance(event, StatusEvent), f"no {kind} {model_id or ''} {state or ''} came"
            if event.kind == kind and model_id in (None, *event.model_ids) and state in (None, event.state):
                return event

    def seen(self) -> list[StatusEvent]:
        """All events that are there already."""
        events = []
        while (event := self.subscription.get(0)) is not None:
            if not isinstance(event, Heartbeat):
                assert isinstance(event, StatusEvent)
                events.append(event)
        return events


@pytest.fixture
def workshop() -> Iterator[Workshop]:
    shop = Workshop()
    register_backend("bench", lambda spec, cache_dir: BenchModel(spec, cache_dir, shop))
    yield shop
    shop.open_all()
    assert shop.problems == []


@pytest.fixture
def make(tmp_path: Path, workshop: Workshop) -> Iterator[MakeManager]:
    """Makes managers and cleans them up."""
    made: list[LLMManager] = []

    def make_manager(
        configs: Mapping[str, Mapping[str, Any]], max_loaded_models: int = 2, **options: Any
    ) -> LLMManager:
        made.append(LLMManager(configs, max_loaded_models, cache_dir=tmp_path / "cache", **options))
        return made[-1]

    yield make_manager
    workshop.open_all()
    for manager in made:
        manager.cleanup()


@pytest.fixture
def together() -> Callable[[Sequence[Callable[[], Result]]], list[Result | Exception]]:
    """Runs functions at the same time, all beginning at one barrier; their results, or what they raised, in order."""

    def run(functions: Sequence[Callable[[], Result]]) -> list[Result | Exception]:
        barrier = threading.Barrier(len(functions))

        def started(function: Callable[[], Result]) -> Result:
            barrier.wait(SECONDS)
            return function()

        with ThreadPoolExecutor(len(functions)) as pool:
            futures = [pool.submit(started, function) for function in functions]
            errors = [future.exception(SECONDS) for future in futures]
        for error in errors:
            assert error is None or isinstance(error, Exception)
        return [error if isinstance(error, Exception) else f.result() for f, error in zip(futures, errors, strict=True)]

    return run


def bench(name: str, **settings: Any) -> dict[str, Any]:
    """The registry entry of a bench model."""
    return {"type": "bench", "model_name": name, "replies": [f"I am {name}."], **settings}


CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def byte_tokenizer(template: str | None = CHAT_TEMPLATE, normalizer: Any = None) -> Any:
    """A tokenizer with a token for each byte, the control tokens <|im_start|>, <|im_end|>, and <|end|> as its end."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    specials = ["<|end|>", "<|im_start|>", "<|im_end|>"]
    symbols = specials + sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={symbol: i for i, symbol in enumerate(symbols)}, merges=[]))
    backend.normalizer = normalizer
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|end|>", additional_special_tokens=["<|im_start|>", "<|im_end|>"]
    )
    tokenizer.chat_template = template
    return tokenizer


def tiny_model(context: int = 256, seed: int = 0, tied: bool = False, vocabulary: int = 259) -> Any:
    """A Llama of a few thousand random numbers, in float32, for a byte tokenizer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        tie_word_embeddings=tied,
        bos_token_id=None,
        eos_token_id=0,
        dtype="float32",
    )
    return LlamaForCausalLM(config).eval()
