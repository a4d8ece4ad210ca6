"""A token-sampling engine: next-token logits in, one exact and reproducible token out.

Nothing heavy is imported here: each public name loads its module when it is first used, so that
``import sampler`` costs no more than the interpreter's own look-up.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sampler.batch_sampler import BatchSampler as BatchSampler
    from sampler.batch_sampler import SampledTokens as SampledTokens
    from sampler.distribution import Distribution as Distribution
    from sampler.distribution import next_token_distribution as next_token_distribution
    from sampler.errors import SamplerError as SamplerError
    from sampler.limits import Limits as Limits
    from sampler.parameters import SamplingParameters as SamplingParameters
    from sampler.parameters import Watermark as Watermark
    from sampler.vocabulary import Vocabulary as Vocabulary

__version__ = "0.1.0"

_HOMES = {
    "BatchSampler": "sampler.batch_sampler",
    "Distribution": "sampler.distribution",
    "SampledTokens": "sampler.batch_sampler",
    "Vocabulary": "sampler.vocabulary",
    "next_token_distribution": "sampler.distribution",
    "Limits": "sampler.limits",
    "SamplerError": "sampler.errors",
    "SamplingParameters": "sampler.parameters",
    "Watermark": "sampler.parameters",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in ("cli", "errors", "grammar", "kernels", "models"):
        return import_module(f"sampler.{name}")
    raise AttributeError(f"module 'sampler' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
