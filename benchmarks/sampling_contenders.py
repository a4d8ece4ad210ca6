"""What a contender is, the yardstick and this library; the others are found here by name.

A contender is told the whole problem once, untimed, and may prepare whatever does not depend on the
logits of a step: processors, tensors that share the memory of the rows, buffers. `step` is what is
timed: logits (and the mask) of one step in, a token and its logprob for each row out.
"""

from collections.abc import Callable
from importlib import import_module
from operator import methodcaller
from typing import Any, ClassVar

from benchmarks.sampling_rows import Array, Chain, Problem
from sampler import BatchSampler, next_token_distribution

Distribution = tuple[Array, Array]  # ids and their logprobs, in any order


class Contender:
    """One way to draw tokens. `inputs` has an argument of `step` for each set of rows."""

    name: ClassVar[str]
    inputs: list[Any]
    step: Callable[[Any], Any]

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.given = problem.chain.parameters

    @classmethod
    def refuses(cls, chain: Chain) -> str | None:
        """Why it has no part in a chain; None when it has."""
        given = chain.parameters
        return "reports no such thing" if given.top_n_tokens or given.logprobs == "raw" else None

    def restart(self) -> None:
        """Forgets the tokens drawn so far, before each timed sample."""

    def distributions(self, one: Any) -> list[Distribution]:
        """What `step` draws from for this input, row by row; not timed."""
        raise NotImplementedError

    def watermarked(self, one: Any) -> Array | None:
        """The logits after a watermark of the contender's own; None if it has this library's."""
        return None


class Yardstick(Contender):
    """The largest logit of each row: near the time that memory needs to deliver the rows."""

    name = "np.max"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.inputs = problem.logits
        self.step = methodcaller("max", axis=1)

    @classmethod
    def refuses(cls, chain: Chain) -> str | None:
        return None


class Sampler(Contender):
    """This library through its public call, with everything the call does."""

    name = "sampler"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.sampler = BatchSampler(problem.vocab_size, problem.batch_size)
        self.handles: list[int] = []
        if problem.chain.allowed is None:
            self.inputs = problem.logits
            self.step = self.sampler.sample
        else:
            self.inputs = list(zip(problem.logits, problem.bitmasks, strict=True))
            self.step = lambda pair: self.sampler.sample(*pair)

    @classmethod
    def refuses(cls, chain: Chain) -> str | None:
        return None

    def restart(self) -> None:
        for handle in self.handles:
            self.sampler.remove(handle)
        context, rows = self.problem.context.tolist(), range(self.problem.batch_size)
        self.handles = [self.sampler.add(self.given, context) for _ in rows]

    def distributions(self, one: Any) -> list[Distribution]:
        logits, bitmask = (one, None) if self.problem.chain.allowed is None else one
        found = []
        for b, row in enumerate(logits):
            distribution = next_token_distribution(
                row,
                self.given,
                context_token_ids=self.problem.context.tolist(),
                prompt_length=len(self.problem.context),
                bitmask=None if bitmask is None else bitmask[b],
            )
            found.append((distribution.token_ids, distribution.logprobs))
        return found


HOMES = {
    "np.max": "benchmarks.sampling_contenders:Yardstick",
    "sampler": "benchmarks.sampling_contenders:Sampler",
    "numpy-blocks": "benchmarks.sampling_numpy:NumpyBlocks",
    "numpy-sort": "benchmarks.sampling_numpy:NumpySort",
    "torch-topk": "benchmarks.sampling_torch:TorchTopK",
    "vllm-algorithm": "benchmarks.sampling_torch:VllmAlgorithm",
    "transformers": "benchmarks.sampling_transformers:Transformers",
    "llama.cpp": "benchmarks.sampling_llama_cpp:LlamaCpp",
}


def find(names: list[str]) -> tuple[list[type[Contender]], dict[str, str]]:
    """The contenders with these names, and for each that is not installed, the reason."""
    found, missing = [], {}
    for name in names:
        module, _, kind = HOMES[name].partition(":")
        try:
            found.append(getattr(import_module(module), kind))
        except ImportError as error:
            missing[name] = f"not installed ({error})"
    return found, missing


def uses(chain: Chain, *names: str) -> bool:
    """Whether any of these parameters is on in a chain."""
    return any(name in chain.settings for name in names)
