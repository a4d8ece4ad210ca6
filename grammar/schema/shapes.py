"""What stands between schemas and cells: nodes, and the values that a node allows.

A `Node` is a conjunction of schemas that has not been looked at yet; `Expander.expand(node)` gives
its `Value`, which says for each JSON type what is allowed, with nodes where values stand inside of
values. Whoever writes cells needs nothing else.

Rule of the file: everything here can be satisfied. Each node that a shape names allows some value,
each text has a text, each shape a value; what is empty was left out before. So no part of a shape
leads into a dead end.

Nodes are equal when they are the same object. Shapes are equal when their parts are, so that they
are keys of dictionaries as they are: equal shapes have the same texts, wherever they stand, and one
frame is enough for all of them. `Expander.expand` gives the same `Value` object for the same node.
"""

from dataclasses import dataclass

from sampler.grammar.engine.program import Text
from sampler.grammar.schema.document import Schema


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """Schemas that hold together for one value; interned, the same conjunction is the same object.

    Attributes
    ----------
    index : the number of this node in its `Expander`, from 0
    schemas : what holds, in the order in which their properties are to be written; none is
        the node of every value
    """

    index: int
    schemas: tuple[Schema, ...]


@dataclass(frozen=True, slots=True)
class ArrayShape:
    """Arrays with at least `min_items` items, and at most `max_items` (None: any number).

    Item i is a value of `prefix[i]`, or of `rest` from ``len(prefix)`` on.

    Attributes
    ----------
    prefix : never longer than `max_items`
    rest : None exactly if ``max_items == len(prefix)``
    min_items : 0 <= min_items <= max_items
    max_items : None is no maximum
    is_distinct : whether no item may be there twice; that is left to the matcher
    """

    prefix: tuple[Node, ...]
    rest: Node | None
    min_items: int
    max_items: int | None
    is_distinct: bool = False


@dataclass(frozen=True, slots=True)
class Option:
    """What one item of a `CountedArrayShape` may be, and for which of the counts it counts."""

    node: Node
    counts: frozenset[int]


@dataclass(frozen=True, slots=True)
class CountedArrayShape:
    """Arrays as those of `ArrayShape` in which certain numbers of items count for something.

    Item i is one of `prefix[i]`, or of `rest` from ``len(prefix)`` on. Of the items, at least
    `limits[c][0]` and at most `limits[c][1]` (None: any number) count for c; which option an item
    is may be open, as long as one choice for all items is right.

    Attributes
    ----------
    prefix, rest : the options of each item; those of `rest` may be none
    min_items, max_items : as in `ArrayShape`
    limits : (least, most) for each count
    is_distinct : as in `ArrayShape`
    """

    prefix: tuple[tuple[Option, ...], ...]
    rest: tuple[Option, ...]
    min_items: int
    max_items: int | None
    limits: tuple[tuple[int, int | None], ...]
    is_distinct: bool = False


@dataclass(frozen=True, slots=True)
class Property:
    """A named property: its key (not spelled yet), its values, and whether it must be there."""

    name: str
    node: Node
    is_required: bool


@dataclass(frozen=True, slots=True)
class KeyClass:
    """Free keys, and the values under them; the program's `distinct_keys` keeps them distinct.

    Attributes
    ----------
    keys : the keys as they stand between the quotation marks; disjoint from all named properties
        and all other classes of the same shape
    node : the values under these keys
    is_open : whether all keys but some words are of this class
    wanted : for each of the members that the shape wants, the values of those of this class, or
        None where none of this class is one
    """

    keys: Text
    node: Node
    is_open: bool = False
    wanted: tuple[Node | None, ...] = ()


@dataclass(frozen=True, slots=True)
class ObjectShape:
    """Objects with the named `properties` in this order, then any number of free keys.

    The number of properties of both kinds together is at least `min_properties` and at most
    `max_properties` (None: any number); it is left to whoever writes the cells to count. So it is
    with the free members that must be there: one, each another one, for each that is `wanted`.

    Attributes
    ----------
    properties : in the order in which they are written
    extras : classes of free keys, written in any order after all named ones; empty when
        `max_properties` leaves no room for one
    min_properties : 0 when the required properties alone are as many; never more than there can be
    max_properties : None when there cannot be more anyway; else at least as many as are required
        and wanted, and more where there is an optional property
    wanted : how many free members must be there
    """

    properties: tuple[Property, ...]
    extras: tuple[KeyClass, ...]
    min_properties: int = 0
    max_properties: int | None = None
    wanted: int = 0


@dataclass(frozen=True, slots=True)
class Value:
    """All values under a node: the union of everything that is listed here.

    Attributes
    ----------
    literals : ASCII texts to be written as they are: ``null``, ``true``, ``false``, constants
    numbers : the other numbers; the spelling is RAW, because the text is the number's own
    words : string constants, not spelled yet, without quotation marks
    texts : languages of other strings, without their quotation marks
    arrays, objects : alternatives; they may overlap
    """

    literals: tuple[str, ...] = ()
    numbers: Text | None = None
    words: tuple[str, ...] = ()
    texts: tuple[Text, ...] = ()
    arrays: tuple[ArrayShape | CountedArrayShape, ...] = ()
    objects: tuple[ObjectShape, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is no value; true of no node that a shape names."""
        return not (
            self.literals or self.numbers or self.words or self.texts or self.arrays or self.objects
        )
