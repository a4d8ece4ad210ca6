"""What a regular expression is made of, once its flags and classes have been read."""

from dataclasses import dataclass

from sampler.grammar.characters import Ranges


@dataclass(frozen=True, slots=True)
class Set:
    """One character out of a set."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Chain:
    """One part after the other; no part is the empty text."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Any one of the options."""

    options: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Count:
    """`node` from `low` to `high` times; `high` None is without end."""

    node: "Node"
    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class Look:
    """Nothing, where `node` matches what follows (or precedes), or does not if it is negated."""

    node: "Node"
    is_ahead: bool
    is_negated: bool


@dataclass(frozen=True, slots=True)
class Start:
    """Nothing, at the beginning of the text."""


@dataclass(frozen=True, slots=True)
class End:
    """Nothing, at the end of the text."""


Node = Set | Chain | Choice | Count | Look | Start | End
EMPTY = Chain(())


def has_assertions(node: Node) -> bool:
    """Whether anything in `node` looks at what stands around it."""
    match node:
        case Set():
            return False
        case Chain(parts) | Choice(parts):
            return any(map(has_assertions, parts))
        case Count(inner):
            return has_assertions(inner)
    return True
