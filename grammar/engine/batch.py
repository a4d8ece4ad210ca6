"""The masks of a whole batch in one call of a kernel, without the GIL."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sampler.errors import InvalidParameterError
from sampler.grammar.bitmask import checked_row, words_per_row
from sampler.grammar.engine.matcher import ENDED, GrammarMatcher
from sampler.kernels.grammar.matching import fill_rows

if TYPE_CHECKING:
    from sampler.grammar.compiler import AnyMatcher


def fill_bitmasks(
    matchers: Sequence["AnyMatcher | None"], bitmask: npt.NDArray[np.int32]
) -> dict[int, Exception]:
    """Writes the tokens that matcher i allows next to row i of `bitmask`.

    The errors of rows that could not be filled, by row, GrammarLimitError where an automaton would
    grow beyond a limit: there nothing is allowed, and the other rows are as they should be.

    Parameters
    ----------
    matchers : of any grammars over one vocabulary; None leaves its row as it is
    bitmask : int32[>= len(matchers), ceil(vocab / 32)]; further rows stay as they are

    Raises
    ------
    InvalidParameterError : a wrong dtype or shape
    """
    errors: dict[int, Exception] = {}
    at_once: list[tuple[int, GrammarMatcher]] = []
    others: list[tuple[int, AnyMatcher]] = []
    for row, matcher in enumerate(matchers):
        if isinstance(matcher, GrammarMatcher) and matcher.job[1] != ENDED:
            at_once.append((row, matcher))
        elif matcher is not None:
            others.append((row, matcher))
    for row, matcher in at_once[-1:] + at_once[:1]:
        checked_row(bitmask, row, words_per_row(matcher.grammar.tokens.vocab_size))
    if at_once and not (bitmask.ndim == 2 and bitmask.flags.carray):
        at_once, others = [], [*at_once, *others]
    for row, matcher in [*others, *_fill_at_once(at_once, bitmask)]:
        try:
            matcher.fill_next_token_bitmask(bitmask, row)
        except InvalidParameterError:
            raise
        except Exception as error:  # whatever it is, it is that row's
            bitmask[row] = 0
            errors[row] = error
    return errors


def _fill_at_once(
    rows: list[tuple[int, GrammarMatcher]], bitmask: npt.NDArray[np.int32]
) -> list[tuple[int, GrammarMatcher]]:
    """Those of `rows` that need something first; the others are written."""
    if not rows:
        return []
    jobs = np.zeros((len(rows), 4), np.int64)
    for job, (row, matcher) in zip(jobs, rows, strict=True):
        job[:3] = *matcher.job, row
    grammars = {matcher.grammar for _, matcher in rows}
    with ExitStack() as locks:
        for grammar in sorted(grammars, key=lambda grammar: grammar.number):
            locks.enter_context(grammar.lock)
        fill_rows(jobs.ctypes.data, len(rows), bitmask, False)
    failed = []
    for (row, matcher), is_failed in zip(rows, jobs[:, 3].tolist(), strict=True):
        if is_failed:
            failed.append((row, matcher))
        else:
            matcher.forbid_repeated(bitmask, row)
    return failed
