r"""Regular expressions as trees: the syntax of ECMA-262, without what is not regular.

Rule of the file: what is read has one meaning in every dialect in use (ECMA-262, Python, Rust),
except that ``\d``, ``\w``, ``\s`` and ``.`` are those of ECMA-262; what is not regular
(back-references, look-around) or reads differently elsewhere is refused by name. A tree holds sets
of characters, so what it is spelled with (plain text, JSON) is decided by whoever writes it out.
"""

import re
from dataclasses import dataclass
from typing import NoReturn

from sampler.errors import GrammarError, GrammarLimitError, UnsupportedSchemaError
from sampler.grammar import characters
from sampler.grammar.characters import Ranges

MAX_REPEAT = 100_000
_MAX_FOLDED = 4096


@dataclass(frozen=True, slots=True)
class Characters:
    """One character out of a set."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Anchor:
    """The beginning ("^") or the end ("$") of the text."""

    sign: str


@dataclass(frozen=True, slots=True)
class Chain:
    """One part after the other; no part is the empty text."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Any one of the options."""

    options: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """`node` from `low` to `high` times; `high` None is without end."""

    node: "Node"
    low: int
    high: int | None


Node = Characters | Anchor | Chain | Choice | Repeat

_QUANTIFIER = re.compile(r"\*|\+|\?|\{([0-9]+)(?:(,)([0-9]*))?\}")
_GROUP_NAME = re.compile(r"\(\?P?<([A-Za-z_$][\w$]*)>")
_HEX_ESCAPE = re.compile(r"x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,8})\}")
_PROPERTY = re.compile(r"([pP])(?:\{([^}]*)\}|([A-Z]))")
_SHORT = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v"}
_CLASSES = {"d": characters.DIGIT, "w": characters.WORD, "s": characters.SPACE}
_UNSUPPORTED_GROUPS = {
    "(?=": "look-aheads",
    "(?!": "look-aheads",
    "(?<=": "look-behinds",
    "(?<!": "look-behinds",
    "(?>": "atomic groups",
    "(?P=": "back-references",
    "(?(": "conditional groups",
    "(?#": "comments",
}
_UNSUPPORTED_ESCAPES = {
    **dict.fromkeys("bB", "word boundaries"),
    **dict.fromkeys("123456789kg", "back-references"),
    **dict.fromkeys("AzZG", "anchors other than ^ and $"),
}


def parse_pattern(
    pattern: str, max_depth: int = 64, flags: bool = False, pointer: str = ""
) -> Node:
    """The tree of `pattern`.

    Parameters
    ----------
    pattern : the regular expression
    max_depth : nesting of groups, >= 1
    flags : whether ``(?i)`` and ``(?s)`` may stand at the very beginning
    pointer : where the pattern stands in a schema, for errors

    Raises
    ------
    GrammarError : not a regular expression; the message has the reason and the place
    UnsupportedSchemaError : look-around, back-references and other syntax that is not supported
    GrammarLimitError : nested too deeply, or a counted repetition above `MAX_REPEAT`
    """
    return _Parser(pattern, max_depth, pointer).parse(flags)


class _Parser:
    def __init__(self, text: str, max_depth: int, pointer: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.max_depth = max_depth
        self.pointer = pointer
        self.ignore_case = False
        self.dot = characters.complement(characters.LINE_END)

    def parse(self, flags: bool) -> Node:
        leading = re.match(r"\(\?([is]+)\)", self.text) if flags else None
        if leading is not None:
            self.at = leading.end()
            self.ignore_case = "i" in leading[1]
            self.dot = characters.ALL if "s" in leading[1] else self.dot
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

    def choice(self) -> Node:
        options = [self.chain()]
        while self.take("|"):
            options.append(self.chain())
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def chain(self) -> Node:
        parts = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            parts.append(self.quantified(self.atom()))
        return parts[0] if len(parts) == 1 else Chain(tuple(parts))

    def quantified(self, node: Node) -> Node:
        found = _QUANTIFIER.match(self.text, self.at)
        if found is None:
            return node
        if isinstance(node, Anchor):
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
        return Repeat(node, low, high)

    def atom(self) -> Node:
        sign = self.text[self.at]
        if sign == "(":
            return self.group()
        if _QUANTIFIER.match(self.text, self.at):
            self.fail("nothing to repeat")
        self.at += 1
        if sign in "^$":
            return Anchor(sign)
        if sign == ".":
            return Characters(self.dot)
        if sign == "[":
            return Characters(self.character_class())
        return Characters(self.folded(self.escape() if sign == "\\" else characters.of(sign)))

    def group(self) -> Node:
        for opening, what in _UNSUPPORTED_GROUPS.items():
            if self.text.startswith(opening, self.at):
                self.unsupported(what)
        name = _GROUP_NAME.match(self.text, self.at)
        if name is not None:
            self.at = name.end()
        elif not self.take("(?:"):
            self.take("(")
            if self.text.startswith("?", self.at):
                self.unsupported("flags and other (?...) groups")
        self.depth += 1
        if self.depth > self.max_depth:
            raise GrammarLimitError("nesting of groups", self.depth, self.max_depth)
        node = self.choice()
        self.depth -= 1
        if not self.take(")"):
            self.fail("missing )")
        return node

    def folded(self, ranges: Ranges) -> Ranges:
        if not self.ignore_case:
            return ranges
        if characters.size(ranges) > characters.LAST - _MAX_FOLDED:
            return ranges  # \D, \W, \S have both cases already
        if characters.size(ranges) > _MAX_FOLDED:
            self.unsupported("case-insensitive classes of this size")
        return characters.with_other_case(ranges)

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
            self.fail("a range needs a single character at both ends")
        if low[0][0] > high[0][0]:
            self.fail("the ends of the range are in the wrong order")
        return ((low[0][0], high[0][0]),)

    def class_member(self) -> Ranges:
        for sign in ("&&", "--", "~~", "[:", "[=", "[."):
            if self.text.startswith(sign, self.at) and not self.text.startswith("--]", self.at):
                self.unsupported(f"set operations and named classes ({sign!r} in a class)")
        sign = self.text[self.at]
        self.at += 1
        if sign != "\\":
            return characters.of(sign)
        if self.take("b"):
            return characters.of("\b")
        return self.escape()

    def escape(self) -> Ranges:
        if self.at >= len(self.text):
            self.fail("a backslash at the end")
        sign = self.text[self.at]
        if sign in _UNSUPPORTED_ESCAPES:
            self.unsupported(_UNSUPPORTED_ESCAPES[sign])
        for syntax, read in ((_HEX_ESCAPE, self.hexadecimal), (_PROPERTY, self.unicode_property)):
            found = syntax.match(self.text, self.at)
            if found is not None:
                self.at = found.end()
                return read(found)
        self.at += 1
        if sign.lower() in _CLASSES:
            ranges = _CLASSES[sign.lower()]
            return ranges if sign.islower() else characters.complement(ranges)
        if sign == "0" and not self.text[self.at : self.at + 1].isdecimal():
            return characters.of("\0")
        if sign == "c" and re.match(r"[A-Za-z]", self.text[self.at : self.at + 1]):
            self.at += 1
            return characters.of(chr(ord(self.text[self.at - 1]) % 32))
        if sign.isascii() and (sign.isalnum() or sign == "_") and sign not in _SHORT:
            self.fail(f"unknown escape \\{sign}")
        return characters.of(_SHORT.get(sign, sign))

    def hexadecimal(self, found: re.Match[str]) -> Ranges:
        point = int(found[1] or found[2] or found[3], 16)
        low = re.match(r"\\u(D[C-F][0-9A-F]{2})", self.text[self.at :], re.IGNORECASE)
        if 0xD800 <= point <= 0xDBFF and found[2] and low is not None:
            self.at += low.end()
            point = 0x10000 + ((point - 0xD800) << 10) + int(low[1], 16) - 0xDC00
        if point > characters.LAST:
            self.fail(f"no such character: U+{point:X}")
        return ((point, point),)

    def unicode_property(self, found: re.Match[str]) -> Ranges:
        name = (found[2] if found[2] is not None else found[3]).removeprefix("gc=")
        known = name and re.fullmatch(r"[LMNPSZC][a-z]?", name)
        ranges = characters.general_category(name) if known else characters.NONE
        if not ranges:
            self.unsupported(f"Unicode properties other than general categories ({name!r})")
        return ranges if found[1] == "p" else characters.complement(ranges)


def _bounds(quantifier: re.Match[str]) -> tuple[int, int | None]:
    fixed = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(quantifier[0])
    if fixed is not None:
        return fixed
    low = _count(quantifier[1])
    if quantifier[2] is None:
        return low, low
    return low, _count(quantifier[3]) if quantifier[3] else None


def _count(digits: str) -> int:
    return int(digits.lstrip("0")[:9] or "0")  # more digits than nine are far above the limit
