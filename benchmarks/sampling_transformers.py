"""Hugging Face transformers: its own logits processors, in this library's order.

The green list of its watermark is another one than ours; it is checked on its own biased logits.
"""

from typing import Any

import torch
from torch import Tensor
from transformers.generation import logits_process

from benchmarks.sampling_rows import Array, Problem
from benchmarks.sampling_torch import TorchContender, allowed_only, best_token


class _Mask(logits_process.LogitsProcessor):
    """Allows what `bitmask` says, which is set before each step."""

    bitmask: Tensor | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return allowed_only(scores, self.bitmask)


class Transformers(TorchContender):
    """A LogitsProcessorList, softmax and `torch.multinomial`, as `generate` does."""

    name = "transformers"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.mask = _Mask()
        self.watermark = None
        given = problem.chain.parameters
        processors: list[Any] = []
        if given.watermark_scheme is not None:
            scheme = given.watermark_scheme
            self.watermark = logits_process.WatermarkLogitsProcessor(
                problem.vocab_size, "cpu", scheme.gamma, scheme.delta
            )
            processors.append(self.watermark)
        if given.repetition_penalty != 1.0:
            penalty = given.repetition_penalty
            processors.append(logits_process.RepetitionPenaltyLogitsProcessor(penalty))
        if problem.chain.allowed is not None:
            processors.append(self.mask)
        if given.temperature != 1.0:
            processors.append(logits_process.TemperatureLogitsWarper(given.temperature))
        if given.top_k > 0:
            processors.append(logits_process.TopKLogitsWarper(given.top_k))
        if given.top_p < 1.0:
            processors.append(logits_process.TopPLogitsWarper(given.top_p))
        if given.typical_p < 1.0:
            processors.append(logits_process.TypicalLogitsWarper(given.typical_p))
        if given.min_p > 0.0:
            processors.append(logits_process.MinPLogitsWarper(given.min_p))
        self.processors = logits_process.LogitsProcessorList(processors)

    def scores(self, one: Any) -> Tensor:
        logits, self.mask.bitmask = one
        return self.processors(self.context, logits)

    def step(self, one: Any) -> tuple[Tensor, Tensor]:
        scores = self.scores(one)
        if self.given.is_greedy:
            return best_token(scores)
        probs = scores.softmax(-1)
        token_ids = torch.multinomial(probs, 1)
        return token_ids, probs.gather(1, token_ids).log()

    def watermarked(self, one: Any) -> Array | None:
        if self.watermark is None:
            return None
        return self.watermark(self.context, one[0]).numpy()
