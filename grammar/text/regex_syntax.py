r"""Regular expressions read: the syntax of ECMA-262 with the flag ``u``, and what else is written.

Rule of the file: what ECMA-262 defines has the meaning that it has there. What other dialects add
is read where it has one meaning in all of them (``(?i)``, ``(?P<name>)``, ``\A``, ``\z``), and what
annex B of ECMA-262 allows where people write it (``\_``, ``a{b``, ``[\w-.]``). Everything else is
refused: by name where it is known (back-references, recursion, atomic groups), with the place where
it is not.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NoReturn

from sampler.errors import GrammarError, GrammarLimitError, UnsupportedSchemaError
from sampler.grammar import characters
from sampler.grammar.characters import Ranges
from sampler.grammar.text import letter_case
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
from sampler.grammar.text.unicode_properties import property_ranges

MAX_REPEAT = 1_000_000_000
MAX_ATOMS = 100_000  # characters, classes and groups of one expression

_LITERAL = re.compile(r"""[\w !"#%&',/:;<=>@`~-]+""")
_QUANTIFIER = re.compile(r"\*|\+|\?|\{([0-9]+)(?:(,)([0-9]*))?\}")
_GROUP_NAME = re.compile(r"\(\?P?<([^\W\d][\w$]*|\$[\w$]*)>")
_COMMENT = re.compile(r"\(\?#[^)]*\)")
_FLAGS = re.compile(r"\(\?([a-zA-Z]*)(?:-([a-zA-Z]+))?([:)])")
_HEX_ESCAPE = re.compile(r"x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,8})\}")
_LOW_SURROGATE = re.compile(r"\\u([dD][c-fC-F][0-9A-Fa-f]{2})")
_PROPERTY = re.compile(r"([pP])(?:\{([^}]*)\}|([A-Z]))")
_SHORT = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v"}
_CLASSES = {"d": characters.DIGIT, "w": characters.WORD, "s": characters.SPACE}
_NEUTRAL_FLAGS = "ua"  # what is always so: code points, and ASCII for \d and \w
_LOOKS = {"(?=": (True, False), "(?!": (True, True), "(?<=": (False, False), "(?<!": (False, True)}
_UNSUPPORTED_GROUPS = {
    "(?>": "atomic groups",
    "(?P=": "back-references",
    "(?(": "conditional groups",
    "(?R": "recursion",
    "(?&": "recursion",
    "(?P>": "recursion",
    "(?|": "groups that reset their numbers",
    "(?'": "groups named with quotation marks",
    "(*": "verbs",
}
_UNSUPPORTED_ESCAPES = {
    **dict.fromkeys("123456789kg", "back-references"),
    "G": "anchors to the last match",
    "K": "matches that begin anew",
}


@dataclass(frozen=True, slots=True)
class _Flags:
    """ignore_case, dot_all and multiline, as ``(?ism)`` set them."""

    i: bool = False
    s: bool = False
    m: bool = False


def parse_syntax(pattern: str, max_depth: int = 64, pointer: str = "") -> Node:
    """The tree of `pattern`.

    Parameters
    ----------
    pattern : the regular expression
    max_depth : nesting of groups, >= 1
    pointer : where the pattern stands in a schema, for errors

    Raises
    ------
    GrammarError : not a regular expression; the message has the reason and the place
    UnsupportedSchemaError : back-references and other syntax that is not supported
    GrammarLimitError : nested too deeply, or a counted repetition above `MAX_REPEAT`
    """
    return _Parser(pattern, max_depth, pointer).parse()


class _Parser:
    def __init__(self, text: str, max_depth: int, pointer: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.atoms = 0
        self.max_depth = max_depth
        self.pointer = pointer
        self.flags = _Flags()

    def parse(self) -> Node:
        node = self.choice()
        if self.at < len(self.text):
            self.fail("a closing parenthesis has no opening one")
        return node

    def fail(self, reason: str) -> NoReturn:
        raise GrammarError(f"regular expression, character {self.at + 1}: {reason}")

    def unsupported(self, what: str) -> NoReturn:
        raise UnsupportedSchemaError(
            f"{what} are not supported (character {self.at + 1} of the regular expression)",
            "pattern" if self.pointer else "regex",
            self.pointer,
        )

    def take(self, sign: str) -> bool:
        found = self.text.startswith(sign, self.at)
        self.at += len(sign) if found else 0
        return found

    def takes(self, syntax: re.Pattern[str]) -> re.Match[str] | None:
        found = syntax.match(self.text, self.at)
        self.at = found.end() if found is not None else self.at
        return found

    # Groups and what they hold.

    def choice(self) -> Node:
        flags = self.flags
        options = [self.chain()]
        while self.take("|"):
            options.append(self.chain())
        self.flags = flags
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def chain(self) -> Node:
        parts: list[Node] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            part = self.literal() or self.quantified(self.atom())
            is_again = bool(parts) and isinstance(part, Edge) and _is_edge(parts[-1], part)
            if part is not EMPTY and not is_again:
                parts.append(part)
        return parts[0] if len(parts) == 1 else Chain(tuple(parts))

    def literal(self) -> Node | None:
        """Characters that are all themselves, but for one that is repeated."""
        found = None if self.flags.i else _LITERAL.match(self.text, self.at)
        if found is None:
            return None
        end = found.end()
        if _QUANTIFIER.match(self.text, end) or self.text.startswith("{,", end):
            end -= 1
        if end == self.at:
            return None
        literal, self.at = self.text[self.at : end], end
        return Literal(literal)

    def quantified(self, node: Node) -> Node:
        if self.text.startswith("{,", self.at):
            self.unsupported("counts without a lower bound, which are read in different ways,")
        found = _QUANTIFIER.match(self.text, self.at)
        if found is None:
            return node
        if node.has_assertions and self.text[self.at - 1] != ")":
            self.fail("nothing to repeat")
        low, high = _bounds(found)
        if high is not None and high < low:
            self.fail("the bounds of the repetition are in the wrong order")
        if max(low, high or 0) > MAX_REPEAT:
            raise GrammarLimitError("a repetition", max(low, high or 0), MAX_REPEAT)
        self.at = found.end()
        if self.take("+"):
            self.unsupported("possessive quantifiers")
        self.take("?")  # lazy: another order of preference, the same language
        if _QUANTIFIER.match(self.text, self.at):
            self.fail("multiple repeat")
        return Count(node, low, high)

    def atom(self) -> Node:
        self.atoms += 1
        if self.atoms > MAX_ATOMS:
            raise GrammarLimitError("parts of a regular expression", self.atoms, MAX_ATOMS)
        sign = self.text[self.at]
        if sign == "(":
            return self.group()
        if _QUANTIFIER.match(self.text, self.at):
            self.fail("nothing to repeat")
        self.at += 1
        if sign in "^$":
            return self.edge(sign == "^")
        if sign == ".":
            return Set(characters.ALL if self.flags.s else NOT_LINE_END)
        if sign == "[":
            return Set(self.character_class())
        if sign == "\\":
            return self.assertion() or Set(self.folded(self.escape()))
        return Set(self.folded(characters.of(sign)))

    def edge(self, is_start: bool) -> Node:
        if self.flags.m:
            ends = Set(characters.LINE_END)
            return Choice((Edge(is_start), Look(ends, not is_start, is_negated=False)))
        return Edge(is_start)

    def assertion(self) -> Node | None:
        if self.take("A"):
            return Edge(is_start=True)
        if self.take("z") or self.take("Z"):
            return Edge(is_start=False)
        if self.take("b"):
            return Choice((self.word_edge(False, True), self.word_edge(True, False)))
        if self.take("B"):
            return Choice((self.word_edge(False, False), self.word_edge(True, True)))
        return None

    def word_edge(self, is_word_before: bool, is_word_after: bool) -> Node:
        word = Set(self.folded(characters.WORD))
        before = Look(word, is_ahead=False, is_negated=not is_word_before)
        return Chain((before, Look(word, is_ahead=True, is_negated=not is_word_after)))

    def group(self) -> Node:
        for opening, (is_ahead, is_negated) in _LOOKS.items():
            if self.take(opening):
                return Look(self.inside(), is_ahead, is_negated)
        for opening, what in _UNSUPPORTED_GROUPS.items():
            if self.text.startswith(opening, self.at):
                self.unsupported(what)
        if self.takes(_COMMENT):
            return EMPTY
        flags = self.flags
        found = None if self.text.startswith("(?:", self.at) else self.takes(_FLAGS)
        if found is not None:
            self.flags = self.flags_of(found)
            if found[3] == ")":  # for the rest of the group around it
                return EMPTY
        elif not (self.takes(_GROUP_NAME) or self.take("(?:")):
            self.take("(")
            if self.text.startswith("?", self.at):
                self.unsupported("other groups that begin with (?")
        node = self.inside()
        self.flags = flags
        return node

    def flags_of(self, found: re.Match[str]) -> _Flags:
        flags = self.flags
        for letters, value in ((found[1], True), (found[2] or "", False)):
            for letter in letters:
                if letter in "ism":
                    flags = replace(flags, **{letter: value})
                elif letter not in _NEUTRAL_FLAGS or not value:
                    self.unsupported(f"groups with the flag {letter!r}")
        return flags

    def inside(self) -> Node:
        self.depth += 1
        if self.depth > self.max_depth:
            raise GrammarLimitError("nesting of groups", self.depth, self.max_depth)
        node = self.choice()
        self.depth -= 1
        if not self.take(")"):
            self.fail("missing )")
        return node

    # Characters and classes of them.

    def folded(self, ranges: Ranges) -> Ranges:
        return letter_case.closed(ranges) if self.flags.i else ranges

    def character_class(self) -> Ranges:
        negated = self.take("^")
        if self.text.startswith("]", self.at):
            self.unsupported("classes that begin with a closing bracket")
        found: list[tuple[int, int]] = []
        while not self.take("]"):
            if self.at >= len(self.text):
                self.fail("missing ]")
            found.extend(self.class_range())
        ranges = self.folded(characters.union(found))
        return characters.complement(ranges) if negated else ranges

    def class_range(self) -> Ranges:
        low = self.class_member()
        if not self.text.startswith("-", self.at) or self.text.startswith("-]", self.at):
            return low
        self.at += 1
        if self.at >= len(self.text):
            self.fail("missing ]")
        high = self.class_member()
        if characters.size(low) != 1 or characters.size(high) != 1:
            return characters.union((*low, *characters.of("-"), *high))  # annex B
        if low[0][0] > high[0][0]:
            self.fail("the ends of the range are in the wrong order")
        return ((low[0][0], high[0][0]),)

    def class_member(self) -> Ranges:
        sign = self.text[self.at]
        self.at += 1
        if sign != "\\":
            return characters.of(sign)
        return characters.of("\b") if self.take("b") else self.escape()

    def escape(self) -> Ranges:
        if self.at >= len(self.text):
            self.fail("a backslash at the end")
        sign = self.text[self.at]
        if sign in _UNSUPPORTED_ESCAPES:
            self.unsupported(_UNSUPPORTED_ESCAPES[sign])
        readers: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Ranges]], ...]
        readers = ((_HEX_ESCAPE, self.hexadecimal), (_PROPERTY, self.unicode_property))
        for syntax, read in readers:
            found = self.takes(syntax)
            if found is not None:
                return read(found)
        self.at += 1
        if sign.lower() in _CLASSES:
            ranges = self.folded(_CLASSES[sign.lower()])
            return ranges if sign.islower() else characters.complement(ranges)
        if sign == "0" and not self.text[self.at : self.at + 1].isdecimal():
            return characters.of("\0")
        if sign == "c" and re.match(r"[A-Za-z]", self.text[self.at : self.at + 1]):
            self.at += 1
            return characters.of(chr(ord(self.text[self.at - 1]) % 32))
        if sign.isascii() and sign.isalnum() and sign not in _SHORT:
            self.fail(f"unknown escape \\{sign}")
        return characters.of(_SHORT.get(sign, sign))

    def hexadecimal(self, found: re.Match[str]) -> Ranges:
        point = int(found[1] or found[2] or found[3], 16)
        if 0xD800 <= point <= 0xDBFF and found[2]:
            low = self.takes(_LOW_SURROGATE)
            if low is not None:
                point = 0x10000 + ((point - 0xD800) << 10) + int(low[1], 16) - 0xDC00
        if point > characters.LAST:
            self.fail(f"no such character: U+{point:X}")
        return ((point, point),)

    def unicode_property(self, found: re.Match[str]) -> Ranges:
        name = found[2] if found[2] is not None else found[3]
        ranges = property_ranges(name)
        if ranges is None:
            self.unsupported(f"Unicode properties like {name!r}")
        return characters.complement(ranges) if found[1] == "P" else ranges


NOT_LINE_END = characters.complement(characters.LINE_END)


def _is_edge(node: Node, edge: Edge) -> bool:
    return isinstance(node, Edge) and node.is_start == edge.is_start


def _bounds(quantifier: re.Match[str]) -> tuple[int, int | None]:
    fixed = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(quantifier[0])
    if fixed is not None:
        return fixed
    low = _count(quantifier[1])
    if quantifier[2] is None:
        return low, low
    return low, _count(quantifier[3]) if quantifier[3] else None


def _count(digits: str) -> int:
    return int(digits.lstrip("0")[:11] or "0")  # more digits are far above the limit
