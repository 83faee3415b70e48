"""Contenders that write text with SmolLM2: ours, transformers' `generate`, a plain loop, and llama.cpp.

All that use torch compute on the same thread (manager/generation/forward/processor.py says why that matters).
"""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import DynamicCache, LogitsProcessor

from manager.config.model_spec import GenerationConfig
from manager.generation.engine import Engine
from manager.generation.forward.processor import on_processor
from manager.generation.grammar import GrammarCompiler, GrammarMatcher
from manager.generation.request import Completion, GenerationRequest, Grammar, Message
from manager.generation.stream import TokenStream
from negotiation.agents.prompts import new_messages
from negotiation.game.agent import View
from negotiation.game.protocol import GameState
from negotiation.replies.allowed import legal
from negotiation.scenario.analysis import OutcomeSpace
from negotiation.scenario.model import SEATS, load_scenario

ROOT = Path(__file__).parents[2]
THOUGHT, MESSAGE = 60, 80
"""Characters of the texts in a reply, fixed so that all contenders write the same amount."""


@dataclass(frozen=True)
class Wrote:
    """The output of a contender: texts, tokens, tokens forced by the grammar, and seconds."""

    texts: tuple[str, ...]
    tokens: int
    forced: int
    seconds: float
    first: float = 0.0  # median seconds to the first token

    @property
    def rate(self) -> float:
        """Return tokens per second, without those that the grammar forced."""
        return (self.tokens - self.forced) / self.seconds


class Ours:
    """The engine, with all requests at once."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.engine = Engine(model, tokenizer, "benchmark")

    def write(
        self,
        conversations: Sequence[Sequence[Message]],
        tokens: int,
        grammars: Sequence[Grammar] = (),
        temperature: float = 0.7,
        names: Sequence[str] = (),
    ) -> Wrote:
        """Answer all conversations at once; `names` identify those that continue earlier ones."""
        config = GenerationConfig(max_new_tokens=tokens, temperature=temperature)
        streams = [TokenStream() for _ in conversations]
        begun = time.perf_counter()
        for seed, (messages, stream) in enumerate(zip(conversations, streams, strict=True)):
            name, grammar = names[seed] if names else None, grammars[seed] if grammars else None
            request = GenerationRequest(tuple(messages), config, seed, grammar, conversation=name)
            self.engine.submit(request, stream)
        done: list[Completion] = []
        for stream in streams:
            while stream.read() is not None:
                pass
            done.append(stream.completion)
        seconds = time.perf_counter() - begun
        firsts = sorted(one.first_token_seconds for one in done)
        written, forced = sum(one.tokens for one in done), sum(one.forced_tokens for one in done)
        return Wrote(tuple(one.text for one in done), written, forced, seconds, firsts[len(firsts) // 2])

    def forget(self) -> None:
        """Forget all conversations."""
        self.engine.shelf.trim(0)


class Generate:
    """transformers' `generate`, one conversation after another, under the same grammar."""

    def __init__(self, model: Any, tokenizer: Any, ours: Ours) -> None:
        self.model, self.tokenizer, self._template = model, tokenizer, ours.engine.template
        self.grammars = GrammarCompiler(tokenizer, model.config.vocab_size)

    def write(
        self,
        conversations: Sequence[Sequence[Message]],
        tokens: int,
        grammars: Sequence[Grammar] = (),
        temperature: float = 0.7,
        names: Sequence[str] = (),
        stop: bool = True,
    ) -> Wrote:
        """Answer the conversations one after another, ignoring `names`; without `stop`, up to the limit."""
        return on_processor(partial(self._write, conversations, tokens, grammars, temperature, stop))

    def _write(
        self,
        conversations: Sequence[Sequence[Message]],
        tokens: int,
        grammars: Sequence[Grammar],
        temperature: float,
        stop: bool,
    ) -> Wrote:
        texts, written = [], 0
        begun = time.perf_counter()
        for number, messages in enumerate(conversations):
            prompt = torch.tensor([self._template.encode(messages)])
            how: dict[str, Any] = {"do_sample": temperature > 0}
            if temperature > 0:
                how |= {"temperature": temperature, "top_p": 0.95, "top_k": 0}
            if grammars:
                how["logits_processor"] = [Constrained(self.grammars.matcher(grammars[number]), prompt.shape[1])]
            if not stop:
                how["min_new_tokens"] = tokens
            out = self.model.generate(
                prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=tokens, pad_token_id=0, **how
            )
            new = out[0, prompt.shape[1] :]
            written += len(new)
            texts.append(self.tokenizer.decode(new, skip_special_tokens=True))
        return Wrote(tuple(texts), written, 0, time.perf_counter() - begun)


class Constrained(LogitsProcessor):  # type: ignore[misc]
    """A grammar for `generate`, which computes every token, including forced ones."""

    def __init__(self, matcher: GrammarMatcher, prompt: int) -> None:
        self._matcher, self._seen = matcher, prompt

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        for token in input_ids[0, self._seen :].tolist():
            self._matcher.native.consume_token(token)
        self._seen = input_ids.shape[1]
        return scores.masked_fill(~self._matcher.compiler.allowed([self._matcher]), -torch.inf)


class Loop:
    """A plain loop of forward passes with a cache, at temperature 0."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def write(self, prompts: Sequence[list[int]], tokens: int) -> Wrote:
        """Continue prompts of one length in one batch, for a number of tokens."""
        return on_processor(partial(self._write, prompts, tokens))

    def _write(self, prompts: Sequence[list[int]], tokens: int) -> Wrote:
        cache = DynamicCache(config=self.model.config)
        new = torch.tensor(prompts)
        begun = time.perf_counter()
        for _ in range(tokens):
            output = self.model(input_ids=new, past_key_values=cache, use_cache=True, logits_to_keep=1)
            new = output.logits[:, -1].argmax(-1, keepdim=True)
        return Wrote((), tokens * len(prompts), 0, time.perf_counter() - begun)


LLAMA = """
import {getLlama, LlamaLogLevel} from "node-llama-cpp";
const [,, path, streams, tokens, prompt] = process.argv;
const llama = await getLlama({gpu: false, build: "never", skipDownload: true, logLevel: LlamaLogLevel.error});
const model = await llama.loadModel({modelPath: path, gpuLayers: 0});
const threads = +process.env.THREADS;
const context = await model.createContext({sequences: +streams, contextSize: 1024, batchSize: 512, threads});
const text = "Once upon a time there was a story about a story. ".repeat(200);
const ids = model.tokenize(text).slice(0, +prompt - 1);
const write = async (sequence, number) => {
  let count = 0;
  for await (const token of sequence.evaluate([...model.tokenize(String(number % 10)).slice(0, 1), ...ids],
      {temperature: 0, yieldEogToken: true}))
    if (++count >= +tokens) break;
  return count;
};
const sequences = Array.from({length: +streams}, () => context.getSequence());
await write(sequences[0], 99);
await sequences[0].clearHistory();
const begun = performance.now();
const counts = await Promise.all(sequences.map(write));
const total = counts.reduce((a, b) => a + b, 0);
console.log(JSON.stringify({tokens: total, seconds: (performance.now() - begun) / 1000}));
process.exit(0);
"""


class LlamaCpp:
    """llama.cpp as the npm package node-llama-cpp ships it, built for this processor; installed into `folder`.

    Raises RuntimeError if it cannot be had.
    """

    PACKAGES = ("node-llama-cpp@3.22.1", "@node-llama-cpp/linux-x64@3.22.1")

    def __init__(self, folder: Path, gguf: Path) -> None:
        self._folder, self._gguf = folder, gguf
        if shutil.which("npm") is None:
            raise RuntimeError("npm is not installed")
        (folder / "package.json").write_text('{"type": "module"}')
        (folder / "write.mjs").write_text(LLAMA)
        how = ["--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", "--silent"]
        done = subprocess.run(["npm", "install", *how, *self.PACKAGES], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"npm install failed: {done.stderr.strip()[-200:]}")

    def write(self, streams: int, tokens: int, prompt: int) -> Wrote:
        """Continue prompts of one length in concurrent sequences; loading is not counted."""
        command = ["node", "write.mjs", str(self._gguf), str(streams), str(tokens), str(prompt)]
        environment = {**os.environ, "THREADS": str(torch.get_num_threads())}
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, env=environment, timeout=300)
        if done.returncode:
            raise RuntimeError(f"llama.cpp failed: {done.stderr.strip()[-200:]}")
        said = json.loads(done.stdout.strip().splitlines()[-1])
        return Wrote((), said["tokens"], 0, said["seconds"])


@dataclass(frozen=True)
class Negotiator:
    """One side of a negotiation, reduced to what its writer needs."""

    opening: tuple[Message, ...]
    grammar: Grammar

    def after(self, replies: Sequence[str]) -> tuple[Message, ...]:
        """Return the conversation after a number of replies; the other side always says the same."""
        messages = list(self.opening)
        for number, reply in enumerate(replies, start=2):
            said = f'The other side says: "{ANSWER}"\nRound {number}.\nDo you accept it, or what do you offer?'
            messages += [{"role": "assistant", "content": reply}, {"role": "user", "content": said}]
        return tuple(messages)


ANSWER = "That is not enough for us. We would need a better price, and delivery has to be sooner than you propose."


def negotiators(count: int) -> list[Negotiator]:
    """Return sides of the shipped scenarios in turn, with replies of fixed text length."""
    made = []
    for path in sorted((ROOT / "configs" / "scenarios").glob("*.yaml")):
        scenario = load_scenario(path)
        grammar = legal(GameState(scenario)).grammar()
        schema = copy.deepcopy(grammar.schema)
        assert schema is not None
        for properties in [one["properties"] for one in schema.get("anyOf", [schema])]:
            for key, length in (("thought", THOUGHT), ("message", MESSAGE)):
                properties[key] |= {"minLength": length, "maxLength": length}
        for seat in SEATS:
            view = View("", scenario, OutcomeSpace(scenario), GameState(scenario, starts=seat), seat, (), (), 0)
            made.append(Negotiator(new_messages(view), Grammar(schema=schema)))
    return [made[number % len(made)] for number in range(count)]
