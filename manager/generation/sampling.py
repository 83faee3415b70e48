"""Choose tokens from logits: penalties, masks, temperature, top-k, top-p, min-p, and random draws per request.

Work common to all rows is done for the whole batch. Only the few candidate tokens are handled row by row.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from manager.config.model_spec import GenerationConfig
from manager.errors import GenerationFailed

Floats = npt.NDArray[np.floating]
Tokens = npt.NDArray[np.integer]

COLD = 1e-4
"""Below this temperature, the likeliest token is practically certain, and dividing by it would overflow."""


class Sampler:
    """Draws the tokens of one request, with its own random generator.

    Temperature 0 (or close to it) picks the likeliest token. The order is the same as in transformers:
    repetition penalty (Keskar et al. 2019), grammar mask, temperature, top-k, top-p (Holtzman et al. 2020), min-p
    (Nguyen et al. 2024).
    """

    def __init__(self, config: GenerationConfig, seed: int | None) -> None:
        self.config = config
        self._chance = random.Random(seed)

    def pick(self, logits: torch.Tensor, seen: Sequence[int], allowed: torch.Tensor | None) -> int:
        """Return a token for `logits` [vocabulary], given the tokens so far and a boolean mask of the allowed ones."""
        return pick_tokens(logits[None], [self], [seen], None if allowed is None else allowed[None])[0]

    def penalised(self, scores: torch.Tensor, seen: Sequence[int]) -> None:
        """Make tokens that were already written less likely, in place in `scores` [vocabulary]."""
        penalty = self.config.repetition_penalty
        if penalty != 1.0 and seen:
            index = torch.tensor(list(set(seen)), dtype=torch.long)
            chosen = scores[index]
            scores[index] = torch.where(chosen > 0, chosen / penalty, chosen * penalty)

    def left(self, probabilities: Floats) -> tuple[Tokens, Floats]:
        """Return the tokens that pass the filters, and their unnormalised probabilities, given those of the vocabulary.

        A token less likely than (1 - top_p) / vocabulary is never among the likeliest that reach top_p, as all such
        tokens together have less than 1 - top_p. So only the others need to be sorted.
        """
        config, size = self.config, probabilities.size
        limited = 0 < config.top_k < size
        if limited:
            least = torch.topk(torch.from_numpy(probabilities), config.top_k).values[-1].item()
        else:
            least = (1.0 - config.top_p) / size
        tokens = np.flatnonzero(probabilities >= least) if least > 0 else np.flatnonzero(probabilities)
        shares = probabilities[tokens].astype(np.float64)
        if config.top_p < 1.0:
            order = np.argsort(-shares, kind="stable")
            tokens, shares = tokens[order], shares[order]
            before = np.cumsum(shares) - shares
            enough = before >= config.top_p * (shares.sum() if limited else 1.0)
            if enough.any():
                end = int(enough.argmax())
                tokens, shares = tokens[:end], shares[:end]
        if config.min_p > 0.0 and shares.size:
            likely = shares >= config.min_p * shares.max()
            tokens, shares = tokens[likely], shares[likely]
        return tokens, shares

    def draw(self, probabilities: Floats) -> int:
        """Draw a token from the filtered probabilities."""
        tokens, shares = self.left(probabilities)
        sums = np.cumsum(shares)
        at = int(np.searchsorted(sums, self._chance.random() * sums[-1], side="right"))
        return int(tokens[min(at, tokens.size - 1)])


def pick_tokens(
    logits: torch.Tensor,
    samplers: Sequence[Sampler],
    seen: Sequence[Sequence[int]],
    allowed: torch.Tensor | None,
) -> list[int]:
    """Return a token for each row of `logits` [rows, vocabulary]; `allowed` is a boolean mask of the same shape.

    Raises GenerationFailed, before any draw, if a row has no finite maximum.
    """
    scores = logits.to("cpu", torch.float32, copy=True)
    for row, sampler in enumerate(samplers):
        sampler.penalised(scores[row], seen[row])
    if allowed is not None:
        scores.masked_fill_(~allowed, -torch.inf)
    best, at = scores.max(dim=-1)
    if not best.isfinite().all():  # NaN, infinity, or no allowed token
        raise GenerationFailed("the model computed invalid numbers (NaN or infinity); try another dtype, or reload it")
    likeliest = at.tolist()
    chances = [row for row, sampler in enumerate(samplers) if sampler.config.temperature >= COLD]
    if chances:
        temperatures = torch.tensor([[samplers[row].config.temperature] for row in chances])
        drawn = scores if len(chances) == len(samplers) else scores[chances]
        probabilities = torch.softmax(drawn.div_(temperatures), dim=-1).numpy()
        for row, row_probabilities in zip(chances, probabilities, strict=True):
            likeliest[row] = samplers[row].draw(row_probabilities)
    return [int(token) for token in likeliest]
