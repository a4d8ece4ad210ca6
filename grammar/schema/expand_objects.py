"""Objects that several schemas demand, with no more keys than there are values for."""

from collections.abc import Callable, Iterable

from sampler.errors import UnsupportedSchemaError
from sampler.grammar.schema import counts
from sampler.grammar.schema.keys import FreeKeys, Keys
from sampler.grammar.schema.merge import Members
from sampler.grammar.schema.shapes import KeyClass, Node, ObjectShape, Property
from sampler.grammar.schema.texts import Texts


class Objects:
    """The shapes of objects.

    Parameters
    ----------
    keys : which node each key has
    texts : makes the languages of keys
    keys_may_run_out : whether the matcher sees to it that no key begins for which there is no end
        left; else such objects are refused

    Attributes
    ----------
    keys_run_out : whether there was such an object
    """

    def __init__(self, keys: Keys, texts: Texts, keys_may_run_out: bool) -> None:
        self._keys = keys
        self._texts = texts
        self._keys_may_run_out = keys_may_run_out
        self.keys_run_out = False

    def shape(self, members: Members, is_empty: Callable[[Node], bool]) -> ObjectShape | None:
        """The objects under `members`, or None if there are none.

        Raises
        ------
        UnsupportedSchemaError : members that cannot be told apart exactly
        """
        named = []
        for part in self._keys.named(members):
            if not is_empty(part.node):
                named.append(part)
            elif part.is_required:
                return None
        least, most = members.min_properties, members.max_properties
        required = len(members.required)
        if most is not None and (least > most or required > most):
            return None
        if required == most:
            return ObjectShape(tuple(part for part in named if part.is_required), ())
        extras: dict[FreeKeys, KeyClass] = {}
        room = None if most is None else most - required
        for free in self._keys.free(members):
            if not is_empty(free.node):
                endless = self._endless(free, named, room)
                if endless is not None:
                    extras[free] = endless
        if least > required and not self._are_enough(named, extras, least):
            return None
        return _counted(tuple(named), tuple(extras.values()), least, most)

    def allows(self, members: Members, allows: Callable[[Node], bool]) -> bool:
        """Whether there is such an object, given which nodes allow something."""
        least, most = members.min_properties, members.max_properties
        required = len(members.required)
        if most is not None and (required > most or least > most):
            return False
        if not all(allows(self._keys.node_of(members, name)) for name in members.required):
            return False
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

    def _are_enough(self, named: list[Property], extras: Iterable[FreeKeys], least: int) -> bool:
        """Whether there are `least` keys in all."""
        missing = least - len(named)
        for free in extras:
            if missing > 0:
                missing -= counts.count(self._texts.dfa(free.term), missing)
        return missing <= 0

    def _endless(self, free: FreeKeys, named: list[Property], room: int | None) -> KeyClass | None:
        """`free` as a class of keys of which there are always more.

        A few keys are named instead: they come into `named` as optional properties.

        Raises
        ------
        UnsupportedSchemaError : there are many keys, but some beginning of a key has not always
            one more that it can become
        """
        keys = self._texts.text(free.term)
        if keys is None:
            return None
        dfa = self._texts.dfa(free.term)  # that of `keys` may leave the length aside
        if free.is_open or not counts.runs_out(dfa):
            return KeyClass(keys, free.node)
        few = counts.listed(dfa)
        if few is not None:
            named.extend(Property(word, free.node, is_required=False) for word in few)
            return None
        if room is None or room > 1:
            if not self._keys_may_run_out:
                raise UnsupportedSchemaError("its keys can run out", free.keyword, free.where)
            self.keys_run_out = True
        return KeyClass(keys, free.node)


def _counted(
    named: tuple[Property, ...], extras: tuple[KeyClass, ...], least: int, most: int | None
) -> ObjectShape:
    """The shape with counts that say no more than they have to."""
    required = sum(part.is_required for part in named)
    if not extras:
        if least == len(named):
            named = tuple(Property(part.name, part.node, is_required=True) for part in named)
        if most is not None and most >= len(named):
            most = None
    if least <= required or (not extras and least == len(named)):
        least = 0
    return ObjectShape(named, extras, least, most)
