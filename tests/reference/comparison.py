"""Product against reference, for one case: the same, undecided, or what differs."""

import math
from collections import Counter
from collections.abc import Iterable

import numpy as np

from reference.cases import Case
from reference.sampling import (
    UNDECIDED,
    Outcome,
    ReferenceDistribution,
    ReferenceToken,
    reference_distribution,
    reference_token,
)
from sampler import BatchSampler, Distribution, SampledTokens, next_token_distribution
from sampler.errors import LogitsError

SAME = "same"
OPEN = "undecided: a decision lies within 1e-12 of its boundary"
TOLERANCE = 1e-9


def verdicts(cases: Iterable[Case]) -> Counter[str]:
    """How many of the cases are the same and how many open; fails on all others."""
    counts: Counter[str] = Counter()
    for index, case in enumerate(cases):
        verdict = compare(case)
        assert verdict in (SAME, OPEN), (
            f"case {index}, V = {case.vocab_size}: {verdict}\n{case.parameters}"
        )
        counts[verdict] += 1
    return counts


def compare(case: Case) -> str:
    """SAME, OPEN, or what differs in the distribution or in the token drawn from it."""
    expected = reference_distribution(
        case.logits, case.parameters, case.context, len(case.prompt), case.allowed
    )
    if expected.slack <= UNDECIDED:
        return OPEN
    problem = distribution_problem(case, expected)
    if problem:
        return f"next_token_distribution: {problem}"
    token = reference_token(
        case.logits, case.parameters, expected, case.parameters.seed, len(case.generated)
    )
    if token.slack <= UNDECIDED:
        return OPEN
    problem = token_problem(sampled(case), 0, token)
    return f"BatchSampler.sample: {problem}" if problem else SAME


def distribution_problem(case: Case, expected: ReferenceDistribution) -> str | None:
    """How `next_token_distribution` differs from the reference, or None."""
    given = distribution_of(case)
    if given is None or expected.outcome is not Outcome.DRAWABLE:
        refused = given is None and expected.outcome is not Outcome.DRAWABLE
        return None if refused else f"expected {expected.outcome}, given {given}"
    if given.greedy != expected.greedy:
        return f"expected greedy={expected.greedy}, given {given.greedy}"
    if not np.array_equal(given.token_ids, expected.token_ids):
        return f"expected kept ids {expected.token_ids}, given {given.token_ids}"
    if not all(map(same_float64, given.logprobs, expected.logprobs)):
        return f"expected logprobs {expected.logprobs}, given {given.logprobs}"
    return None


def distribution_of(case: Case) -> Distribution | None:
    """What the product says of a case; None when nothing can be drawn."""
    try:
        return next_token_distribution(
            case.logits,
            case.parameters,
            context_token_ids=case.context,
            prompt_length=len(case.prompt),
            bitmask=case.bitmask,
        )
    except LogitsError:
        return None


def sampled(case: Case) -> SampledTokens:
    """What a `BatchSampler` of one row draws for a case."""
    sampler = BatchSampler(case.vocab_size, 1)
    handle = sampler.add(case.parameters, case.prompt)
    for token_id in case.generated:
        sampler.push(handle, token_id)
    return sampler.sample(case.logits[None], None if case.bitmask is None else case.bitmask[None])


def token_problem(given: SampledTokens, row: int, expected: ReferenceToken) -> str | None:
    """How one row of a sampled batch differs from the reference, or None."""
    token_id, n = int(given.token_ids[row]), len(expected.top_token_ids)
    error = given.errors.get(row)
    refused = expected.outcome is not Outcome.DRAWABLE
    if token_id != expected.token_id or isinstance(error, LogitsError) != refused:
        return f"{expected.outcome}: expected {expected.token_id}, given {token_id} and {error!r}"
    for name in ("logprob", "processed_logprob"):
        logprob, right = getattr(given, f"{name}s")[row], getattr(expected, name)
        if not same_float32(logprob, right):
            return f"expected {name} {right}, given {logprob}"
    top_ids, top_logprobs = given.top_token_ids[row], given.top_logprobs[row]
    if tuple(top_ids[:n].tolist()) != expected.top_token_ids or np.any(top_ids[n:] != -1):
        return f"expected top tokens {expected.top_token_ids}, given {top_ids}"
    same = all(map(same_float32, top_logprobs[:n], expected.top_logprobs))
    if not same or np.any(top_logprobs[n:] != -math.inf):
        return f"expected top logprobs {expected.top_logprobs}, given {top_logprobs}"
    return None


def same_float64(given: float, expected: float) -> bool:
    """Whether a float64 logprob is right: 1e-9, relative for what is far below -1."""
    return given == expected or abs(given - expected) <= TOLERANCE * max(1.0, abs(expected))


def same_float32(given: np.float32, expected: float) -> bool:
    """Whether a float32 is the rounding of a float64 logprob that is right."""
    with np.errstate(over="ignore", invalid="ignore"):  # far below -3e38 is -inf, of no spacing
        rounded = np.float32(expected)
        step = float(np.spacing(np.abs(rounded)))
    near = abs(float(given) - expected) <= step + TOLERANCE * max(1.0, abs(expected))
    return bool(given == rounded or near)
