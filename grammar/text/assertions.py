"""Assertions inside of patterns, which look at what stands around them, and their derivatives.

A pattern with assertions is a body: a term with the leaves `Ahead` and `Behind` in it. `Placed` is
a body at a place in a text, up to its end: it knows what of the text has been read, as far as its
look-behinds ask for it, as what is left of them (the derivative of a look-behind by what has been
read takes the empty text exactly where the look-behind holds).

Whether a body takes the empty text, or which of its parts takes the next character, then depends on
the rest of the text, so both come with conditions on the rest, which are languages again:

    d(ahead(x) y) = d(x) & d(y)      behind(x) y = y where x holds

Rejected design: look-aheads as intersections when the pattern is read. That is how they end up, and
what `regex.py` does where it can, but in a loop the rest of the text is not known by then.
"""

from collections.abc import Iterable

from sampler.grammar.text.derivatives import PARTS, ROWS, before, refined, row
from sampler.grammar.text.term_kinds import Alternation, Concat, Repeat, Row, chain
from sampler.grammar.text.terms import Term

Left = tuple[tuple[Term, Term], ...]  # look-behinds, and what is left of each


class Ahead(Term):
    """Nothing, where the rest of the text is one of `body`, or is not, if negated."""

    __slots__ = ("body", "is_negated")

    def __init__(self, body: Term, is_negated: bool) -> None:
        super().__init__(body.pool, False, 0, 0)
        self.body, self.is_negated = body, is_negated
        self._nest((body,))
        self.has_assertions = True
        self.is_plain = self.is_exact = False


class Behind(Term):
    """Nothing, where the text so far is one of `texts`, or is not, if negated."""

    __slots__ = ("is_negated", "texts")

    def __init__(self, texts: Term, is_negated: bool) -> None:
        super().__init__(texts.pool, False, 0, 0)
        self.texts, self.is_negated = texts, is_negated
        self._nest((texts,))
        self.has_assertions = True
        self.is_plain = self.is_exact = False


class Placed(Term):
    """The texts of `body` after a text of which `left` is what look-behinds remember."""

    __slots__ = ("body", "left")

    def __init__(self, body: Term, left: Left) -> None:
        super().__init__(body.pool, False, body.shortest, body.longest)
        self.body, self.left = body, left
        self._nest((body, *(term for _, term in left)))
        self.nullable = _condition(body, left).nullable
        self.has_assertions = self.is_plain = self.is_exact = False


def ahead(body: Term, is_negated: bool = False) -> Term:
    """A look-ahead: the rest of the text, to its end, is one of `body`."""
    key = (Ahead, body, is_negated)
    return body.pool.interned(key, lambda: Ahead(body, is_negated))


def behind(texts: Term, is_negated: bool = False) -> Term:
    """A look-behind: the text so far, from its beginning, is one of `texts`."""
    key = (Behind, texts, is_negated)
    return texts.pool.interned(key, lambda: Behind(texts, is_negated))


def whole_text(body: Term) -> Term:
    """The texts of `body`, whose assertions look at nothing else."""
    return _placed(body, tuple((texts, texts) for texts in _look_behinds(body)))


def _placed(body: Term, left: Left) -> Term:
    """The texts of `body` at a place; assertions that can be told from here are none any more."""
    pool = body.pool
    first, rest = _split(body)
    if isinstance(first, Ahead | Behind):
        conditions = []
        while isinstance(first, Ahead | Behind):
            conditions.append(_condition(first, left))
            body = rest
            first, rest = _split(body)
        return pool.intersection((*conditions, _placed(body, left)))
    if not body.has_assertions:
        return body
    if isinstance(body, Alternation):
        return pool.alternation(_placed(part, left) for part in body.parts)
    if isinstance(first, Alternation) and first.has_assertions:
        return pool.alternation(_placed(pool.before(part, rest), left) for part in first.parts)
    needed = _look_behinds(body)
    for texts, term in left:
        if texts in needed and (term is pool.empty or term is pool.anything):
            return _placed(_settled(body, texts, term is pool.anything), left)
    kept = tuple(pair for pair in left if pair[0] in needed)
    return pool.interned((Placed, body, kept), lambda: Placed(body, kept))


def _split(body: Term) -> tuple[Term, Term]:
    return (body.first, body.rest) if isinstance(body, Concat) else (body, body.pool.epsilon)


def _look_behinds(body: Term) -> dict[Term, None]:
    """What the look-behinds in `body` look for."""
    found: dict[Term, None] = {}
    seen, pending = {body}, [body]
    while pending:
        at = pending.pop()
        if isinstance(at, Behind):
            found[at.texts] = None
        elif at.has_assertions:
            following = [part for part in PARTS[type(at)](at) if part not in seen]
            pending += following
            seen.update(following)
    return found


def _settled(body: Term, texts: Term, holds: bool) -> Term:
    """`body` where the look-behind for `texts` holds from now on, or never again."""
    pool = body.pool
    if not body.has_assertions:
        return body
    if isinstance(body, Behind) and body.texts is texts:
        return pool.epsilon if holds != body.is_negated else pool.empty
    if isinstance(body, Ahead):
        return ahead(_settled(body.body, texts, holds), body.is_negated)
    if isinstance(body, Alternation):
        return pool.alternation(_settled(part, texts, holds) for part in body.parts)
    if isinstance(body, Concat):
        return pool.concat(_settled(part, texts, holds) for part in chain(body))
    if isinstance(body, Repeat):
        return pool.repeat(_settled(body.inner, texts, holds), body.low, body.high)
    return body


def _condition(body: Term, left: Left) -> Term:
    """What the rest of the text must be for `body` to take nothing of it."""
    pool = body.pool
    holds: bool | None = None
    if not body.has_assertions:
        holds = body.nullable
    elif isinstance(body, Behind):
        holds = dict(left)[body.texts].nullable != body.is_negated
    elif isinstance(body, Repeat) and body.low == 0:
        holds = True
    if holds is not None:
        return pool.anything if holds else pool.empty
    if isinstance(body, Ahead):
        rest = _placed(body.body, left)
        return pool.complement(rest) if body.is_negated else rest
    if isinstance(body, Alternation):
        return pool.alternation(_condition(part, left) for part in body.parts)
    if isinstance(body, Repeat):
        return _condition(body.inner, left)
    return pool.intersection(_condition(part, left) for part in chain(body))


Step = tuple[Term, Term, Term]  # what takes the next character, what follows it, on what condition


def _steps(body: Term, rest: Term, condition: Term, left: Left) -> Iterable[Step]:
    """The parts of ``body rest`` in `body` that may take the next character."""
    pool = body.pool
    if condition is pool.empty or isinstance(body, Ahead | Behind):
        return
    if not body.has_assertions:
        yield body, rest, condition
    elif isinstance(body, Alternation):
        for part in body.parts:
            yield from _steps(part, rest, condition, left)
    elif isinstance(body, Repeat):
        inner, low, high = body.inner, body.low, body.high
        fewer = pool.repeat(inner, max(low - 1, 0), None if high is None else high - 1)
        yield from _steps(inner, pool.before(fewer, rest), condition, left)
        if low > 1:  # some of the first times may take nothing
            condition = condition & _condition(inner, left)
            fewer = pool.repeat(inner, 0, None if high is None else high - 2)
            yield from _steps(inner, pool.before(fewer, rest), condition, left)
    else:
        following = [*chain(body)]
        for at, part in enumerate(following):
            after = pool.concat((*following[at + 1 :], rest))
            yield from _steps(part, after, condition, left)
            condition = condition & _condition(part, left)
            if condition is pool.empty:
                return


def _placed_row(term: Placed) -> Row:
    pool = term.pool
    left = term.left
    steps = [*_steps(term.body, pool.epsilon, pool.anything, left)]
    if not steps:
        return row(pool.empty)
    rows: list[Row] = []
    for part, rest, condition in steps:
        partition, targets = row(part)
        rows += ((partition, before(targets, rest)), row(condition))
    rows += (row(texts) for _, texts in left)
    partition, columns = refined(pool, rows)
    targets_found = []
    for column in columns:
        remembered = column[2 * len(steps) :]
        after = tuple((pair[0], now) for pair, now in zip(left, remembered, strict=True))
        found = [_placed(column[at], after) & column[at + 1] for at in range(0, 2 * len(steps), 2)]
        targets_found.append(pool.alternation(found))
    return partition, tuple(targets_found)


ROWS[Placed] = _placed_row
PARTS[Ahead] = lambda term: (term.body,)
PARTS[Behind] = lambda term: (term.texts,)
PARTS[Placed] = lambda term: (term.body, *(left for _, left in term.left))
