"""How one sequence is sampled: the parameters, their legal ranges and their neutral values.

`RANGES` is the only place where a range of sampling stands. Requests from the wire and parameters
made in Python are both checked against it; everything behind a `SamplingParameters` may rely on it.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal, NamedTuple, TypeGuard

from sampler.errors import InvalidParameterError, shown

Logprobs = Literal["processed", "raw"]
MAX_SEED = 2**64 - 1
MAX_BIAS = 3.4028235e38  # the largest float32


def is_integer(value: object) -> TypeGuard[int]:
    """Whether `value` is an integer, NumPy's included, and no bool."""
    return isinstance(value, Integral) and not isinstance(value, bool)


class Range(NamedTuple):
    """The legal values of one numeric parameter; `text` ends the sentence "`name` must be ..."."""

    kind: type[int] | type[float]
    holds: Callable[[Any], bool]
    text: str

    def accepts_type(self, value: object) -> bool:
        """Whether `value` is a number of this kind: no bool, and finite as a float64."""
        if self.kind is int:
            return is_integer(value)
        try:
            return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
        except OverflowError:
            return False


RANGES: Mapping[str, Range] = {
    "temperature": Range(float, lambda x: x >= 0.0, ">= 0.0"),
    # Within these a logit of up to 1e9, multiplied or divided, stays finite as a float32.
    "repetition_penalty": Range(
        float, lambda x: 1e-29 <= x <= 1e29, "strictly positive, >= 1e-29 and <= 1e29"
    ),
    "frequency_penalty": Range(float, lambda x: -2.0 <= x <= 2.0, ">= -2.0 and <= 2.0"),
    "presence_penalty": Range(float, lambda x: -2.0 <= x <= 2.0, ">= -2.0 and <= 2.0"),
    "top_p": Range(float, lambda x: 0.0 < x <= 1.0, "> 0.0 and <= 1.0"),
    "typical_p": Range(float, lambda x: 0.0 < x <= 1.0, "> 0.0 and <= 1.0"),
    "min_p": Range(float, lambda x: 0.0 <= x <= 1.0, ">= 0.0 and <= 1.0"),
    "top_k": Range(int, lambda x: x >= 0, ">= 0"),
    "seed": Range(int, lambda x: 0 <= x <= MAX_SEED, f">= 0 and <= {MAX_SEED}"),
    "top_n_tokens": Range(int, lambda x: x >= 0, ">= 0"),
}


def range_problem(name: str, value: Any, legal: Range | None = None) -> str | None:
    """What is wrong with a numeric `value`, or None: its type, finiteness and range."""
    legal = legal or RANGES[name]
    if not legal.accepts_type(value):
        noun = "an integer" if legal.kind is int else "a finite number"
        return f"`{name}` must be {noun}, {legal.text}. Given: {shown(value)}"
    if not legal.holds(legal.kind(value)):
        return f"`{name}` must be {legal.text}. Given: {shown(value)}"
    return None


def _store_numbers(values: object, ranges: Mapping[str, Range]) -> None:
    """Makes the legal numbers of a frozen dataclass Python's own; None stays."""
    for name, legal in ranges.items():
        if (value := getattr(values, name)) is not None:
            object.__setattr__(values, name, legal.kind(value))


WATERMARK_RANGES: Mapping[str, Range] = {
    "gamma": Range(float, lambda x: 0.0 < x < 1.0, "> 0.0 and < 1.0"),
    "delta": Range(float, lambda x: 0.0 <= x <= 100.0, ">= 0.0 and <= 100.0"),
    "key": RANGES["seed"],
    "context_width": Range(int, lambda x: 1 <= x <= 16, ">= 1 and <= 16"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Watermark:
    """A green-list watermark: `delta` is added to the logits of a keyed share of the vocabulary.

    Attributes
    ----------
    scheme : "green_list", a soft green list seeded by the last tokens
    gamma : share of the vocabulary that is green in expectation, > 0 and < 1
    delta : what a green logit gains, >= 0 (neutral: 0)
    key : secret of 64 bits; detection needs the same one
    context_width : tokens that seed each list, 1 to 16; no bias while the context is shorter

    Raises
    ------
    InvalidParameterError : a value outside its range

    Source: Kirchenbauer et al., "A Watermark for Large Language Models" (arXiv 2301.10226),
    algorithm 2, with membership by keyed hash instead of a permutation.
    """

    scheme: Literal["green_list"] = "green_list"
    gamma: float = 0.5
    delta: float = 2.0
    key: int = 15485863
    context_width: int = 1

    def __post_init__(self) -> None:
        problems = [
            range_problem(f"watermark.{name}", getattr(self, name), legal)
            for name, legal in WATERMARK_RANGES.items()
        ]
        if self.scheme != "green_list":
            problems.insert(
                0, f"`watermark.scheme` must be 'green_list'. Given: {shown(self.scheme)}"
            )
        if found := [problem for problem in problems if problem]:
            raise InvalidParameterError(found)
        _store_numbers(self, WATERMARK_RANGES)


class _FrozenBias(Mapping[int, float]):
    """A `logit_bias` that nobody can change; equal to any mapping with the same items."""

    __slots__ = ("_biases",)

    def __init__(self, biases: Mapping[int, float]) -> None:
        self._biases = {int(token_id): float(bias) for token_id, bias in biases.items()}

    def __getitem__(self, token_id: int) -> float:
        return self._biases[token_id]

    def __iter__(self) -> Iterator[int]:
        return iter(self._biases)

    def __len__(self) -> int:
        return len(self._biases)

    def __hash__(self) -> int:
        return hash(frozenset(self._biases.items()))

    def __repr__(self) -> str:
        return repr(self._biases)


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParameters:
    """How the next token of one sequence is chosen. Defaults are neutral: plain greedy decoding.

    Sampling is on when `do_sample` is true or any of temperature, top_k, top_p, typical_p and
    min_p is not neutral (TGI's rule); temperature 0 is greedy whatever else is set.

    Attributes
    ----------
    do_sample : draw at random even when everything else is neutral
    temperature : divides the logits; finite, >= 0 (neutral: 1; 0 is greedy)
    top_k : keeps the k most probable tokens, >= 0 (neutral: 0; more than the vocabulary is all)
    top_p : keeps the smallest most probable set of this mass, > 0 and <= 1 (neutral: 1)
    typical_p : keeps the most typical tokens of this mass, > 0 and <= 1 (neutral: 1)
    min_p : keeps tokens at least this probable relative to the best, 0 to 1 (neutral: 0)
    repetition_penalty : divides (multiplies, when negative) the logit of every token of the
        context once, 1e-29 to 1e29 (neutral: 1)
    frequency_penalty : subtracted per occurrence among the generated tokens, -2 to 2 (neutral: 0)
    presence_penalty : subtracted once from every generated token, -2 to 2 (neutral: 0)
    logit_bias : ``{token_id: bias}``, added; a number that float32 holds, -3.4028235e38 to
        3.4028235e38, or -inf to forbid (neutral: None)
    watermark : False, True for the default `Watermark`, or a `Watermark`
    seed : 0 to 2**64 - 1; None draws one (`BatchSampler.seed` tells which)
    logprobs : "processed" reports the distribution that was drawn from, "raw" the model's own
    top_n_tokens : alternatives to report, >= 0 (neutral: 0)

    Raises
    ------
    InvalidParameterError : names every wrong value, its legal range and what was given

    Source: the order and the arithmetic are defined in the README's section "What is computed";
    typical sampling is arXiv 2202.00666, min-p arXiv 2407.01082, top-p arXiv 1904.09751.
    """

    do_sample: bool = False
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    typical_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    logit_bias: Mapping[int, float] | None = None
    watermark: bool | Watermark = False
    seed: int | None = None
    logprobs: Logprobs = "processed"
    top_n_tokens: int = 0

    def __post_init__(self) -> None:
        if problems := sampling_problems({n: getattr(self, n) for n in self.__slots__}):
            raise InvalidParameterError(problems)
        _store_numbers(self, RANGES)
        if self.logit_bias is not None:  # the caller may go on changing its own mapping
            object.__setattr__(self, "logit_bias", _FrozenBias(self.logit_bias))

    @property
    def counts_tokens(self) -> bool:
        """Whether a penalty looks at how often tokens occur in the context."""
        return (
            self.repetition_penalty != 1.0
            or self.frequency_penalty != 0.0
            or self.presence_penalty != 0.0
        )

    @property
    def is_greedy(self) -> bool:
        """Whether the most probable token is taken instead of a random one."""
        neutral = (
            self.temperature == 1.0
            and self.top_k == 0
            and self.top_p == 1.0
            and self.typical_p == 1.0
            and self.min_p == 0.0
        )
        return self.temperature == 0.0 or (neutral and not self.do_sample)

    @property
    def watermark_scheme(self) -> Watermark | None:
        """The watermark to apply, or None."""
        if isinstance(self.watermark, Watermark):
            return self.watermark
        return Watermark() if self.watermark else None


def sampling_problems(values: Mapping[str, object]) -> list[str]:
    """Everything wrong with the named sampling `values`, in the order of `RANGES`, then the rest.

    Only the names that are present are looked at; a `seed` of None is legal.
    """
    problems = []
    for name in RANGES:
        if name in values and not (name == "seed" and values[name] is None):
            problems.append(range_problem(name, values[name]))
    if not isinstance(values.get("do_sample", False), bool):
        problems.append(f"`do_sample` must be true or false. Given: {shown(values['do_sample'])}")
    if not isinstance(values.get("watermark", False), bool | Watermark):
        problems.append(
            f"`watermark` must be true, false or a Watermark. Given: {shown(values['watermark'])}"
        )
    if values.get("logprobs", "processed") not in ("processed", "raw"):
        problems.append(
            f"`logprobs` must be 'processed' or 'raw'. Given: {shown(values['logprobs'])}"
        )
    problems += _logit_bias_problems(values.get("logit_bias"))
    return [problem for problem in problems if problem]


_BIAS = Range(float, lambda x: abs(x) <= MAX_BIAS, f"from -{MAX_BIAS} to {MAX_BIAS}")


def _logit_bias_problems(bias: object) -> list[str]:
    if bias is None:
        return []
    if not isinstance(bias, Mapping):
        return [f"`logit_bias` must map token ids to numbers. Given: {shown(bias)}"]
    problems = []
    for token_id, value in bias.items():
        if not is_integer(token_id) or token_id < 0:
            problems.append(f"`logit_bias` ids must be integers >= 0. Given: {shown(token_id)}")
        elif not _is_legal_bias(value):
            problems.append(
                f"`logit_bias` of id {shown(token_id)} must be a number {_BIAS.text}, or -inf."
                f" Given: {shown(value)}"
            )
    return problems


def _is_legal_bias(value: object) -> bool:
    forbids = isinstance(value, Real) and value == -math.inf
    return forbids or range_problem("logit_bias", value, _BIAS) is None
