"""What a regular expression is made of, once its flags and classes have been read."""

from sampler.grammar.characters import Ranges


class Node:
    """A part of a regular expression.

    Attributes
    ----------
    has_assertions : whether anything in it looks at what stands around it
    """

    __slots__ = ("has_assertions",)

    has_assertions: bool


class Literal(Node):
    """The text itself."""

    __slots__ = ("text",)
    __match_args__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text
        self.has_assertions = False


class Set(Node):
    """One character out of a set."""

    __slots__ = ("ranges",)
    __match_args__ = ("ranges",)

    def __init__(self, ranges: Ranges) -> None:
        self.ranges = ranges
        self.has_assertions = False


class Chain(Node):
    """One part after the other; no part is the empty text."""

    __slots__ = ("parts",)
    __match_args__ = ("parts",)

    def __init__(self, parts: tuple[Node, ...]) -> None:
        self.parts = parts
        self.has_assertions = any([part.has_assertions for part in parts])


class Choice(Node):
    """Any one of the options."""

    __slots__ = ("options",)
    __match_args__ = ("options",)

    def __init__(self, options: tuple[Node, ...]) -> None:
        self.options = options
        self.has_assertions = any([option.has_assertions for option in options])


class Count(Node):
    """`node` from `low` to `high` times; `high` None is without end."""

    __slots__ = ("high", "low", "node")
    __match_args__ = ("node", "low", "high")

    def __init__(self, node: Node, low: int, high: int | None) -> None:
        self.node, self.low, self.high = node, low, high
        self.has_assertions = node.has_assertions


class Look(Node):
    """Nothing, where `node` matches what follows (or precedes), or does not if it is negated."""

    __slots__ = ("is_ahead", "is_negated", "node")
    __match_args__ = ("node", "is_ahead", "is_negated")

    def __init__(self, node: Node, is_ahead: bool, is_negated: bool) -> None:
        self.node, self.is_ahead, self.is_negated = node, is_ahead, is_negated
        self.has_assertions = True


class Edge(Node):
    """Nothing, at the beginning or at the end of the text."""

    __slots__ = ("is_start",)
    __match_args__ = ("is_start",)

    def __init__(self, is_start: bool) -> None:
        self.is_start = is_start
        self.has_assertions = True


EMPTY = Chain(())
