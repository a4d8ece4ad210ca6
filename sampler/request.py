"""The request: a prompt, how tokens are chosen, when to stop, what to report.

A request comes as the wire dict or as a `GenerateRequest`; `validate_request` takes both through
the same rules and is the only way in. Everything behind it may rely on what it returns.
"""

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal

from sampler.errors import InvalidParameterError, shown
from sampler.limits import Limits
from sampler.parameters import SamplingParameters, Watermark
from sampler.rules import CountTokens, own_problems, request_problems, stopping_problems
from sampler.wire import PARAMETERS, Draft, raise_any, read_request

UnknownParameters = Literal["refuse", "ignore"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppingCriteria:
    """When a sequence ends. Defaults are neutral: at the end of sequence or of the room.

    Attributes
    ----------
    max_new_tokens : at most this many, > 0; None is as many as fit (`Limits.max_total_tokens`)
    min_new_tokens : no end of sequence before this many, >= 0 and <= `max_new_tokens` (neutral: 0)
    stop : strings that end the text right after them (neutral: none); an empty one ends it after
        the first token and is refused by `validate_request` unless `strict_tgi`
    ignore_eos : go on after an end of sequence token
    trim_stop : leave the stop string itself out of the text

    Raises
    ------
    InvalidParameterError : names every wrong value, what is legal and what was given
    """

    max_new_tokens: int | None = None
    min_new_tokens: int = 0
    stop: tuple[str, ...] = ()
    ignore_eos: bool = False
    trim_stop: bool = False

    def __post_init__(self) -> None:
        draft = Draft(problems=_missing(self))
        draft.read(PARAMETERS, _changed(self))
        raise_any([*draft.problems, *stopping_problems(draft.values)])
        _store(self, draft)


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateRequest:
    """One request for text, the typed twin of the wire dict. All defaults are neutral.

    Attributes
    ----------
    inputs : the prompt, not empty
    parameters : how tokens are chosen
    stopping : when the text ends
    best_of : candidates, of which the most probable wins, > 0; more than 1 needs sampling
    truncate : keep only so many tokens at the end of the prompt, > 0 (neutral: None)
    return_full_text : put the prompt, not truncated, in front of the text
    details : report how the generation went
    decoder_input_details : report the logprobs of the prompt, too
    grammar : ``{"type": "json" | "json_object" | "json_schema" | "regex", "value": ...}`` or None
    ignored_parameters : unknown fields of the wire dict this was read from, such as
        "parameters.typo"

    Raises
    ------
    InvalidParameterError : names every wrong value, what is legal and what was given
    """

    inputs: str
    parameters: SamplingParameters = field(default_factory=SamplingParameters)
    stopping: StoppingCriteria = field(default_factory=StoppingCriteria)
    best_of: int = 1
    truncate: int | None = None
    return_full_text: bool = False
    details: bool = False
    decoder_input_details: bool = False
    grammar: Mapping[str, Any] | None = field(default=None, hash=False)
    ignored_parameters: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        problems = _missing(self)
        for name, kind in (("parameters", SamplingParameters), ("stopping", StoppingCriteria)):
            if not isinstance(value := getattr(self, name), kind):
                problems.append(f"`{name}` must be {kind.__name__}. Given: {shown(value)}")
        raise_any(problems)
        draft = read_request(self.to_dict(), PARAMETERS)
        raise_any(own_problems(draft))
        _store(self, draft)

    @classmethod
    def from_dict(
        cls,
        body: Mapping[str, Any],
        *,
        limits: Limits | None = None,
        unknown_parameters: UnknownParameters = "refuse",
    ) -> "GenerateRequest":
        """The request of a wire dict, checked as far as that goes without a tokenizer.

        Parameters
        ----------
        body : ``{"inputs": ..., "parameters": {...}}``
        limits : None for the default ones
        unknown_parameters : "refuse", or "ignore" to list unknown fields in `ignored_parameters`

        Raises
        ------
        InvalidParameterError : all problems at once
        """
        return validate_request(body, limits=limits, unknown_parameters=unknown_parameters)

    @property
    def wants_details(self) -> bool:
        """Whether the answer has details: asked for by `details` or `decoder_input_details`."""
        return self.details or self.decoder_input_details

    def to_dict(self) -> dict[str, Any]:
        """The wire form, without what is neutral."""
        changed = _changed(self)
        inputs = changed.pop("inputs")
        for name in ("parameters", "stopping", "ignored_parameters"):
            changed.pop(name, None)
        values = {**_changed(self.parameters), **_changed(self.stopping), **changed}
        if isinstance(watermark := values.get("watermark"), Watermark):
            values["watermark"] = {f.name: getattr(watermark, f.name) for f in fields(watermark)}
        if "logit_bias" in values:
            values["logit_bias"] = {str(key): bias for key, bias in values["logit_bias"].items()}
        if "stop" in values:
            values["stop"] = list(values["stop"])
        return {"inputs": inputs, "parameters": values}


def validate_request(
    request: Mapping[str, Any] | GenerateRequest,
    *,
    limits: Limits | None = None,
    count_tokens: CountTokens | None = None,
    vocab_size: int | None = None,
    stream: bool = True,
    strict_tgi: bool = False,
    unknown_parameters: UnknownParameters = "refuse",
) -> GenerateRequest:
    """The request as frozen objects that keep every rule; nothing but InvalidParameterError else.

    `max_new_tokens` of None stays None: how much room the prompt leaves is the generator's to see.

    Parameters
    ----------
    request : the wire dict, or a request made in Python
    limits : None for the default ones
    count_tokens : tokens of a text; called once, for a prompt that is text and not empty. None
        leaves out the rules on lengths
    vocab_size : ids of `logit_bias` must be below it; None leaves that rule out
    stream : for `strict_tgi`, which has rules for streams alone
    strict_tgi : refuse exactly what TGI refuses, with its texts and only the first problem
    unknown_parameters : "refuse", or "ignore" to list unknown fields in `ignored_parameters`

    Raises
    ------
    InvalidParameterError : all problems at once, TGI's first problem first
    """
    limits = Limits() if limits is None else limits
    if not isinstance(limits, Limits):
        raise InvalidParameterError(f"`limits` must be Limits. Given: {shown(limits)}")
    if unknown_parameters not in ("refuse", "ignore"):
        raise InvalidParameterError(
            f"`unknown_parameters` must be 'refuse' or 'ignore'. Given: {shown(unknown_parameters)}"
        )
    body = request.to_dict() if isinstance(request, GenerateRequest) else request
    if strict_tgi:
        from sampler.strict_tgi import read_strictly

        return build_request(read_strictly(body, limits, stream, count_tokens))
    draft = read_request(body, PARAMETERS)
    ignored: list[str] = []
    if unknown_parameters == "ignore":
        draft.unknown, ignored = ignored, draft.unknown
    raise_any(request_problems(draft, limits, count_tokens, vocab_size))
    return request if isinstance(request, GenerateRequest) else build_request(draft, ignored)


def build_request(draft: Draft, ignored: Iterable[str] = ()) -> GenerateRequest:
    """The request of a draft without problems; `ignored` are paths of unknown fields."""

    def own(kind: type) -> dict[str, Any]:
        names = [item.name for item in fields(kind)]
        return {name: draft.values[name] for name in names if name in draft.values}

    return GenerateRequest(
        **own(GenerateRequest),
        parameters=SamplingParameters(**own(SamplingParameters)),
        stopping=StoppingCriteria(**own(StoppingCriteria)),
        ignored_parameters=tuple(ignored),
    )


def _changed(values: Any) -> dict[str, Any]:
    """The fields of a dataclass that do not have their default, 0 and False told apart."""
    changed = {}
    for item in fields(values):
        value = getattr(values, item.name)
        if type(value) is not type(item.default) or value != item.default:
            changed[item.name] = value
    return changed


def _store(values: Any, draft: Draft) -> None:
    """Puts what was read into a frozen dataclass: Python's own numbers, tuples and copies."""
    for item in fields(values):
        if item.name in draft.values:
            object.__setattr__(values, item.name, draft.values[item.name])


def _missing(values: Any) -> list[str]:
    """A problem for each None where a dataclass takes none."""
    return [
        f"`{item.name}` cannot be None"
        for item in fields(values)
        if getattr(values, item.name) is None and item.default not in (None, MISSING)
    ]
