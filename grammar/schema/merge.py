"""What schemas demand of each type, and how two demands become one.

A `Union` says for each JSON type what a conjunction of schemas allows, as it stands in the schemas:
nothing is translated or looked up here, so that merging costs microseconds. Containers name the
schemas whose keywords apply to them ("sheets"); what these say of single members is put together
when the container is looked at.

Rule of the file: a merge is exact. Constants are not merged here: whoever has the schemas filters
them by evaluating, see `Expander.demands`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

from sampler.errors import GrammarLimitError
from sampler.grammar.schema.document import Schema
from sampler.grammar.text.numbers import Numbers as Interval
from sampler.grammar.text.numbers import exact

MAX_ALTERNATIVES = 1024  # of one type, after multiplying out
_EVERY_NUMBER = Interval()


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of an interval but the multiples of `not_steps` and those that are `excluded`.

    `is_plain` is set for the integers of draft 4, which 5.0 and 1e2 are not.
    """

    interval: Interval = _EVERY_NUMBER
    is_integer: bool = False
    is_plain: bool = False
    not_steps: frozenset[Fraction] = frozenset()
    excluded: frozenset[Fraction] = frozenset()


@dataclass(frozen=True, slots=True)
class Condition:
    """A `keyword` (pattern or format) with its value; `holds` is False where it is negated."""

    keyword: str
    value: str
    where: str
    holds: bool = True


@dataclass(frozen=True, slots=True)
class Strings:
    """Strings of a length (in code points) that meet all conditions and are none of `excluded`."""

    conditions: tuple[Condition, ...] = ()
    min_length: int = 0
    max_length: int | None = None
    excluded: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Counted:
    """From `start` on, at least `least` items and at most `most` (None: any) are of `schema`."""

    schema: Schema
    least: int
    most: int | None = None
    start: int = 0


@dataclass(frozen=True, slots=True)
class Items:
    """Arrays under the keywords of all `sheets`, with certain numbers of certain items.

    `noted` are the sheets that evaluate items, as far as ``unevaluatedItems`` asks for them.
    """

    sheets: tuple[Schema, ...] = ()
    min_items: int = 0
    max_items: int | None = None
    counted: tuple[Counted, ...] = ()
    noted: tuple[Schema, ...] = ()


@dataclass(frozen=True, slots=True)
class Some:
    """A member that an object must have.

    Its key matches `pattern`; or, where that is None, is one that `sheet` only knows as additional;
    or, with `is_name`, is a string of `schema` itself. Its value is of `schema`.
    """

    sheet: Schema
    schema: Schema
    pattern: str | None = None
    is_name: bool = False


@dataclass(frozen=True, slots=True)
class Members:
    """Objects under the keywords of all `sheets`, with each of the members `some`.

    `noted` are the sheets that evaluate properties, as far as ``unevaluatedProperties`` asks.
    """

    sheets: tuple[Schema, ...] = ()
    required: tuple[str, ...] = ()
    min_properties: int = 0
    max_properties: int | None = None
    some: tuple[Some, ...] = ()
    noted: tuple[Schema, ...] = ()


@dataclass(frozen=True, slots=True)
class Constant:
    """A JSON value that a schema lists; `key` is equal for values that JSON Schema calls equal."""

    value: Any
    key: Any

    @classmethod
    def of(cls, value: Any) -> "Constant":
        """`value` as a constant."""
        return cls(value, json_key(value))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constant) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@dataclass(frozen=True, slots=True)
class Union:
    """The alternatives of each type. `atoms` are null, True and False."""

    atoms: frozenset[bool | None] = frozenset()
    numbers: tuple[Numbers, ...] = ()
    strings: tuple[Strings, ...] = ()
    arrays: tuple[Items, ...] = ()
    objects: tuple[Members, ...] = ()
    constants: tuple[Constant, ...] = ()

    @property
    def is_listed(self) -> bool:
        """Whether nothing but `constants` is allowed."""
        return not (self.atoms or self.numbers or self.strings or self.arrays or self.objects)


EVERYTHING = Union(
    frozenset([None, True, False]), (Numbers(),), (Strings(),), (Items(),), (Members(),)
)
NOTHING = Union()


def json_key(value: Any) -> Any:
    """Something hashable that is equal exactly for values that are equal in JSON (1 and 1.0)."""
    if isinstance(value, dict):
        return "object", frozenset((name, json_key(item)) for name, item in value.items())
    if isinstance(value, list):
        return "array", tuple(map(json_key, value))
    if isinstance(value, bool) or value is None:
        return "atom", value
    if isinstance(value, str):
        return value
    return exact(value)


def join(unions: Iterable[Union]) -> Union:
    """What any of `unions` allows."""
    every = tuple(unions)
    if len(every) == 1:
        return every[0]
    return Union(
        frozenset().union(*(union.atoms for union in every)),
        _distinct(part for union in every for part in union.numbers),
        _distinct(part for union in every for part in union.strings),
        _distinct(part for union in every for part in union.arrays),
        _distinct(part for union in every for part in union.objects),
        _distinct(part for union in every for part in union.constants),
    )


def meet(left: Union, right: Union) -> Union:
    """What both allow, apart from constants, which are left out."""
    return Union(
        left.atoms & right.atoms,
        _distinct(_numbers(*pair) for pair in _pairs(left.numbers, right.numbers)),
        _distinct(_strings(*pair) for pair in _pairs(left.strings, right.strings)),
        _distinct(_items(*pair) for pair in _pairs(left.arrays, right.arrays)),
        _distinct(_members(*pair) for pair in _pairs(left.objects, right.objects)),
    )


_Part = TypeVar("_Part")


def _distinct(parts: Iterable[_Part]) -> tuple[_Part, ...]:
    return tuple(dict.fromkeys(parts))


def _pairs(left: tuple[_Part, ...], right: tuple[_Part, ...]) -> list[tuple[_Part, _Part]]:
    if len(left) * len(right) > MAX_ALTERNATIVES:
        given = len(left) * len(right)
        raise GrammarLimitError("alternatives of a schema", given, MAX_ALTERNATIVES)
    return [(one, other) for one in left for other in right]


def _numbers(left: Numbers, right: Numbers) -> Numbers:
    return Numbers(
        left.interval & right.interval,
        left.is_integer or right.is_integer,
        left.is_plain or right.is_plain,
        left.not_steps | right.not_steps,
        left.excluded | right.excluded,
    )


def _strings(left: Strings, right: Strings) -> Strings:
    return Strings(
        _distinct((*left.conditions, *right.conditions)),
        max(left.min_length, right.min_length),
        _smaller(left.max_length, right.max_length),
        left.excluded | right.excluded,
    )


def _items(left: Items, right: Items) -> Items:
    return Items(
        _distinct((*left.sheets, *right.sheets)),
        max(left.min_items, right.min_items),
        _smaller(left.max_items, right.max_items),
        _distinct((*left.counted, *right.counted)),
        _distinct((*left.noted, *right.noted)),
    )


def _members(left: Members, right: Members) -> Members:
    return Members(
        _distinct((*left.sheets, *right.sheets)),
        _distinct((*left.required, *right.required)),
        max(left.min_properties, right.min_properties),
        _smaller(left.max_properties, right.max_properties),
        _distinct((*left.some, *right.some)),
        _distinct((*left.noted, *right.noted)),
    )


def _smaller(left: int | None, right: int | None) -> int | None:
    if left is None or right is None:
        return right if left is None else left
    return min(left, right)
