"""The definition of sampling, one row at a time: rank, truncate, draw, report.

Everything is float64 from the float32 logits on. Sums are compensated, so their own error is far
below the 1e-12 of a boundary within which the definition leaves a decision open; `slack` tells how
near the closest decision was, and whoever compares accepts another answer only below `UNDECIDED`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from reference.edits import edited_logits
from reference.philox import uniform
from sampler import SamplingParameters

UNDECIDED = 1e-12
SMALLEST_NORMAL = 2.0**-1022


class Outcome(Enum):
    """Whether a token can be drawn from a row, and if not, why."""

    DRAWABLE = "a token can be drawn"
    NOT_A_LOGIT = "NaN or +inf where the mask allows"
    NOTHING_ALLOWED = "every id is masked or -inf"


@dataclass(frozen=True)
class ReferenceDistribution:
    """What one row is drawn from, most probable first; empty unless the outcome is DRAWABLE.

    `weights` and `logprobs` belong to `token_ids`. Top tokens are the first of `reported_ids`: the
    same ids, or when greedy the whole allowed row. `slack` is the distance of the nearest
    truncation to its boundary.
    """

    outcome: Outcome
    greedy: bool
    token_ids: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    weights: np.ndarray = field(default_factory=lambda: np.empty(0))
    logprobs: np.ndarray = field(default_factory=lambda: np.empty(0))
    reported_ids: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    reported_logprobs: np.ndarray = field(default_factory=lambda: np.empty(0))
    slack: float = math.inf


@dataclass(frozen=True)
class ReferenceToken:
    """One drawn token and its report; `slack` also covers the distance to an edge of the CDF."""

    outcome: Outcome
    token_id: int = -1
    logprob: float = -math.inf
    processed_logprob: float = -math.inf
    top_token_ids: tuple[int, ...] = ()
    top_logprobs: tuple[float, ...] = ()
    slack: float = math.inf


def reference_distribution(
    logits: np.ndarray,
    parameters: SamplingParameters,
    context_token_ids: Sequence[int] = (),
    prompt_length: int = 0,
    allowed: np.ndarray | None = None,
) -> ReferenceDistribution:
    """The distribution of the next token of one row: float32[V], allowed: bool[V] or None."""
    greedy = is_greedy(parameters)
    z = edited_logits(logits, parameters, context_token_ids, prompt_length)
    ids = np.arange(len(z)) if allowed is None else np.flatnonzero(allowed)
    if np.any(np.isnan(z[ids]) | (z[ids] == math.inf)):
        return ReferenceDistribution(Outcome.NOT_A_LOGIT, greedy)
    ranked = by_rank(z, ids)
    if len(ranked) == 0:
        return ReferenceDistribution(Outcome.NOTHING_ALLOWED, greedy)
    t = scaled(z, ranked, 1.0 if greedy else parameters.temperature)
    if greedy:
        kept, slack, reported = np.arange(1), math.inf, np.arange(len(t))
    else:
        kept, slack = truncate(ranked, t, parameters)
        reported = kept
    logprobs = log_softmax(t[reported])
    return ReferenceDistribution(
        outcome=Outcome.DRAWABLE,
        greedy=greedy,
        token_ids=ranked[kept],
        weights=np.exp(t[kept]),
        logprobs=logprobs[: len(kept)],
        reported_ids=ranked[reported],
        reported_logprobs=logprobs,
        slack=slack,
    )


def reference_token(
    logits: np.ndarray,
    parameters: SamplingParameters,
    distribution: ReferenceDistribution,
    seed: int,
    position: int,
) -> ReferenceToken:
    """The token of one row, drawn from its `distribution`, with its logprob and top tokens."""
    if distribution.outcome is not Outcome.DRAWABLE:
        return ReferenceToken(distribution.outcome)
    token_id, slack = reference_draw(distribution, uniform(seed, position))
    if parameters.logprobs == "raw":
        ids, logprobs = raw_logprobs(logits)
    else:
        ids, logprobs = distribution.reported_ids, distribution.reported_logprobs
    n = parameters.top_n_tokens
    return ReferenceToken(
        outcome=Outcome.DRAWABLE,
        token_id=token_id,
        logprob=float(logprobs[ids == token_id][0]),
        processed_logprob=float(distribution.logprobs[distribution.token_ids == token_id][0]),
        top_token_ids=tuple(ids[:n].tolist()),
        top_logprobs=tuple(logprobs[:n].tolist()),
        slack=min(slack, distribution.slack),
    )


def reference_draw(distribution: ReferenceDistribution, u: float) -> tuple[int, float]:
    """The first id, ascending, whose cumulative weight exceeds u * total; and the slack."""
    if distribution.greedy:
        return int(distribution.token_ids[0]), math.inf
    ascending = np.argsort(distribution.token_ids)
    cumulative = prefix_sums(distribution.weights[ascending])
    total = cumulative[-1]
    drawn = ascending[np.flatnonzero(cumulative > u * total)[0]]
    inner_edges = cumulative[cumulative < total]
    slack = float(np.min(np.abs(inner_edges - u * total), initial=math.inf) / total)
    return int(distribution.token_ids[drawn]), slack


def raw_logprobs(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The model's own finite ids in rank order, and the log-softmax of its row at each of them."""
    z = np.asarray(logits, dtype=np.float32)
    ranked = by_rank(z, np.flatnonzero(np.isfinite(z)))
    return ranked, log_softmax(scaled(z, ranked, 1.0))


def is_greedy(parameters: SamplingParameters) -> bool:
    """Whether the first of the rank is taken: temperature 0, or nothing that asks for a draw."""
    asks_for_a_draw = (
        parameters.do_sample
        or parameters.temperature != 1.0
        or parameters.top_k != 0
        or parameters.top_p != 1.0
        or parameters.typical_p != 1.0
        or parameters.min_p != 0.0
    )
    return parameters.temperature == 0.0 or not asks_for_a_draw


def by_rank(z: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The ids whose logit is above -inf: by logit, descending, then by id."""
    ids = ids[z[ids] > -math.inf]
    return ids[np.lexsort((ids, -z[ids]))]


def scaled(z: np.ndarray, ranked: np.ndarray, temperature: float) -> np.ndarray:
    """(z - z_max) / T in float64 for ids in rank order."""
    if len(ranked) == 0:
        return np.empty(0)
    values = z[ranked].astype(np.float64)
    with np.errstate(over="ignore"):  # below every float64 is as good as -inf
        return (values - values[0]) / temperature


def log_softmax(t: np.ndarray) -> np.ndarray:
    """T - log(sum of exp(t)), finite wherever t is, even where exp(t) underflows."""
    return t - math.log(math.fsum(np.exp(t))) if len(t) else t


def prefix_sums(values: np.ndarray) -> np.ndarray:
    """Inclusive cumulative sums, each within one rounding of exact (Neumaier's compensation)."""
    sums = np.empty(len(values))
    total = lost = 0.0
    for place, value in enumerate(values.tolist()):
        larger = total + value
        lost += (total - larger) + value if total >= value else (value - larger) + total
        total = larger
        sums[place] = total + lost
    return sums


def truncate(
    ids: np.ndarray, t: np.ndarray, parameters: SamplingParameters
) -> tuple[np.ndarray, float]:
    """The places of a ranked row that every truncation keeps, ascending, and the least slack."""
    kept = np.arange(len(t))
    slacks = [math.inf]
    if parameters.top_k != 0:
        kept = kept[: parameters.top_k]
    if parameters.top_p != 1.0:
        count, slack = share(np.exp(t[kept]), parameters.top_p)
        kept, slacks = kept[:count], [*slacks, slack]
    if parameters.typical_p != 1.0:
        places, slack = typical(ids[kept], t[kept], parameters.typical_p)
        kept, slacks = kept[places], [*slacks, slack]
    if parameters.min_p != 0.0:
        stays, slack = at_least(t[kept], parameters.min_p)
        kept, slacks = kept[stays], [*slacks, slack]
    return kept, min(slacks)


def share(ordered_weights: np.ndarray, p: float) -> tuple[int, float]:
    """How many stay when each needs less than p of the mass before it; at least the first.

    Source: Holtzman et al., "The Curious Case of Neural Text Degeneration" (arXiv 1904.09751),
    section 3.1, for weights in rank order.
    """
    sums = prefix_sums(ordered_weights)
    before, boundary = sums[:-1], p * sums[-1]
    slack = float(np.min(np.abs(before - boundary), initial=math.inf) / sums[-1])
    return 1 + int(np.count_nonzero(before < boundary)), slack


def typical(ids: np.ndarray, t: np.ndarray, typical_p: float) -> tuple[np.ndarray, float]:
    """The places, ascending, that locally typical sampling keeps of a set.

    Source: Meister et al., "Locally Typical Sampling" (arXiv 2202.00666), section 4.
    """
    weights = np.exp(t)
    surprise = -log_softmax(t)
    positive = weights > 0.0  # 0 log 0 = 0
    entropy = math.fsum(weights[positive] * surprise[positive]) / math.fsum(weights)
    distance = np.abs(surprise - entropy)
    order = np.lexsort((ids, distance))
    count, slack = share(weights[order], typical_p)
    slack = min(slack, _order_slack(t[order], distance[order], count - 1))
    return np.sort(order[:count]), slack


def _order_slack(t: np.ndarray, distance: np.ndarray, last: int) -> float:
    """How clearly the last one kept is apart from the next nearer and the next farther one.

    Equal t are equally far in any arithmetic, so only the order of different ones is open.
    """
    gaps = np.abs(distance[t != t[last]] - distance[last])
    return float(np.min(gaps, initial=math.inf)) / max(1.0, float(distance[last]))


def at_least(t: np.ndarray, min_p: float) -> tuple[np.ndarray, float]:
    """Which have min_p times the largest weight, as booleans; the slack is relative to that.

    Source: Nguyen et al., "Turning Up the Heat: Min-p Sampling" (arXiv 2407.01082), section 3.
    """
    weights = np.exp(t)
    least = min_p * weights.max()
    others = weights[t < t.max()]  # the largest stays, whatever the rounding
    unit = max(least, SMALLEST_NORMAL / UNDECIDED)  # subnormal weights have few digits
    slack = float(np.min(np.abs(others - least), initial=math.inf) / unit)
    return weights >= least, slack
