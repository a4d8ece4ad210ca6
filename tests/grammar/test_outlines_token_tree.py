"""The walk along the tree of tokens against one token at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampler.errors import GrammarError
from sampler.grammar.outlines.automaton import DEAD, ByteAutomaton
from sampler.grammar.outlines.token_tree import TokenTree, ranges


class Tokens:
    def __init__(self, tokens, eos=(0,), special=()):
        self.tokens = tokens
        self.size = len(tokens)
        self.eos_token_ids = tuple(eos)
        self.special_token_ids = frozenset(special)

    def token_bytes(self, token_id):
        return self.tokens[token_id]


TOKENS = st.lists(st.text("abc", max_size=4).map(str.encode), max_size=30)
EDGES = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from(b"abcd"), st.integers(0, 4)),
    max_size=15,
    unique_by=lambda edge: edge[:2],
)


def ids_of(tree, nodes):
    return sorted(tree.token_ids[ranges(tree.first_token[nodes], tree.token_count[nodes])].tolist())


@given(tokens=TOKENS, edges=EDGES, accepting=st.sets(st.integers(0, 4), min_size=1))
def test_walk_finds_exactly_the_tokens_that_can_be_followed(tokens, edges, accepting):
    tree = TokenTree(Tokens([b"<end>", b"abc", *tokens], eos=[0], special=[1]))
    automaton = ByteAutomaton.from_edges(
        np.array(edges, dtype=np.int64).reshape(-1, 3), np.isin(np.arange(5), list(accepting)), 0
    )
    if automaton is None:
        return
    for state in range(5):
        nodes, states = automaton.walk(state, tree)
        expected = {
            i: automaton.advance(state, token) for i, token in enumerate(tokens, 2) if token
        }
        followed = [i for i, target in expected.items() if target != DEAD]
        assert ids_of(tree, nodes) == followed
        for node, target in zip(nodes, states, strict=True):
            assert {expected[i] for i in ids_of(tree, np.array([node]))} == {target}


@given(edges=EDGES, accepting=st.sets(st.integers(0, 4), min_size=1))
def test_every_state_that_is_left_can_be_completed(edges, accepting):
    automaton = ByteAutomaton.from_edges(
        np.array(edges, dtype=np.int64).reshape(-1, 3), np.isin(np.arange(5), list(accepting)), 0
    )
    table = {(state, byte): target for state, byte, target in edges}

    def completable(state, left=5):
        return state in accepting or any(
            left and source == state and completable(target, left - 1)
            for (source, _), target in table.items()
        )

    assert (automaton is not None) == completable(0)
    if automaton is not None:
        for (state, byte), target in table.items():
            kept = automaton.advance(state, bytes([byte]))
            assert kept == (target if completable(target) else DEAD)


def test_ends_of_sequence_special_and_empty_tokens_are_no_text():
    tree = TokenTree(Tokens([b"a", b"", b"b", b"a", b"c"], eos=[2], special=[4]))
    automaton = ByteAutomaton.from_edges(
        np.array([[0, byte, 0] for byte in b"abc"]), np.array([True]), 0
    )
    nodes, _ = automaton.walk(0, tree)
    assert ids_of(tree, nodes) == [0, 3]
    assert np.flatnonzero(tree.single_bytes).tolist() == [ord("a")]


def test_a_vocabulary_without_an_end_is_refused_by_name():
    with pytest.raises(GrammarError, match="a grammar needs an end-of-sequence token"):
        TokenTree(Tokens([b"a"], eos=[]))
