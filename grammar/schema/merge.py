"""What schemas demand of each type, and how two demands become one.

A `Union` says for each JSON type what a conjunction of schemas allows, as it stands in the schemas:
nothing is translated or looked up here, so that merging costs microseconds. Containers name the
schemas whose keywords apply to them ("sheets"); what these say of single members is put together
when the container is looked at.

Rule of the file: a merge is exact. Constants are not merged here: whoever has the schemas filters
them by evaluating, see `Expander.demands`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Any, TypeVar

from sampler.errors import GrammarLimitError
from sampler.grammar.budget import check_time
from sampler.grammar.schema.document import Schema
from sampler.grammar.text.numbers import Numbers as Interval
from sampler.grammar.text.numbers import exact

MAX_ALTERNATIVES = 1024  # of one type, after multiplying out
_FEW = 4  # alternatives that are not compared with each other
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


def how_many_numbers(numbers: Numbers) -> int:
    """How many there are, at least; `MAX_ALTERNATIVES` stands for many."""
    interval = numbers.interval
    if interval.minimum is None or interval.maximum is None:
        return MAX_ALTERNATIVES
    step = interval.step
    if numbers.is_integer and (step is None or step.denominator != 1):
        step = Fraction(1 if step is None else step.numerator)
    if step is None:
        return MAX_ALTERNATIVES if interval.minimum.value < interval.maximum.value else 1
    first, last = interval.minimum.value / step, interval.maximum.value / step
    count = floor(last) - ceil(first) + 1
    count -= interval.minimum.excluded and first.denominator == 1
    count -= interval.maximum.excluded and last.denominator == 1
    return max(0 if numbers.not_steps else int(count) - len(numbers.excluded), 0)


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
        _products(_numbers, left.numbers, right.numbers),
        _products(_strings, left.strings, right.strings),
        _products(_items, left.arrays, right.arrays),
        _without_absorbed(_products(_members, left.objects, right.objects)),
    )


_Part = TypeVar("_Part")


def _distinct(parts: Iterable[_Part]) -> tuple[_Part, ...]:
    return tuple(dict.fromkeys(parts))


def _products(
    meet_parts: Callable[[_Part, _Part], _Part | None],
    left: tuple[_Part, ...],
    right: tuple[_Part, ...],
) -> tuple[_Part, ...]:
    """What one part of each side allows, where it is not nothing at first sight."""
    found = dict[_Part, None]()
    for one in left:
        check_time()
        for other in right:
            both = meet_parts(one, other)
            if both is not None:
                found[both] = None
        if len(found) > MAX_ALTERNATIVES:
            raise GrammarLimitError("alternatives of a schema", len(found), MAX_ALTERNATIVES)
    return tuple(found)


def _without_absorbed(parts: tuple[Members, ...]) -> tuple[Members, ...]:
    """`parts` but those that demand all that another one demands, and more."""
    if len(parts) < _FEW:
        return parts
    demands = [frozenset((*part.sheets, *part.required, *part.some)) for part in parts]
    kept = []
    for one, more in zip(parts, demands, strict=True):
        check_time()
        if not any(
            less < more and _is_wider(other, one)
            for other, less in zip(parts, demands, strict=True)
        ):
            kept.append(one)
    return tuple(kept)


def _is_wider(one: Members, other: Members) -> bool:
    """Whether the counts of `one` are no narrower, and its notes the same or more."""
    most = one.max_properties
    return (
        one.min_properties <= other.min_properties
        and (most is None or (other.max_properties is not None and other.max_properties <= most))
        and set(other.noted) <= set(one.noted)
    )


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


def _members(left: Members, right: Members) -> Members | None:
    sheets = _distinct((*left.sheets, *right.sheets))
    required = _distinct((*left.required, *right.required))
    if len(sheets) > 1 and any(_has_no_value(sheets, name) for name in required):
        return None
    return Members(
        sheets,
        required,
        max(left.min_properties, right.min_properties),
        _smaller(left.max_properties, right.max_properties),
        _distinct((*left.some, *right.some)),
        _distinct((*left.noted, *right.noted)),
    )


def _has_no_value(sheets: tuple[Schema, ...], name: str) -> bool:
    """Whether no value is left under a key at first sight: by constants, and what is none."""
    listed: set[Any] | None = None
    excluded = set[Any]()
    for sheet in sheets:
        part = sheet.get("properties", {}).get(name)
        if part is False:
            return True
        if not isinstance(part, dict):
            continue
        values = _constants(part, sheet.draft)
        others = _constants(part.get("not"), sheet.draft)
        if values is not None:
            listed = values if listed is None else listed & values
        if others is not None and len(part["not"]) == 1:
            excluded |= others
    return listed is not None and listed <= excluded


def _constants(part: Any, draft: int) -> set[Any] | None:
    """The values that a schema lists, or None if it lists none."""
    if not isinstance(part, dict) or "$ref" in part:
        return None
    if "const" in part and draft > 4:
        return {json_key(part["const"])}
    return set(map(json_key, part["enum"])) if "enum" in part else None


def _smaller(left: int | None, right: int | None) -> int | None:
    if left is None or right is None:
        return right if left is None else left
    return min(left, right)
