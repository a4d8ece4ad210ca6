"""A deterministic automaton over bytes, and its walk along a tree of tokens.

Rule of the file: an automaton knows bytes only, so it is small, shared by all sequences and
independent of the vocabulary. What tokens it allows in a state is found by walking the tree of
tokens level by level, all nodes of a level in one NumPy step; branches die where their byte is
not allowed. Rejected design: the table "state -> token -> state" for a whole vocabulary, which
costs seconds and gigabytes for 150,000 tokens and is mostly never looked at.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sampler.grammar.outlines.token_tree import Ints, TokenTree, ranges

DEAD = -1
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class ByteAutomaton:
    """Which byte strings are in a language.

    Attributes
    ----------
    transitions : int32[states, classes], the next state or `DEAD`
    byte_class : int64[256], the column of each byte
    accepting : bool[states], whether the text may end here
    initial : the first state
    """

    transitions: npt.NDArray[np.int32]
    byte_class: Ints
    accepting: Bools
    initial: int

    @classmethod
    def from_edges(cls, edges: Ints, accepting: Bools, initial: int) -> "ByteAutomaton | None":
        """The automaton of ``int64[edges, 3]`` (state, byte, next state), or None if it is empty.

        States from which no accepting state can be reached are cut off, so that every state that
        is left can be completed.
        """
        live = can_reach(accepting, edges[:, 0], edges[:, 2])
        if not live[initial]:
            return None
        edges = edges[live[edges[:, 0]] & live[edges[:, 2]]]
        columns: dict[bytes, int] = {}
        byte_class = np.zeros(256, dtype=np.int64)
        by_byte = edges[np.lexsort((edges[:, 0], edges[:, 1]))]
        bounds = np.searchsorted(by_byte[:, 1], np.arange(257))
        for byte in range(256):
            column = by_byte[bounds[byte] : bounds[byte + 1]][:, [0, 2]]
            byte_class[byte] = columns.setdefault(column.tobytes(), len(columns))
        transitions = np.full((len(accepting), len(columns)), DEAD, dtype=np.int32)
        transitions[edges[:, 0], byte_class[edges[:, 1]]] = edges[:, 2]
        return cls(transitions, byte_class, accepting, initial)

    @property
    def nbytes(self) -> int:
        """The memory that the arrays take, in bytes."""
        return self.transitions.nbytes + self.byte_class.nbytes + self.accepting.nbytes

    def advance(self, state: int, data: bytes) -> int:
        """The state after `data`, or `DEAD`."""
        for byte in data:
            state = int(self.transitions[state, self.byte_class[byte]])
            if state == DEAD:
                return DEAD
        return state

    def walk(self, state: int, tree: TokenTree) -> tuple[Ints, Ints]:
        """The nodes of `tree` that spell a token allowed in `state`, and the state after each."""
        nodes, states = np.zeros(1, np.int64), np.full(1, state, np.int64)
        found_nodes, found_states = [nodes[:0]], [states[:0]]
        while len(nodes):
            counts = tree.child_count[nodes]
            children = ranges(tree.first_child[nodes], counts)
            columns = self.byte_class[tree.node_byte[children]]
            next_states = self.transitions[np.repeat(states, counts), columns]
            kept = next_states != DEAD
            nodes, states = children[kept], next_states[kept].astype(np.int64)
            tokens = tree.token_count[nodes] > 0
            found_nodes.append(nodes[tokens])
            found_states.append(states[tokens])
        return np.concatenate(found_nodes), np.concatenate(found_states)

    def used_bytes(self) -> Bools:
        """``bool[256]``: the bytes that some text of the language has."""
        used: Bools = (self.transitions != DEAD).any(axis=0)[self.byte_class]
        return used

    def forced_bytes(self, state: int) -> bytes:
        """The longest byte string that every text of the language has after `state`."""
        counts = np.bincount(self.byte_class, minlength=self.transitions.shape[1])
        forced = bytearray()
        while not self.accepting[state]:
            columns = np.flatnonzero(self.transitions[state] != DEAD)
            if len(columns) != 1 or counts[columns[0]] != 1:
                break
            forced.append(int(np.flatnonzero(self.byte_class == columns[0])[0]))
            state = int(self.transitions[state, columns[0]])
        return bytes(forced)


def can_reach(goal: Bools, sources: Ints, targets: Ints) -> Bools:
    """``bool[states]``: the states from which a state of `goal` can be reached along the edges."""
    order = np.argsort(targets, kind="stable")
    sources = sources[order]
    counts = np.bincount(targets, minlength=len(goal))
    starts = np.cumsum(counts) - counts
    reached = goal.copy()
    frontier = np.flatnonzero(goal)
    while len(frontier):
        before = sources[ranges(starts[frontier], counts[frontier])]
        frontier = np.unique(before[~reached[before]])
        reached[frontier] = True
    return reached
