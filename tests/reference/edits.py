"""What is added to and divided from the logits before anything is ranked.

Each edit is computed in float64 from the current float32 value and rounded once to float32, in the
order of the functions below. Plain Python floats are float64 and never contracted.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from reference.green_list import green_ids
from sampler import SamplingParameters, Watermark


def edited_logits(
    logits: np.ndarray,
    parameters: SamplingParameters,
    context_token_ids: Sequence[int] = (),
    prompt_length: int = 0,
) -> np.ndarray:
    """A copy of float32[V] with watermark, penalties and bias applied.

    `context_token_ids` is the prompt, `prompt_length` ids long, and then the generated tokens.
    """
    z = np.array(logits, dtype=np.float32)
    generated = Counter(int(i) for i in context_token_ids[prompt_length:])
    frequency, presence = parameters.frequency_penalty, parameters.presence_penalty
    watermark = _watermark(parameters)
    if watermark is not None:
        green = green_ids(watermark, context_token_ids, len(z))
        _edit(z, green, lambda value, _: value + watermark.delta)
    seen = {int(i) for i in context_token_ids}
    _edit(z, seen, lambda value, _: _repetition(value, parameters.repetition_penalty))
    _edit(z, generated, lambda value, i: value - frequency * generated[i])
    _edit(z, generated, lambda value, _: value - presence)
    bias = parameters.logit_bias or {}
    _edit(z, bias, lambda value, i: value + bias[i])
    return z


def _watermark(parameters: SamplingParameters) -> Watermark | None:
    if isinstance(parameters.watermark, Watermark):
        return parameters.watermark
    return Watermark() if parameters.watermark else None


def _repetition(value: float, penalty: float) -> float:
    return value * penalty if value < 0.0 else value / penalty


def _edit(z: np.ndarray, ids: Iterable[int], change: Callable[[float, int], float]) -> None:
    for i in ids:
        with np.errstate(over="ignore"):  # what overflows float32 is an infinity
            z[i] = np.float32(change(float(z[i]), i))
