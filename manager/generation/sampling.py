"""From logits to a token: penalties, masks, temperature, top-k, top-p, min-p, and a random draw of one's own."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from manager.registry import GenerationConfig


class Sampler:
    """Draws the tokens of one request.

    Temperature 0 takes the likeliest token. The order is the usual one (as in transformers): repetition penalty
    (Keskar et al. 2019), grammar mask, temperature, top-k, top-p (Holtzman et al. 2020), min-p (Nguyen et al. 2024).
    """

    def __init__(self, config: GenerationConfig, seed: int | None) -> None:
        self._config = config
        self._generator = torch.Generator()
        if seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(seed)

    def pick(self, logits: torch.Tensor, seen: Sequence[int], allowed: torch.Tensor | None) -> int:
        """A token for `logits` [vocabulary], given the tokens so far and a boolean mask of the allowed ones."""
        config = self._config
        scores = logits.to("cpu", torch.float32)
        if config.repetition_penalty != 1.0 and seen:
            index = torch.tensor(sorted(set(seen)), dtype=torch.long)
            chosen = scores[index]
            scores = scores.clone()
            penalty = config.repetition_penalty
            scores[index] = torch.where(chosen > 0, chosen / penalty, chosen * penalty)
        if allowed is not None:
            scores = scores.masked_fill(~allowed, -torch.inf)
        if config.temperature == 0:
            return int(scores.argmax())
        probabilities = self._filtered(scores / config.temperature)
        return int(torch.multinomial(probabilities, 1, generator=self._generator))

    def _filtered(self, scores: torch.Tensor) -> torch.Tensor:
        config = self._config
        if 0 < config.top_k < scores.numel():
            scores = scores.masked_fill(scores < torch.topk(scores, config.top_k).values[-1], -torch.inf)
        probabilities = torch.softmax(scores, dim=-1)
        if config.top_p < 1.0:
            ordered, index = torch.sort(probabilities, descending=True)
            beyond = torch.cumsum(ordered, dim=-1) - ordered >= config.top_p
            probabilities = probabilities.index_fill(0, index[beyond], 0.0)
        if config.min_p > 0.0:
            probabilities = probabilities.masked_fill(probabilities < config.min_p * probabilities.max(), 0.0)
        return probabilities
