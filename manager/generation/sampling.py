"""From logits to tokens: penalties, masks, temperature, top-k, top-p, min-p, and random draws of one's own.

What is the same for all rows of a batch is done for the batch; only the few tokens that a row may still draw are
looked at one row at a time.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from manager.config.registry import GenerationConfig
from manager.errors import GenerationFailed

Floats = npt.NDArray[np.floating]
Tokens = npt.NDArray[np.integer]

COLD = 1e-4
"""Below this temperature the likeliest token is as good as certain, and dividing by it would leave what is finite."""


class Sampler:
    """Draws the tokens of one request, from a generator of its own.

    Temperature 0 (or next to it) takes the likeliest token. The order is the usual one (as in transformers):
    repetition penalty (Keskar et al. 2019), grammar mask, temperature, top-k, top-p (Holtzman et al. 2020), min-p
    (Nguyen et al. 2024).
    """

    def __init__(self, config: GenerationConfig, seed: int | None) -> None:
        self.config = config
        self._chance = random.Random(seed)

    def pick(self, logits: torch.Tensor, seen: Sequence[int], allowed: torch.Tensor | None) -> int:
        """A token for `logits` [vocabulary], given the tokens so far and a boolean mask of the allowed ones."""
        return pick_tokens(logits[None], [self], [seen], None if allowed is None else allowed[None])[0]

    def penalised(self, scores: torch.Tensor, seen: Sequence[int]) -> None:
        """Make what was written already less likely, in `scores` [vocabulary] itself."""
        penalty = self.config.repetition_penalty
        if penalty != 1.0 and seen:
            index = torch.tensor(list(set(seen)), dtype=torch.long)
            chosen = scores[index]
            scores[index] = torch.where(chosen > 0, chosen / penalty, chosen * penalty)

    def left(self, probabilities: Floats) -> tuple[Tokens, Floats]:
        """The tokens that the filters leave of `probabilities` [vocabulary], and their unnormalised shares.

        A token less likely than (1 - top_p) / vocabulary is never among the likeliest that reach top_p, for all such
        tokens together have less than 1 - top_p; so only the others need to be sorted.
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
        """A token by chance, as likely as the filters leave it."""
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
    """A token for each row of `logits` [rows, vocabulary]; `allowed` is a boolean mask of the same shape.

    Raises GenerationFailed, having drawn nothing, where a row's numbers are none.
    """
    scores = logits.to("cpu", torch.float32, copy=True)
    for row, sampler in enumerate(samplers):
        sampler.penalised(scores[row], seen[row])
    if allowed is not None:
        scores.masked_fill_(~allowed, -torch.inf)
    best, at = scores.max(dim=-1)
    if not best.isfinite().all():  # not a number, without bound, or nothing is allowed; looked for before any draw
        raise GenerationFailed("the model computed what is no number; try another dtype, or load it anew")
    likeliest = at.tolist()
    chances = [row for row, sampler in enumerate(samplers) if sampler.config.temperature >= COLD]
    if chances:
        temperatures = torch.tensor([[samplers[row].config.temperature] for row in chances])
        drawn = scores if len(chances) == len(samplers) else scores[chances]
        probabilities = torch.softmax(drawn.div_(temperatures), dim=-1).numpy()
        for row, row_probabilities in zip(chances, probabilities, strict=True):
            likeliest[row] = samplers[row].draw(row_probabilities)
    return [int(token) for token in likeliest]
