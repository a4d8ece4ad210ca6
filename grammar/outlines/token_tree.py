"""The tokens of a vocabulary as a tree of bytes, level by level."""

import numpy as np
import numpy.typing as npt

from sampler.errors import GrammarError
from sampler.grammar.vocabulary import GrammarVocabulary

Ints = npt.NDArray[np.int64]


class TokenTree:
    """All tokens that are text as one tree of bytes, laid out level by level in flat arrays.

    Node 0 is the root; the nodes of a level follow each other, sorted by parent, so that the
    children of a node are the range ``first_child[n]`` to ``first_child[n] + child_count[n]``.
    Special tokens, ends of sequence and tokens without bytes are no part of it.

    Attributes
    ----------
    vocab_size : number of token ids
    eos_token_ids : ids that end a sequence
    special_token_ids : ids with bytes that are not text
    token_bytes : the bytes of each id, b"" where it is not text
    node_byte : uint8[nodes], the byte that leads to a node
    first_child, child_count : int64[nodes]
    first_token, token_count : int64[nodes], the range of `token_ids` that a node spells (several
        ids may have the same bytes)
    token_ids : int64[tokens]

    Raises
    ------
    GrammarError : a vocabulary without an end-of-sequence token
    """

    def __init__(self, vocabulary: GrammarVocabulary) -> None:
        self.vocab_size = int(vocabulary.size)
        self.eos_token_ids = tuple(int(token_id) for token_id in vocabulary.eos_token_ids)
        if not self.eos_token_ids:
            raise GrammarError(
                "a grammar needs an end-of-sequence token: `eos_token_ids` of the vocabulary is"
                " empty, so nothing could end the text"
            )
        self.special_token_ids = frozenset(
            filter(vocabulary.token_bytes, vocabulary.special_token_ids)
        )
        never_text = vocabulary.special_token_ids | set(self.eos_token_ids)
        self.token_bytes = tuple(
            b"" if token_id in never_text else vocabulary.token_bytes(token_id)
            for token_id in range(self.vocab_size)
        )
        token_nodes = self._grow()
        nodes = len(self.node_byte)
        texts = np.flatnonzero(token_nodes)
        self.token_ids: Ints = texts[np.argsort(token_nodes[texts], kind="stable")]
        self.token_count: Ints = np.bincount(token_nodes[texts], minlength=nodes)
        self.first_token: Ints = np.cumsum(self.token_count) - self.token_count

    def _grow(self) -> Ints:
        """The node of each token (0 where it is not text), after laying out the tree."""
        lengths = np.array([len(token) for token in self.token_bytes], dtype=np.int64)
        starts = np.cumsum(lengths) - lengths
        flat = np.frombuffer(b"".join(self.token_bytes), dtype=np.uint8)
        node_of_token = np.zeros(self.vocab_size, dtype=np.int64)
        level_bytes, level_parents = [np.zeros(1, np.uint8)], [np.zeros(0, np.int64)]
        nodes = 1
        for depth in range(int(lengths.max(initial=0))):
            longer = np.flatnonzero(lengths > depth)
            edges = node_of_token[longer] * 256 + flat[starts[longer] + depth]
            unique_edges, index = np.unique(edges, return_inverse=True)
            node_of_token[longer] = nodes + index
            nodes += len(unique_edges)
            level_bytes.append((unique_edges & 255).astype(np.uint8))
            level_parents.append(unique_edges >> 8)
        self.node_byte = np.concatenate(level_bytes)
        self.child_count: Ints = np.bincount(np.concatenate(level_parents), minlength=nodes)
        self.first_child: Ints = 1 + np.cumsum(self.child_count) - self.child_count
        return node_of_token

    @property
    def single_bytes(self) -> npt.NDArray[np.bool_]:
        """``bool[256]``: the bytes that are a token by themselves."""
        found = np.zeros(256, dtype=np.bool_)
        children = np.arange(self.first_child[0], self.first_child[0] + self.child_count[0])
        found[self.node_byte[children]] = self.token_count[children] > 0
        return found


def ranges(starts: Ints, counts: Ints) -> Ints:
    """The ranges ``starts[i]`` to ``starts[i] + counts[i]``, one after the other."""
    offsets = np.cumsum(counts) - counts
    return np.repeat(starts - offsets, counts) + np.arange(int(counts.sum()))
