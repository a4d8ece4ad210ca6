"""Whether a node allows any value: the least fixpoint over the nodes that a value must have inside.

A node allows a value when one of its alternatives does, and a container does when the nodes of
enough members do. Nodes that need each other without end (an object that requires a property of its
own kind) allow nothing. The search stops at the first witness; nodes that are known to allow
something, and those that are known not to, are never looked at again.
"""

from collections.abc import Callable
from typing import Protocol

from sampler.grammar.schema.merge import Items, Members, Union
from sampler.grammar.schema.shapes import Node


class Inside(Protocol):
    """What the search wants to know of nodes and containers."""

    def demands(self, node: Node) -> Union:
        """What `node` demands of each type."""

    def has_scalar(self, union: Union) -> bool:
        """Whether `union` allows a number, a string, a constant, null, true or false."""

    def array_allows(self, items: Items, allows: Callable[[Node], bool]) -> bool:
        """Whether there is such an array, given which nodes allow something."""

    def object_allows(self, members: Members, allows: Callable[[Node], bool]) -> bool:
        """Whether there is such an object, given which nodes allow something."""


class Emptiness:
    """Which nodes are empty, found out on demand."""

    def __init__(self, inside: Inside) -> None:
        self._inside = inside
        self._known: dict[Node, bool] = {}

    def is_empty(self, node: Node) -> bool:
        """Whether no value is valid under `node`."""
        while node not in self._known:
            before = len(self._known)
            visited: set[Node] = set()
            self._allows(node, visited)
            if len(self._known) == before:  # nothing new was proven to allow a value
                self._known.update(dict.fromkeys(visited, False))
        return not self._known[node]

    def _allows(self, node: Node, visited: set[Node]) -> bool:
        """Whether `node` allows a value as far as is proven; notes it when it does."""
        known = self._known.get(node)
        if known is not None:
            return known
        if node in visited:
            return False  # proven later in this pass, or in the next one
        visited.add(node)
        union = self._inside.demands(node)
        if self._inside.has_scalar(union) or self._some_container(union, visited):
            self._known[node] = True
            return True
        return False

    def _some_container(self, union: Union, visited: set[Node]) -> bool:
        def allows(node: Node) -> bool:
            return self._allows(node, visited)

        return any(self._inside.array_allows(items, allows) for items in union.arrays) or any(
            self._inside.object_allows(members, allows) for members in union.objects
        )
