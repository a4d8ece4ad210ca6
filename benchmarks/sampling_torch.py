"""PyTorch peers, each the algorithm in our own words: top-k first, and what vLLM does on a CPU.

Tensors share the memory of the rows; one thread.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.sampling_contenders import Contender, Distribution, uses
from benchmarks.sampling_rows import SEED, Chain, Problem

NOTHING = float("-inf")


class TorchContender(Contender):
    """Inputs as tensors; a draw over scores of the whole vocabulary unless overridden."""

    def __init__(self, problem: Problem) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(SEED)
        super().__init__(problem)
        self.inputs = [
            (torch.from_numpy(logits), None if mask is None else torch.from_numpy(mask))
            for logits, mask in zip(problem.logits, problem.bitmasks, strict=True)
        ]
        context = torch.from_numpy(problem.context)
        self.context = context.expand(problem.batch_size, -1).contiguous()

    def scores(self, one: Any) -> Tensor:
        """Scores float32[B, V], -inf where a token was dropped."""
        raise NotImplementedError

    def distributions(self, one: Any) -> list[Distribution]:
        found = []
        for logprobs in self.scores(one).double().log_softmax(-1).numpy():
            ids = np.flatnonzero(logprobs > -np.inf)
            if self.given.is_greedy:
                ids = ids[logprobs[ids].argmax()][None]
            found.append((ids, logprobs[ids]))
        return found


def allowed_only(logits: Tensor, bitmask: Tensor | None) -> Tensor:
    """The logits with -inf where the packed mask has no bit."""
    if bitmask is None:
        return logits
    bits = (bitmask[:, :, None] >> torch.arange(32, dtype=torch.int32)) & 1
    return logits.masked_fill(bits.flatten(1)[:, : logits.shape[1]] == 0, NOTHING)


def best_token(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The largest of each row and its log-softmax."""
    token_ids = logits.argmax(-1, keepdim=True)
    return token_ids, logits.log_softmax(-1).gather(1, token_ids)


def penalised(logits: Tensor, context: Tensor, penalty: float) -> Tensor:
    """The logits of the context's tokens divided by the penalty, multiplied if negative."""
    z = logits.gather(1, context)
    return logits.scatter(1, context, torch.where(z < 0, z * penalty, z / penalty))


class TorchTopK(TorchContender):
    """`torch.topk` first, then everything on k values: what careful PyTorch code does."""

    name = "torch-topk"

    @classmethod
    def refuses(cls, chain: Chain) -> str | None:
        if not uses(chain, "top_k"):
            return "needs top-k"
        if uses(chain, "watermark", "typical_p", "min_p"):
            return "has top-k and top-p only"
        return super().refuses(chain)

    def step(self, one: Any) -> tuple[Tensor, Tensor]:
        probs, ids = self._kept(one)
        places = torch.multinomial(probs, 1)
        chosen = probs.gather(1, places) / probs.sum(-1, keepdim=True)
        return ids.gather(1, places), chosen.log()

    def distributions(self, one: Any) -> list[Distribution]:
        probs, ids = (tensor.numpy() for tensor in self._kept(one))
        rows = zip(probs.astype(float), ids, strict=True)
        return [(ids[p > 0], np.log(p[p > 0] / p.sum())) for p, ids in rows]

    def _kept(self, one: Any) -> tuple[Tensor, Tensor]:
        """The probabilities of the first k, 0 where top-p drops, and their ids."""
        logits, bitmask = one
        if len(self.problem.context):
            logits = penalised(logits, self.context, self.given.repetition_penalty)
        values, ids = allowed_only(logits, bitmask).topk(min(self.given.top_k, logits.shape[1]))
        probs = (values / self.given.temperature).softmax(-1)
        before = probs.cumsum(-1) - probs
        return probs.masked_fill(before >= self.given.top_p, 0.0), ids


class VllmAlgorithm(TorchContender):
    """vLLM's sampler in PyTorch operations: sort, thresholds, exponential race.

    Source: vllm/v1/sample (sampler.py, ops/penalties.py, ops/topk_topp_sampler.py), restated.
    """

    name = "vllm-algorithm"

    @classmethod
    def refuses(cls, chain: Chain) -> str | None:
        if uses(chain, "watermark", "typical_p"):
            return "has no watermark, no typical-p"
        return super().refuses(chain)

    def step(self, one: Any) -> tuple[Tensor, Tensor]:
        scores = self.scores(one)
        if self.given.is_greedy:
            return best_token(scores)
        probs = scores.softmax(-1)
        race = probs / torch.empty_like(probs).exponential_()
        token_ids = race.argmax(-1, keepdim=True)
        return token_ids, probs.gather(1, token_ids).log()

    def scores(self, one: Any) -> Tensor:
        logits, bitmask = one
        if len(self.problem.context):
            logits = self._penalised(logits)
        logits = allowed_only(logits, bitmask)
        if self.given.temperature != 1.0:
            logits = logits / self.given.temperature
        if self.given.min_p > 0.0:
            probs = logits.softmax(-1)
            least = self.given.min_p * probs.amax(-1, keepdim=True)
            logits = logits.masked_fill(probs < least, NOTHING)
        if self.given.top_k > 0 or self.given.top_p < 1.0:
            logits = self._truncated(logits)
        return logits

    def _penalised(self, logits: Tensor) -> Tensor:
        """Counts over the vocabulary, then a factor for each token of it."""
        counts = torch.zeros_like(logits, dtype=torch.int64)
        seen = counts.scatter_add_(1, self.context, torch.ones_like(self.context)) > 0
        factors = torch.where(seen, self.given.repetition_penalty, 1.0)
        return logits * torch.where(logits > 0, 1.0 / factors, factors)

    def _truncated(self, logits: Tensor) -> Tensor:
        ascending, order = logits.sort(-1)
        if self.given.top_k > 0:
            least = ascending[:, -min(self.given.top_k, logits.shape[1])].unsqueeze(-1)
            ascending.masked_fill_(ascending < least, NOTHING)
        if self.given.top_p < 1.0:
            dropped = ascending.softmax(-1).cumsum(-1) <= 1.0 - self.given.top_p
            dropped[:, -1] = False
            ascending.masked_fill_(dropped, NOTHING)
        return ascending.scatter(-1, order, ascending)
