"""The texts of a small JSON Schema, from the definition: those that an oracle calls valid.

A universe of small values is written out, the oracle is asked for each, and what remains are the
alternatives: a prefix is viable when one of them begins with it. What the universe does not have
says nothing, so a mask may allow more, for which whoever compares needs a witness of its own.
"""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

SCALARS = [None, True, False, 0, 1, 2, 3, -1, 1.5, "", "a", "b", "ab", "aa"]
INNER = [None, True, 0, 1, 2, "a", "ab", [], {"a": 1}]  # of short arrays and objects
FEW = [None, 1, 2, "a"]  # of longer ones
NESTED = [[[]], [[1]], [{"b": 1}], {"a": [1]}, {"a": {"a": {}}}, {"b": {"a": "a"}}, {"a": [2, 2]}]
NAMES = ["a", "b", "ab"]


def arrays() -> Iterator[list[Any]]:
    """All of up to two items, and those of three and four of fewer kinds."""
    for items, sizes in ((INNER, (0, 1, 2)), (FEW, (3,)), ([1, "a"], (4,))):
        for size in sizes:
            yield from map(list, itertools.product(items, repeat=size))


def objects() -> Iterator[dict[str, Any]]:
    """All of up to two members, and those of three of fewer kinds; one order of each."""
    for members, sizes in ((INNER, (0, 1, 2)), (FEW, (3,))):
        for size in sizes:
            for names in itertools.combinations(NAMES, size):
                for values in itertools.product(members, repeat=size):
                    yield dict(zip(names, values, strict=True))


UNIVERSE: list[Any] = [*SCALARS, *NESTED, *arrays(), *objects()]


def compact(value: Any) -> str:
    """The text of a value without white space."""
    return json.dumps(value, separators=(",", ":"))


def orders(value: Any) -> list[Any]:
    """`value` with its own properties in every order."""
    if not isinstance(value, dict):
        return [value]
    return [dict(members) for members in itertools.permutations(value.items())]


class SchemaTexts:
    """The compact texts of the values of the universe, in every order of the outer properties.

    Parameters
    ----------
    is_valid : whether a value is valid under the schema

    Attributes
    ----------
    valid, invalid : lists of all orders of one value, as texts
    """

    def __init__(self, is_valid: Callable[[Any], bool]) -> None:
        self.valid: list[list[str]] = []
        self.invalid: list[list[str]] = []
        for value in UNIVERSE:
            texts = [compact(ordered) for ordered in orders(value)]
            (self.valid if is_valid(value) else self.invalid).append(texts)

    def matcher(self) -> "SchemaTextMatcher":
        """At the beginning of a text."""
        return SchemaTextMatcher([text.encode() for texts in self.valid for text in texts])


class SchemaTextMatcher:
    """Follows one text, a byte at a time: `alternatives` are the rests of the texts it can be."""

    def __init__(self, alternatives: Iterable[bytes]) -> None:
        self.alternatives = list(alternatives)

    def accept_byte(self, byte: int) -> bool:
        """Whether `byte` can come next; if so it becomes part of the text."""
        after = [rest[1:] for rest in self.alternatives if rest[:1] == bytes([byte])]
        if after:
            self.alternatives = after
        return bool(after)

    def is_accepting(self) -> bool:
        """Whether the text may end here."""
        return b"" in self.alternatives

    def allowed_tokens(self, tokens: Sequence[bytes]) -> set[int]:
        """The indices of the tokens that can come next."""
        beginnings = {rest[:size] for rest in self.alternatives for size in range(1, 12)}
        return {i for i, token in enumerate(tokens) if token and token in beginnings}
