"""The masks of a whole batch in one call of a kernel, without the GIL."""

from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
import numpy.typing as npt

from sampler.grammar.bitmask import checked_row, words_per_row
from sampler.grammar.engine.matcher import ENDED, GrammarMatcher
from sampler.kernels.grammar.matching import fill_rows


def fill_bitmasks(
    matchers: Sequence[GrammarMatcher | None], bitmask: npt.NDArray[np.int32]
) -> None:
    """None; writes the tokens that matcher i allows next to row i of `bitmask`.

    Parameters
    ----------
    matchers : of any grammars over one vocabulary; None leaves its row as it is
    bitmask : int32[>= len(matchers), ceil(vocab / 32)]; further rows stay as they are

    Raises
    ------
    InvalidParameterError : a wrong dtype or shape
    GrammarLimitError : an automaton would grow beyond a limit; other rows may be written or not
    """
    rows = [(row, matcher) for row, matcher in enumerate(matchers) if matcher is not None]
    for row, matcher in rows[-1:] + rows[:1]:
        checked_row(bitmask, row, words_per_row(matcher.grammar.tokens.vocab_size))
    if not rows:
        return
    if bitmask.ndim != 2 or not bitmask.flags.carray:
        for row, matcher in rows:
            matcher.fill_next_token_bitmask(bitmask, row)
        return
    walking = [(row, matcher) for row, matcher in rows if matcher.job[1] != ENDED]
    failed = _fill_at_once(walking, bitmask)
    ended = [(row, matcher) for row, matcher in rows if matcher.job[1] == ENDED]
    for row, matcher in [*ended, *failed]:
        matcher.fill_next_token_bitmask(bitmask, row)


def _fill_at_once(
    rows: list[tuple[int, GrammarMatcher]], bitmask: npt.NDArray[np.int32]
) -> list[tuple[int, GrammarMatcher]]:
    """Those of `rows` that need something first; the others are written."""
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
