"""Objects that several schemas demand, with no more keys than there are values for."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product

from sampler.errors import GrammarLimitError, UnsupportedSchemaError
from sampler.grammar.engine.program import REGISTER_BITS
from sampler.grammar.schema import counts
from sampler.grammar.schema.emit_any_order import marks_of
from sampler.grammar.schema.keys import FreeKeys, Keys
from sampler.grammar.schema.merge import Members, Some
from sampler.grammar.schema.shapes import KeyClass, Node, ObjectShape, Property
from sampler.grammar.schema.texts import Texts

MAX_WAYS = 256  # in which an object can have the members that it must have


class Objects:
    """The shapes of objects.

    Parameters
    ----------
    keys : which node each key has
    texts : makes the languages of keys
    in_any_order : whether properties may be written in any order; then there must not be too many

    Attributes
    ----------
    keys_run_out : whether there was an object with keys some beginnings of which can be used up
    """

    def __init__(self, keys: Keys, texts: Texts, in_any_order: bool) -> None:
        self._keys = keys
        self._in_any_order = in_any_order
        self._texts = texts
        self.keys_run_out = False

    def shapes(self, members: Members, is_empty: Callable[[Node], bool]) -> Iterator[ObjectShape]:
        """The objects under `members`: one shape, or none, or one for each way to have `some`.

        Raises
        ------
        UnsupportedSchemaError : members that cannot be told apart exactly
        """
        if any(is_empty(self._keys.node_of(members, name)) for name in members.required):
            return
        named = [part for part in self._keys.named(members) if not is_empty(part.node)]
        least, most = members.min_properties, members.max_properties
        required = len(members.required)
        if most is not None and (least > most or required > most):
            return
        if required == most and not members.some:
            yield ObjectShape(tuple(part for part in named if part.is_required), ())
            return
        extras: dict[FreeKeys, KeyClass] = {}
        room = None if most is None else most - required
        for free in self._keys.free(members):
            if not is_empty(free.node):
                endless = self._endless(free, named, room)
                if endless is not None:
                    extras[free] = endless
        for properties, classes, wanted in self._ways(members, named, extras, is_empty):
            shape = _counted(properties, classes, (least, most), wanted)
            if shape is not None and self._are_enough(properties, extras, least):
                if self._in_any_order:
                    _check_marks(shape, members)
                yield shape

    def _ways(
        self,
        members: Members,
        named: list[Property],
        extras: dict[FreeKeys, KeyClass],
        is_empty: Callable[[Node], bool],
    ) -> Iterator[tuple[tuple[Property, ...], tuple[KeyClass, ...], int]]:
        """The ways to have all of ``members.some``: properties, free keys, how many are wanted.

        Each is a named property, which is required then, or a free one; one member may be several.
        """
        places: list[list[str | None]] = []
        for some in members.some:
            names = [part.name for part in named if self._keys.can_be(some, part.name)]
            places.append([*names, None])
        for count, way in enumerate(product(*places)):
            if count == MAX_WAYS:
                raise GrammarLimitError("ways to have the members of an object", count, MAX_WAYS)
            of_name: dict[str, list[Some]] = {}
            free = []
            for some, name in zip(members.some, way, strict=True):
                if name is None:
                    free.append(some)
                else:
                    of_name.setdefault(name, []).append(some)
            properties = tuple(self._meeting(part, of_name.get(part.name)) for part in named)
            if any(part.is_required and is_empty(part.node) for part in properties):
                continue
            for groups in partitions(free):
                classes = tuple(
                    replace(keys, wanted=tuple(self._wanted(of, g, is_empty) for g in groups))
                    for of, keys in extras.items()
                )
                if all(any(keys.wanted[g] for keys in classes) for g in range(len(groups))):
                    yield properties, classes, len(groups)

    def _meeting(self, part: Property, some: list[Some] | None) -> Property:
        if some is None:
            return part
        return Property(part.name, self._keys.with_value(part.node, some), is_required=True)

    def _wanted(
        self, free: FreeKeys, group: list[Some], is_empty: Callable[[Node], bool]
    ) -> Node | None:
        """The values of a member with one of the keys `free` that is all of `group`, if any."""
        if not free.some.issuperset(group):
            return None
        node = self._keys.with_value(free.node, group)
        return None if is_empty(node) else node

    def allows(self, members: Members, allows: Callable[[Node], bool]) -> bool:
        """Whether there is such an object, given which nodes allow something."""
        least, most = members.min_properties, members.max_properties
        required = len(members.required)
        if most is not None and (required > most or least > most):
            return False
        if not all(allows(self._keys.node_of(members, name)) for name in members.required):
            return False
        if members.some:
            return any(self.shapes(members, lambda node: not allows(node)))
        missing = least - required
        if missing <= 0:
            return True
        optional = [part.node for part in self._keys.named(members) if not part.is_required]
        missing -= sum(1 for node in optional if allows(node))
        for free in self._keys.free(members):
            if missing <= 0:
                break
            if allows(free.node):
                missing -= counts.count(self._texts.dfa(free.term), missing)
        return missing <= 0

    def _are_enough(
        self, named: Sequence[Property], extras: Iterable[FreeKeys], least: int
    ) -> bool:
        """Whether there are `least` keys in all."""
        missing = least - len(named)
        for free in extras:
            if missing > 0:
                missing -= counts.count(self._texts.dfa(free.term), missing)
        return missing <= 0

    def _endless(self, free: FreeKeys, named: list[Property], room: int | None) -> KeyClass | None:
        """`free` as a class of keys of which there are always more.

        A few keys are named instead: they come into `named` as optional properties. Of more keys
        some beginning may have no other one that it can become; that is left to the matcher.
        """
        keys = self._texts.text(free.term)
        if keys is None:
            return None
        dfa = self._texts.dfa(free.term)  # that of `keys` may leave the length aside
        if free.is_open or not counts.runs_out(dfa):
            return KeyClass(keys, free.node, free.is_open)
        few = counts.listed(dfa)
        if few is not None:
            named.extend(Property(word, free.node, is_required=False) for word in few)
            return None
        if room is None or room > 1:
            self.keys_run_out = True
        return KeyClass(keys, free.node)


def _counted(
    named: tuple[Property, ...],
    extras: tuple[KeyClass, ...],
    counts: tuple[int, int | None],
    wanted: int,
) -> ObjectShape | None:
    """The shape with counts that say no more than they have to; None if they cannot be kept."""
    least, most = counts
    certain = sum(part.is_required for part in named) + wanted
    if most is not None and certain > most:
        return None
    if certain == most:
        named = tuple(part for part in named if part.is_required)
        extras = extras if wanted else ()
    if not extras:
        if least == len(named):
            named = tuple(Property(part.name, part.node, is_required=True) for part in named)
        if most is not None and most >= len(named):
            most = None
    if least <= certain or (not extras and least == len(named)):
        least = 0
    return ObjectShape(named, extras, least, most, wanted)


def _check_marks(shape: ObjectShape, members: Members) -> None:
    """None; raises where the register has not enough bits for an order to be any."""
    count = max(shape.min_properties, shape.max_properties or 0).bit_length()
    most = REGISTER_BITS - count - shape.wanted
    if len(marks_of(shape)) > most:
        where = members.sheets[0].where("properties") if members.sheets else ""
        raise UnsupportedSchemaError(
            f"{len(marks_of(shape))} of them in any order; at most {most} are supported",
            "properties",
            where,
        )


def partitions(things: list[Some]) -> Iterator[list[list[Some]]]:
    """Every way to part `things` into groups."""
    if not things:
        yield []
        return
    first, others = things[0], things[1:]
    for groups in partitions(others):
        yield [[first], *groups]
        for index, group in enumerate(groups):
            yield [*groups[:index], [first, *group], *groups[index + 1 :]]
