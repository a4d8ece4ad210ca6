"""Each contender against the definition in tests/reference, on the rows that are then timed.

This library must give the reference's kept set, token and logprobs. Others compute in float32 and
may decide a boundary differently: up to 0.1 % of the mass, which is told. What is further off is
another distribution, and is not timed.
"""

from functools import lru_cache

import numpy as np
from reference.cases import Case
from reference.comparison import distribution_problem, token_problem
from reference.sampling import (
    UNDECIDED,
    ReferenceDistribution,
    reference_distribution,
    reference_token,
)

from benchmarks.sampling_contenders import Contender, Distribution, Sampler, Yardstick
from benchmarks.sampling_rows import Array, Problem
from sampler import SamplingParameters

CHECKED_ROWS = 4
TOLERANCE = 1e-3  # of the mass of the kept set, and of a logprob


class WrongAnswer(Exception):
    """A contender that draws from another distribution than the definition's."""


def check(contender: Contender, problem: Problem) -> str:
    """ "exact", or how many ids were kept or dropped otherwise; raises WrongAnswer beyond that."""
    if isinstance(contender, Yardstick):
        return ""
    if isinstance(contender, Sampler):
        return _check_sampler(contender, problem)
    different = kept = 0
    contender.restart()
    for index in range(min(CHECKED_ROWS, problem.rotated_sets)):
        given = contender.inputs[index]
        drawn = [np.asarray(values).ravel() for values in contender.step(given)]
        logits = contender.watermarked(given)
        distributions = contender.distributions(given)
        for b in range(min(CHECKED_ROWS, problem.batch_size)):
            expected = _expected(problem, index, b, None if logits is None else logits[b])
            different += _difference(distributions[b], expected)
            kept += len(expected.token_ids)
            _check_drawn(int(drawn[0][b]), float(drawn[1][b]), expected)
    return f"{different} of {kept} ids differ" if different else "exact"


def _difference(given: Distribution, expected: ReferenceDistribution) -> int:
    """How many ids only one side keeps."""
    order = np.argsort(given[0])
    ids, logprobs = given[0][order], given[1][order]
    right = np.argsort(expected.token_ids)
    right_ids, right_logprobs = expected.token_ids[right], expected.logprobs[right]
    extra, missing = ~np.isin(ids, right_ids), ~np.isin(right_ids, ids)
    mass = np.exp(logprobs[extra]).sum() + np.exp(right_logprobs[missing]).sum()
    if not mass <= TOLERANCE:
        raise WrongAnswer(f"kept {len(ids)} ids for {len(right_ids)}; mass {mass:.2g} differs")
    gaps = np.abs(np.exp(logprobs[~extra]) / np.exp(right_logprobs[~missing]) - 1.0)
    if not np.all((gaps <= 2 * TOLERANCE) | np.isnan(logprobs[~extra])):
        raise WrongAnswer(f"a probability is off by {np.nanmax(gaps):.2g} of itself")
    return int(np.count_nonzero(extra) + np.count_nonzero(missing))


def _check_drawn(token_id: int, logprob: float, expected: ReferenceDistribution) -> None:
    """That `step` drew from the kept set (but for a boundary) and told the logprob, if it does."""
    place = np.flatnonzero(expected.token_ids == token_id)
    if len(place) == 0 and len(expected.token_ids) < 1 / TOLERANCE:
        raise WrongAnswer(f"drew {token_id}, which is not kept")
    if len(place) and abs(logprob - expected.logprobs[place[0]]) > 2 * TOLERANCE:
        raise WrongAnswer(f"told {logprob} for {expected.logprobs[place[0]]}")


def _check_sampler(contender: Sampler, problem: Problem) -> str:
    """Kept set, token, logprobs and top tokens of this library, at the reference's precision."""
    for index in range(min(CHECKED_ROWS, problem.rotated_sets)):
        contender.restart()
        sampled = contender.step(contender.inputs[index])
        for b in range(min(CHECKED_ROWS, problem.batch_size)):
            case, expected = _case(problem, index, b), _expected(problem, index, b)
            seed = case.parameters.seed
            token = reference_token(case.logits, case.parameters, expected, seed, 0)
            if min(expected.slack, token.slack) <= UNDECIDED:
                continue
            wrong = distribution_problem(case, expected) or token_problem(sampled, b, token)
            if wrong:
                raise WrongAnswer(wrong)
    return "exact"


def _case(problem: Problem, index: int, b: int) -> Case:
    bitmask = problem.bitmasks[index]
    return Case(
        problem.logits[index][b],
        problem.chain.parameters,
        tuple(problem.context.tolist()),
        bitmask=None if bitmask is None else bitmask[b],
    )


def _expected(
    problem: Problem, index: int, b: int, watermarked: Array | None = None
) -> ReferenceDistribution:
    if watermarked is None:
        return _reference(problem, index, b)
    case = _case(problem, index, b)
    parameters = SamplingParameters(**{**problem.chain.settings, "watermark": False})
    return reference_distribution(watermarked, parameters, case.context, len(case.prompt))


@lru_cache(maxsize=CHECKED_ROWS)
def _reference(problem: Problem, index: int, b: int) -> ReferenceDistribution:
    """The definition's distribution, kept while contenders of one problem are checked."""
    case = _case(problem, index, b)
    return reference_distribution(
        case.logits, case.parameters, case.context, len(case.prompt), case.allowed
    )
