"""Model callbacks that come with the library; each loads its module when it is first used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sampler.models.gguf.model import GGUFModel as GGUFModel
    from sampler.models.ngram import NgramModel as NgramModel
    from sampler.models.opening import OpenedModel as OpenedModel
    from sampler.models.opening import open_model as open_model

_HOMES = {
    "GGUFModel": "sampler.models.gguf.model",
    "NgramModel": "sampler.models.ngram",
    "OpenedModel": "sampler.models.opening",
    "open_model": "sampler.models.opening",
}
__all__ = ("GGUFModel", "NgramModel", "OpenedModel", "open_model")


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
