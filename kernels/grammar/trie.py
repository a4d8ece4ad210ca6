"""The tokens of a vocabulary as a trie of bytes, laid out in flat arrays.

    for each token, in the order of their bytes:
        skip what it shares with the token before; one node for each further byte
    for each node, depth-first: its children stand together, behind those of the nodes before

So whoever walks the trie and finds that most bytes cannot come next reads the children of a node
one after the other.

Rejected: nodes depth-first (from each child to the next is a jump over a subtree, and waits for the
memory: of few tokens that is most of the walk), nodes level by level (a walk that allows much would
jump at each node), and sorting by NumPy (its strings lose trailing zero bytes and are all as long
as the longest token).
"""

import numpy as np

from sampler.kernels._jit import Array, inlined, kernel
from sampler.kernels.grammar.compile import int64
from sampler.kernels.grammar.decoder import FREE, REFUSED, WHOLE_CHARACTER, decode
from sampler.kernels.grammar.memory import FIRST_CHILD, LAST_CHILD, OWN_TOKENS

_KEY_BYTES = 7  # the bytes of a token that are compared at once, as one positive int64
_QUOTE, _BACKSLASH, _SPACE = 0x22, 0x5C, 0x20


@kernel
def leading_keys(data: Array, starts: Array, keys: Array) -> None:
    """keys[t] = the first bytes of token t as a number, so that keys order as the bytes do.

    Parameters
    ----------
    data : uint8[bytes], all tokens one after the other
    starts : int64[tokens + 1], where each token begins in `data`
    keys : int64[tokens], written
    """
    for token in range(len(keys)):
        start, end = starts[token], starts[token + 1]
        key = np.int64(0)
        for at in range(start, start + _KEY_BYTES):
            key = key << 8 | np.int64(data[at] if at < end else 0)
        keys[token] = key


@inlined
def _shared_prefix(data: Array, starts: Array, one: int, other: int) -> int:
    """How many leading bytes two tokens have in common."""
    first, second = starts[one], starts[other]
    most = min(starts[one + 1] - first, starts[other + 1] - second)
    count = 0
    while count < most and data[first + count] == data[second + count]:
        count += 1
    return count


@inlined
def _is_before(data: Array, starts: Array, keys: Array, one: int, other: int) -> bool:
    """Whether the bytes of `one` are less than those of `other`; a prefix is less."""
    if keys[one] != keys[other]:
        return keys[one] < keys[other]  # type: ignore[no-any-return]
    shared = _shared_prefix(data, starts, one, other)
    if shared == starts[other + 1] - starts[other]:
        return False
    if shared == starts[one + 1] - starts[one]:
        return True
    return data[starts[one] + shared] < data[starts[other] + shared]  # type: ignore[no-any-return]


@kernel
def sort_tokens(data: Array, starts: Array, keys: Array, order: Array, spare: Array) -> None:
    """None; sorts `order` by the bytes of its tokens, equal ones as they stood (a merge sort).

    Parameters
    ----------
    data, starts, keys : the tokens, see `leading_keys`
    order : int32[n], the tokens to sort; sorted in place
    spare : int32[n], overwritten
    """
    count = len(order)
    source, target = order, spare
    width = 1
    while width < count:
        for low in range(0, count, 2 * width):
            middle, high = min(low + width, count), min(low + 2 * width, count)
            left, right = low, middle
            for at in range(low, high):
                takes_right = left == middle or (
                    right < high and _is_before(data, starts, keys, source[right], source[left])
                )
                if takes_right:
                    target[at] = source[right]
                    right += 1
                else:
                    target[at] = source[left]
                    left += 1
        source, target = target, source
        width *= 2
    for at in range(count):
        order[at] = source[at]


@kernel
def shared_prefixes(data: Array, starts: Array, order: Array, shared: Array) -> int:
    """The number of nodes; shared[i] = leading bytes that token order[i] has from the one before.

    Parameters
    ----------
    data, starts : the tokens, see `leading_keys`
    order : int32[n], tokens sorted by their bytes, none of them empty
    shared : int32[n], written
    """
    nodes = 0
    for at in range(len(order)):
        token = order[at]
        shared[at] = 0 if at == 0 else _shared_prefix(data, starts, order[at - 1], token)
        nodes += starts[token + 1] - starts[token] - shared[at]
    return nodes


@kernel
def lay_out(
    data: Array, starts: Array, order: Array, shared: Array, nodes: tuple[Array, ...], path: Array
) -> None:
    """None; writes the nodes of the trie, depth-first.

    Parameters
    ----------
    data, starts, order, shared : see `shared_prefixes`
    nodes : (byte uint8[n], subtree size int32[n], first token int32[n + 1]), all written; the
        tokens of node i are order[first[i]:first[i + 1]], and those of its subtree are
        order[first[i]:first[i + size[i]]]
    path : int32[longest token], overwritten
    """
    node_byte, subtree_size, first_token = nodes
    node = 0
    depth = 0  # of the path to the last token
    for at in range(len(order)):
        token = order[at]
        length = starts[token + 1] - starts[token]
        for level in range(shared[at], depth):
            subtree_size[path[level]] = node - path[level]
        for level in range(shared[at], length):
            node_byte[node] = data[starts[token] + level]
            # a token stands at the last node of its path: those before begin with it too
            first_token[node] = at
            path[level] = node
            node += 1
        depth = length
    for level in range(depth):
        subtree_size[path[level]] = node - path[level]
    first_token[node] = len(order)


@kernel
def join_families(nodes: tuple[Array, ...], families: tuple[Array, ...], place: Array) -> None:
    """None; writes the nodes of the trie so that siblings stand together.

    Parameters
    ----------
    nodes : see `lay_out`
    families : (node int64[n], all 0; first token int32[n]; end of the tokens int32[n]), all
        written; of a node, see `memory`, its tokens and those of its subtree are
        order[first[i]:first[i] + own[i]] and order[first[i]:end[i]]
    place : int32[n], overwritten
    """
    node_byte, subtree_size, first_token = nodes
    family, first, end = families
    count, last, child, stop = int64(0), int64(-1), int64(0), int64(len(node_byte))
    node = int64(-1)  # above the top
    while node < len(node_byte):
        children = count if child < stop else int64(0)
        while child < stop:
            place[child], last = count, child
            count += 1
            child += subtree_size[child]
        if last >= 0:
            family[place[last]] |= np.int64(LAST_CHILD)
        if node >= 0:
            own = int64(first_token[node + 1]) - int64(first_token[node])
            word = int64(node_byte[node]) | own << OWN_TOKENS | children << FIRST_CHILD
            family[place[node]] |= word
            first[place[node]] = first_token[node]
            end[place[node]] = first_token[node + subtree_size[node]]
        node += 1
        child, last = node + 1, int64(-1)
        stop = node + subtree_size[node] if node < len(node_byte) else child


@kernel
def plain_lengths(data: Array, starts: Array, lengths: Array) -> None:
    r"""lengths[t] = the code points of token t if all may stand in a JSON string, else 0.

    That is whole characters in UTF-8, without ``"``, ``\`` and controls below U+0020.

    Parameters
    ----------
    data, starts : the tokens, see `leading_keys`
    lengths : int32[tokens], written
    """
    for token in range(len(lengths)):
        at, end = starts[token], starts[token + 1]
        count = 0
        while at < end:
            size = _plain_character(data, at, end)
            if size == 0:
                count = 0
                break
            at += size
            count += 1
        lengths[token] = count


@kernel
def string_lengths(data: Array, starts: Array, order: Array, lengths: Array) -> None:
    """lengths[i] = the code points that token order[i] adds to a JSON string that it goes on.

    A character that is begun counts. Where the string cannot have what the token has, the length
    is that of the part before.

    Parameters
    ----------
    data, starts : the tokens, see `leading_keys`
    order : int32[n]
    lengths : int32[n], written
    """
    for i in range(len(order)):
        at, end = starts[order[i]], starts[order[i] + 1]
        count, part = int64(0), int64(0)
        while at < end and part != REFUSED:
            byte = int64(data[at])
            after = REFUSED if part == 0 and byte == _QUOTE else decode(FREE, part, byte)
            count += after >= WHOLE_CHARACTER
            part = 0 if after >= WHOLE_CHARACTER else after
            at += 1
        lengths[i] = count + (part > 0)


@kernel
def plain_prefixes(data: Array, starts: Array, order: Array, sizes: Array) -> None:
    """sizes[i] = the bytes of the plain characters that token order[i] begins with.

    0 where there is nothing else.

    Parameters
    ----------
    data, starts : the tokens, see `leading_keys`
    order : int32[n]
    sizes : int64[n], written
    """
    for i in range(len(order)):
        start, end = starts[order[i]], starts[order[i] + 1]
        at, size = start, np.int64(1)
        while at < end and size > 0:
            size = np.int64(_plain_character(data, at, end))
            at += size
        sizes[i] = at - start if at < end else 0


@inlined
def _plain_character(data: Array, at: int, end: int) -> int:
    """The bytes of the plain character that begins at `at`; 0 where there is none."""
    lead = data[at]
    if lead < 0x80:
        return 0 if lead < _SPACE or lead in (_QUOTE, _BACKSLASH) else 1
    if lead < 0xC2 or lead > 0xF4:
        return 0
    size = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    if at + size > end:
        return 0
    for offset in range(1, size):
        if data[at + offset] & 0xC0 != 0x80:
            return 0
    second = data[at + 1]
    overlong = (lead == 0xE0 and second < 0xA0) or (lead == 0xF0 and second < 0x90)
    beyond = (lead == 0xED and second > 0x9F) or (lead == 0xF4 and second > 0x8F)
    return 0 if overlong or beyond else size
