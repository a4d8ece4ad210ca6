"""Derivatives of terms: what may follow after one code point.

`row(term)` has the derivatives by all code points at once, as a partition of them and one term for
each class. Rows are kept on the terms, so whatever languages share is derived once.

    d(x y) = d(x) y | d(y) if x takes the empty text      d(x{n,m}) = d(x) x{n-1,m-1}
    d(x | y) = d(x) | d(y)      d(x & y) = d(x) & d(y)      d(~x) = ~d(x)

Source: Brzozowski, "Derivatives of Regular Expressions" (1964), theorem 3.1.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import Any

from sampler.grammar.characters import Ranges
from sampler.grammar.text.partitions import Event, Partition
from sampler.grammar.text.term_kinds import (
    Alternation,
    Automaton,
    Characters,
    Complement,
    Concat,
    Intersection,
    Repeat,
    Row,
    Words,
)
from sampler.grammar.text.terms import Term, TermPool


def row(term: Term) -> Row:
    """A partition of all code points, and the derivative of `term` by each of its classes."""
    known = term.row
    if known is None:
        known = term.row = ROWS[type(term)](term)
    return known


def derivative(term: Term, code_point: int) -> Term:
    """What the texts of `term` that begin with `code_point` go on with."""
    partition, targets = row(term)
    return targets[partition.class_of(code_point)]


def matches(term: Term, text: str) -> bool:
    """Whether `text` is a text of `term`."""
    for character in text:
        term = derivative(term, ord(character))
    return term.nullable


def alphabet(term: Term) -> Partition:
    """A partition into classes that no derivative of `term`, of any order, tells apart."""
    if term.alphabet is None:
        sets, points = _leaves(term)
        events: list[Event] = []
        for number, ranges in enumerate(sets):
            for low, high in ranges:
                events += ((low, 1 << number), (high + 1, -1 << number))
        for number, character in enumerate(points, 1):
            label, point = number << len(sets), ord(character)
            events += ((point, label), (point + 1, -label))
        term.alphabet = term.pool.partitions.of_events(events)
    return term.alphabet


def _leaves(term: Term) -> tuple[list[Ranges], set[str]]:
    """The sets of characters in `term`, and the characters of its words and automata."""
    sets: list[Ranges] = []
    points: set[str] = set()
    seen, pending = {term}, [term]
    while pending:
        at = pending.pop()
        if isinstance(at, Characters):
            sets.append(at.ranges)
        elif isinstance(at, Words):
            points.update(*at.table.words[at.low : at.high])
        elif isinstance(at, Automaton):
            points.update(at.machine.symbols)
        elif type(at) in PARTS:
            parts = [part for part in PARTS[type(at)](at) if part not in seen]
            pending += parts
            seen.update(parts)
    return sets, points


def refined(pool: TermPool, rows: Sequence[Row]) -> tuple[Partition, Iterable[tuple[Term, ...]]]:
    """The common partition of `rows`, and for each class what each row has there."""
    first = rows[0][0]
    if all(partition is first for partition, _ in rows):
        return first, zip(*(targets for _, targets in rows), strict=True)
    common = first
    for partition in dict.fromkeys(partition for partition, _ in rows):
        common = pool.partitions.refine(common, partition)[0]
    columns = []
    for partition, targets in rows:
        projection = pool.partitions.refine(common, partition)[2]
        columns.append([targets[number] for number in projection])
    return common, zip(*columns, strict=True)


def any_of(pool: TermPool, rows: Sequence[Row]) -> Row:
    """The row of an alternation, from the rows of its parts."""
    if len(rows) == 1:
        return rows[0]
    partition, columns = refined(pool, rows)
    return partition, tuple([pool.alternation(column) for column in columns])


def before(targets: Iterable[Term], rest: Term) -> tuple[Term, ...]:
    """Each of `targets`, and `rest` after it."""
    return tuple(map(rest.pool.before, targets, repeat(rest)))


def _characters(term: Characters) -> Row:
    targets = [term.pool.empty] * term.partition.count
    targets[term.member] = term.pool.epsilon
    return term.partition, tuple(targets)


def _words(term: Words) -> Row:
    pool, at, table = term.pool, term.at, term.table
    words, low = table.words, term.low
    if len(words[low]) == at:
        low += 1  # the word that ends here
    prefix = words[low][:at]
    found: dict[int, Term] = {}
    while low < term.high:
        point = ord(words[low][at])
        after = term.high
        if point < 0x10FFFF:
            after = bisect_left(words, prefix + chr(point + 1), low, term.high)
        found[point] = pool.words_from(table, low, after, at + 1)
        low = after
    partition = pool.partitions.of_points(found)
    return partition, tuple(found.get(first, pool.empty) for first in partition.firsts)


def _symbols(term: Automaton) -> Partition:
    return term.pool.partitions.of_points(map(ord, term.machine.symbols))


def _automaton(term: Automaton) -> Row:
    pool, machine = term.pool, term.machine
    partition = _symbols(term)
    targets = [pool.empty] * partition.count
    for symbol in machine.symbols:
        state = machine.step(term.state, symbol)
        if state is not None:
            targets[partition.class_of(ord(symbol))] = pool.automaton(machine, state)
    return partition, tuple(targets)


def _concat(term: Concat) -> Row:
    pending: list[Concat] = []
    at: Term = term
    while isinstance(at, Concat) and at.row is None:
        pending.append(at)
        if not at.first.nullable:
            break
        at = at.rest
    while pending:  # from the last one on, so that a long chain is not descended
        at = pending.pop()
        partition, targets = row(at.first)
        at.row = (partition, before(targets, at.rest))
        if at.first.nullable:
            at.row = any_of(term.pool, [at.row, row(at.rest)])
    return at.row  # type: ignore[return-value]


def _repeat(term: Repeat) -> Row:
    fewer = None if term.high is None else term.high - 1
    rest = term.pool.repeat(term.inner, max(term.low - 1, 0), fewer)
    partition, targets = row(term.inner)
    return partition, before(targets, rest)


def _alternation(term: Alternation) -> Row:
    return any_of(term.pool, [row(part) for part in term.parts])


def _intersection(term: Intersection) -> Row:
    pool = term.pool
    partition, columns = refined(pool, [row(part) for part in term.parts])
    return partition, tuple([pool.intersection(column) for column in columns])


def _complement(term: Complement) -> Row:
    pool = term.pool
    partition, targets = row(term.inner)
    return partition, (pool.empty, *map(pool.complement, targets[1:]))


# What each kind of term is derived by, and what it is made of; other modules add theirs.
ROWS: dict[type[Term], Callable[[Any], Row]] = {
    Characters: _characters,
    Words: _words,
    Automaton: _automaton,
    Concat: _concat,
    Repeat: _repeat,
    Alternation: _alternation,
    Intersection: _intersection,
    Complement: _complement,
}
PARTS: dict[type[Term], Callable[[Any], Iterable[Term]]] = {
    Concat: lambda term: (term.first, term.rest),
    Repeat: lambda term: (term.inner,),
    Alternation: lambda term: term.parts,
    Intersection: lambda term: term.parts,
    Complement: lambda term: (term.inner,),
}
