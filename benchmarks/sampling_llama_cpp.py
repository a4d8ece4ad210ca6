"""llama.cpp's samplers through the C interface of llama-cpp-python (0.3.36 or newer).

The buffer of candidates is kept: allocating it for each token, as the high-level Python class does,
costs seven times the sampling. It is filled by a compiled loop, as llama.cpp's own
`llama_sampler_sample` does. Temperature stands after top-k, its default order and the same kept
set, as it is far cheaper there.
"""

import ctypes
import math
from typing import Any

import numba
import numpy as np
from llama_cpp import llama_cpp

from benchmarks.sampling_contenders import Contender, Distribution, uses
from benchmarks.sampling_rows import SEED, Array, Chain, Problem

CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


@numba.njit
def fill(candidates: Array, logits: Array) -> None:
    for i in range(len(logits)):
        candidates[i]["id"] = i
        candidates[i]["logit"] = logits[i]
        candidates[i]["p"] = 0.0


class LlamaCpp(Contender):
    """A sampler chain over reused candidates, row by row. Greedy has no logprob."""

    name = "llama.cpp"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.inputs = problem.logits
        self.candidates = np.zeros(problem.vocab_size, CANDIDATE)
        pointer = self.candidates.ctypes.data_as(llama_cpp.llama_token_data_p)
        self.array = llama_cpp.llama_token_data_array(data=pointer, size=0)
        self.chain = self._chain(problem)
        for token_id in problem.context.tolist():
            llama_cpp.llama_sampler_accept(self.chain, token_id)

    def __del__(self) -> None:
        if hasattr(self, "chain"):
            llama_cpp.llama_sampler_free(self.chain)

    @classmethod
    def refuses(cls, chain: Chain) -> str | None:
        if uses(chain, "watermark") or chain.allowed is not None:
            return "has no watermark, no packed masks"
        return super().refuses(chain)

    def step(self, one: Any) -> tuple[list[int], list[float]]:
        drawn = [self._draw(row) for row in one]
        return [token_id for token_id, _ in drawn], [logprob for _, logprob in drawn]

    def distributions(self, one: Any) -> list[Distribution]:
        found = []
        for row in one:
            token_id, _ = self._draw(row)
            kept = self.candidates[: self.array.size]
            if self.given.is_greedy:
                found.append((np.array([token_id]), np.array([math.nan])))
            else:
                with np.errstate(divide="ignore"):  # a probability may be 0
                    found.append((kept["id"].copy(), np.log(kept["p"].astype(float))))
        return found

    def _draw(self, row: Array) -> tuple[int, float]:
        fill(self.candidates, row)
        array = self.array
        array.size, array.selected, array.sorted = len(row), -1, False
        llama_cpp.llama_sampler_apply(self.chain, ctypes.byref(array))
        chosen = array.data[array.selected]
        return chosen.id, math.nan if self.given.is_greedy else math.log(chosen.p)

    def _chain(self, problem: Problem) -> Any:
        given, api = self.given, llama_cpp
        options = api.llama_sampler_chain_default_params()
        options.no_perf = True
        chain = api.llama_sampler_chain_init(options)
        samplers = []
        if given.repetition_penalty != 1.0:
            sizes = problem.vocab_size, len(problem.context)
            samplers.append(
                api.llama_sampler_init_penalties(*sizes, given.repetition_penalty, 0.0, 0.0)
            )
        if given.top_k > 0:
            samplers.append(api.llama_sampler_init_top_k(given.top_k))
        if given.temperature != 1.0:
            samplers.append(api.llama_sampler_init_temp(given.temperature))
        if given.top_p < 1.0:
            samplers.append(api.llama_sampler_init_top_p(given.top_p, 1))
        if given.typical_p < 1.0:
            samplers.append(api.llama_sampler_init_typical(given.typical_p, 1))
        if given.min_p > 0.0:
            samplers.append(api.llama_sampler_init_min_p(given.min_p, 1))
        greedy = given.is_greedy
        samplers.append(
            api.llama_sampler_init_greedy() if greedy else api.llama_sampler_init_dist(SEED)
        )
        for sampler in samplers:
            api.llama_sampler_chain_add(chain, sampler)
        return chain
