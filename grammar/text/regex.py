r"""Regular expressions as terms.

Rule of the file: a part is translated together with what follows it, so that a look-ahead before a
known rest is an intersection with it, and ``$`` leaves of the rest its empty text. Assertions stay
leaves (see assertions.py) only in loops, and where they look at what stands before them; ``^`` at
the beginning of an alternative does not, because the alternatives are told apart by it.
"""

from collections.abc import Iterable, Iterator

from sampler.errors import UnsupportedSchemaError
from sampler.grammar.text.assertions import Behind, ahead, behind, whole_text
from sampler.grammar.text.emptiness import is_empty
from sampler.grammar.text.regex_syntax import parse_syntax
from sampler.grammar.text.regex_tree import (
    EMPTY,
    Chain,
    Choice,
    Count,
    Edge,
    Literal,
    Look,
    Node,
    Set,
)
from sampler.grammar.text.term_kinds import Alternation, Concat
from sampler.grammar.text.terms import Term, TermPool


def parse_regex(
    pattern: str, pool: TermPool, search: bool, *, max_depth: int = 64, pointer: str = ""
) -> Term:
    """The texts that `pattern` matches.

    Parameters
    ----------
    pattern : a regular expression of ECMA-262 with the flag ``u``; see regex_syntax.py
    pool : where the term is made
    search : whether a match anywhere in the text is enough (``pattern`` of JSON Schema), or only
        the whole text is a match
    max_depth : nesting of groups, >= 1
    pointer : where the pattern stands in a schema, for errors

    Raises
    ------
    GrammarError : not a regular expression; the message has the reason and the place
    UnsupportedSchemaError : back-references and other syntax that is not supported
    GrammarLimitError : nested too deeply, or too large
    """
    key = (pattern, search, max_depth)
    known = pool.patterns.get(key)
    if known is None:
        tree = parse_syntax(pattern, max_depth, pointer)
        known = _Translator(pool, pointer).whole(tree, open_start=search, open_end=search)
        pool.patterns[key] = known
    return known


_MOST_STARTS = 16  # parts at the beginning of a chain that are told apart by ^


class _Translator:
    def __init__(self, pool: TermPool, pointer: str) -> None:
        self.pool = pool
        self.pointer = pointer

    def whole(self, node: Node, open_start: bool, open_end: bool) -> Term:
        """The texts that `node` matches, or whose middle, beginning or end it matches."""
        pool = self.pool
        end = pool.anything if open_end else pool.epsilon
        at_start, anywhere = _by_start(node)
        found = [self.before(part, end) for part in at_start]
        for part in anywhere:
            body = self.before(part, end)
            found.append(self.somewhere(body) if open_start else body)
        return whole_text(pool.alternation(found))

    def somewhere(self, body: Term) -> Term:
        """`body` after any text."""
        pool = self.pool
        if isinstance(body, Alternation) and body.has_assertions:
            return pool.alternation(map(self.somewhere, body.parts))
        first, rest = (body.first, body.rest) if isinstance(body, Concat) else (body, pool.epsilon)
        if isinstance(first, Behind) and first.texts.is_plain:
            return pool.before(~first.texts if first.is_negated else first.texts, rest)
        return pool.before(pool.anything, body)

    def before(self, node: Node, rest: Term) -> Term:
        """`node` and then `rest`, which goes on to the end of the text."""
        pool = self.pool
        if not node.has_assertions:
            return pool.before(self.plain(node), rest)
        match node:
            case Choice(options):
                return pool.alternation([self.before(option, rest) for option in options])
            case Chain(parts):
                for part in reversed(parts):
                    rest = self.before(part, rest)
                return rest
            case Count():
                return pool.before(self.alone(node), rest)
            case Edge(False):
                return self.met(pool.epsilon, rest, is_negated=False)
            case Look(inner, True, is_negated):
                return self.met(self.before(inner, pool.anything), rest, is_negated)
        return pool.before(self.alone(node), rest)

    def met(self, looked_for: Term, rest: Term, is_negated: bool) -> Term:
        """`rest` where it is one of `looked_for` too, or is not, if negated."""
        if looked_for.has_assertions or rest.has_assertions:
            return self.pool.before(ahead(looked_for, is_negated), rest)
        both = rest & (~looked_for if is_negated else looked_for)
        return self.pool.empty if is_empty(both) else both

    def alone(self, node: Node) -> Term:
        """`node` with its assertions as leaves, whatever follows it."""
        pool = self.pool
        match node:
            case _ if not node.has_assertions:
                return self.plain(node)
            case Choice(options):
                return pool.alternation([self.alone(option) for option in options])
            case Chain(parts):
                return pool.concat([self.alone(part) for part in parts])
            case Count(inner, low, high):
                return pool.repeat(self.alone(inner), low, high)
            case Edge(is_start):
                return behind(pool.epsilon) if is_start else ahead(pool.epsilon)
            case Look(inner, True, is_negated):
                return ahead(self.before(inner, pool.anything), is_negated)
            case Look(inner, False, is_negated):
                return behind(self.looked_back_for(inner), is_negated)
        raise AssertionError(node)

    def looked_back_for(self, node: Node) -> Term:
        """The texts that end in a match of `node`."""
        if _looks_ahead(node):
            raise UnsupportedSchemaError(
                "look-behinds that look ahead are not supported",
                "pattern" if self.pointer else "regex",
                self.pointer,
            )
        return self.whole(node, open_start=True, open_end=False)

    def plain(self, node: Node) -> Term:
        """`node`, which has no assertions."""
        pool = self.pool
        match node:
            case Literal(text):
                return pool.literal(text)
            case Set(ranges):
                return pool.characters(ranges)
            case Choice(options):
                words = [part.text for part in options if isinstance(part, Literal)]
                others = [self.plain(part) for part in options if not isinstance(part, Literal)]
                return pool.alternation((pool.words(words), *others))
            case Count(inner, low, high):
                return pool.repeat(self.plain(inner), low, high)
            case Chain(parts):
                return pool.concat(self.joined(parts))
        raise AssertionError(node)

    def joined(self, parts: Iterable[Node]) -> Iterator[Term]:
        """`parts`, with single characters in a row as one literal text."""
        literal = ""
        for part in parts:
            match part:
                case Literal(text):
                    literal += text
                    continue
                case Set(((low, high),)) if low == high:
                    literal += chr(low)
                    continue
            yield self.pool.literal(literal)
            literal = ""
            yield self.plain(part)
        yield self.pool.literal(literal)


def _by_start(node: Node) -> tuple[list[Node], list[Node]]:
    """`node` as alternatives that only match at the beginning of the text, and all others."""
    match node:
        case Edge(True):
            return [EMPTY], []
        case Choice(options) if node.has_assertions:
            pairs = [_by_start(option) for option in options]
            at_start = [part for found, _ in pairs for part in found]
            return at_start, [part for _, found in pairs for part in found]
        case Chain((first, *_)) if first.has_assertions:
            return _chain_by_start(node.parts)
    return [], [node]


def _chain_by_start(parts: tuple[Node, ...]) -> tuple[list[Node], list[Node]]:
    at_start: list[Node] = []
    anywhere: list[Node] = []
    for at, part in enumerate(parts[:_MOST_STARTS]):
        rest = parts[at + 1 :]
        anchored, others = _by_start(part)
        at_start += [Chain((option, *rest)) for option in anchored if option is not EMPTY]
        found = anywhere if at == 0 else at_start  # all before may be nothing, at the beginning
        found += [Chain((option, *rest)) for option in others]
        if EMPTY not in anchored:
            return at_start, anywhere
    return [*at_start, Chain(parts[_MOST_STARTS:])], anywhere


def _looks_ahead(node: Node) -> bool:
    match node:
        case Chain(parts) | Choice(parts):
            return any(map(_looks_ahead, parts))
        case Count(inner) | Look(inner, False):
            return _looks_ahead(inner)
        case Edge(is_start):
            return not is_start
    return isinstance(node, Look)
