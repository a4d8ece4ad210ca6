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
    from sampler.event_stream import EventStream as EventStream
    from sampler.events import GenerateResponse as GenerateResponse
    from sampler.events import StreamEvent as StreamEvent
    from sampler.generator import Generator as Generator
    from sampler.generator import default_generator as default_generator
    from sampler.limits import Limits as Limits
    from sampler.model import Model as Model
    from sampler.model import SequenceView as SequenceView
    from sampler.parameters import SamplingParameters as SamplingParameters
    from sampler.parameters import Watermark as Watermark
    from sampler.request import GenerateRequest as GenerateRequest
    from sampler.request import StoppingCriteria as StoppingCriteria
    from sampler.startup import warmup as warmup
    from sampler.trace import Stage as Stage
    from sampler.trace import trace_step as trace_step
    from sampler.vocabulary import Vocabulary as Vocabulary

__version__ = "0.1.0"

_HOMES = {
    "BatchSampler": "sampler.batch_sampler",
    "Distribution": "sampler.distribution",
    "EventStream": "sampler.event_stream",
    "GenerateRequest": "sampler.request",
    "GenerateResponse": "sampler.events",
    "Generator": "sampler.generator",
    "Limits": "sampler.limits",
    "Model": "sampler.model",
    "SampledTokens": "sampler.batch_sampler",
    "SamplerError": "sampler.errors",
    "SamplingParameters": "sampler.parameters",
    "SequenceView": "sampler.model",
    "Stage": "sampler.trace",
    "StoppingCriteria": "sampler.request",
    "StreamEvent": "sampler.events",
    "Vocabulary": "sampler.vocabulary",
    "Watermark": "sampler.parameters",
    "default_generator": "sampler.generator",
    "next_token_distribution": "sampler.distribution",
    "trace_step": "sampler.trace",
    "warmup": "sampler.startup",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in ("cli", "errors", "grammar", "kernels", "models", "server"):
        return import_module(f"sampler.{name}")
    raise AttributeError(f"module 'sampler' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
