"""Keeps the keys of an object distinct where a grammar leaves them free.

An automaton cannot remember which keys were written. So a scanner follows the text beside it:

    outside of strings : brackets open and close containers; in an object, a string is a key after
                         its opening bracket and after a comma
    in a key           : its code points, however they are spelled
    at the end of one  : refused if the object has it, else remembered

Nothing that was written is changed: a place in the text is the number of a record, an older place
is one that was there before. The memory is one int32 array: places (see `PLACE_SIZE`), containers
(parent, is an object, the last key), keys (the key before, length, hash, code points) and code
points of a key that is being written (the one before, code point). 0 is none of them.
"""

import numpy as np

from sampler.kernels._jit import Array
from sampler.kernels.grammar.compile import int64, kernel
from sampler.kernels.grammar.decoder import (
    ESCAPE,
    FREE,
    KIND,
    REFUSED,
    WHOLE_CHARACTER,
    decode,
    span,
    span_count,
)
from sampler.kernels.grammar.kept_masks import forbid
from sampler.kernels.grammar.memory import (
    ALL_TOKENS,
    END_TOKEN,
    FIRST_CHILD,
    FIRST_TOKEN,
    LAST_CHILD,
    NODE_BYTE,
    ROOTS,
    THREE_QUOTES,
    TOKEN_DATA,
    TOKEN_IDS,
    TOKEN_STARTS,
    TWO_QUOTES,
    block_at,
    bytes_at,
    ints_at,
    longs_at,
    memory_at,
    mixed,
)

# The block of a scanner: its records and a path through the trie (arrays), words in use, how many
# were missing, the block of the tokens
RECORDS, TRAIL, USED, MISSING, KEY_TOKENS = 0, 2, 4, 5, 6
KEYS_BLOCK_SIZE = 8
FIRST_PLACE = 1

PLACE_SIZE = 6
CONTAINER, MODE, PART, TAIL, LENGTH, HASH = range(PLACE_SIZE)
IN_STRING, IS_KEY, EXPECTS_KEY = 1, 2, 4  # modes

# of each byte on a path through the trie: the characters of the key before it, the part of one, and
# the node
TRAIL_SIZE = 3
TRAIL_LENGTH, TRAIL_PART, TRAIL_NODE = range(TRAIL_SIZE)

REPEATED, NO_ROOM = 0, -1

_QUOTE, _BACKSLASH, _COMMA, _COLON = 0x22, 0x5C, 0x2C, 0x3A
_OPEN_OBJECT, _OPEN_ARRAY, _CLOSE_OBJECT, _CLOSE_ARRAY = 0x7B, 0x5B, 0x7D, 0x5D
_WORDS_OF_BYTE = 8  # that one byte of text may take at most: a key that is closed, and its letters


@kernel
def _hash(before: int, point: int) -> int:
    return mixed(before, point) & 0x7FFFFFFF


@kernel
def _is_key(records: Array, key: int, place: Array) -> bool:
    """Whether the key that is being written is `key`, or its first part."""
    length, tail = int64(place[LENGTH]), int64(place[TAIL])
    if length > records[key + 1]:
        return False
    while length > 0:
        length -= 1
        if records[tail + 1] != records[key + 3 + length]:
            return False
        tail = int64(records[tail])
    return True


@kernel
def _close_key(k: Array, place: Array) -> bool:
    """Whether the object has no such key yet; it has it from now on."""
    records = ints_at(k, RECORDS)
    container = int64(place[CONTAINER])
    key = int64(records[container + 2])
    while key != 0:
        is_alike = records[key + 1] == place[LENGTH] and records[key + 2] == place[HASH]
        if is_alike and _is_key(records, key, place):
            return False
        key = int64(records[key])
    key, length = int64(k[USED]), int64(place[LENGTH])
    records[key], records[key + 1], records[key + 2] = records[container + 2], length, place[HASH]
    tail = int64(place[TAIL])
    for i in range(length):
        records[key + 2 + length - i] = records[tail + 1]
        tail = int64(records[tail])
    changed = key + 3 + length
    records[changed], records[changed + 1] = records[container], 1
    records[changed + 2] = key
    k[USED] = changed + 3
    place[CONTAINER] = changed
    return True


@kernel
def _in_string(k: Array, place: Array, byte: int) -> bool:
    """Whether `byte` may come next in a string."""
    if place[PART] == 0 and byte == _QUOTE:
        is_key = place[MODE] & IS_KEY != 0
        place[MODE] = 0
        return not is_key or _close_key(k, place)
    if place[MODE] & IS_KEY == 0:
        is_escaped = place[PART] != 0
        place[PART] = ESCAPE << KIND if byte == _BACKSLASH and not is_escaped else 0
        return True
    after = decode(FREE, int64(place[PART]), byte)
    place[PART] = 0
    if after < WHOLE_CHARACTER:
        place[PART] = max(after, 0)
        return True
    records, tail = ints_at(k, RECORDS), int64(k[USED])
    records[tail], records[tail + 1] = place[TAIL], after - WHOLE_CHARACTER
    k[USED] = tail + 2
    place[TAIL] = tail
    place[LENGTH] += 1
    place[HASH] = _hash(int64(place[HASH]), after - WHOLE_CHARACTER)
    return True


@kernel
def _outside(k: Array, place: Array, byte: int) -> None:
    """None; goes on by `byte` outside of strings."""
    records = ints_at(k, RECORDS)
    container = int64(place[CONTAINER])
    if byte == _QUOTE:
        place[MODE] = IN_STRING | IS_KEY if place[MODE] & EXPECTS_KEY else IN_STRING
        place[PART] = place[TAIL] = place[LENGTH] = place[HASH] = 0
    elif byte in (_OPEN_OBJECT, _OPEN_ARRAY):
        inner = int64(k[USED])
        records[inner], records[inner + 2] = container, 0
        records[inner + 1] = byte == _OPEN_OBJECT
        k[USED] = inner + 3
        place[CONTAINER] = inner
        place[MODE] = EXPECTS_KEY if byte == _OPEN_OBJECT else 0
    elif byte in (_CLOSE_OBJECT, _CLOSE_ARRAY):
        place[CONTAINER] = records[container] if container != 0 else 0
        place[MODE] = 0
    elif byte == _COMMA:
        is_object = container != 0 and records[container + 1] != 0
        place[MODE] = EXPECTS_KEY if is_object else 0
    elif byte == _COLON:
        place[MODE] = 0


@kernel
def _scan(k: Array, before: int, data: Array, at: int, end: int) -> int:
    """The place after data[at:end]; `REPEATED` where a key is closed that the object has."""
    records = ints_at(k, RECORDS)
    needed = int64(k[USED]) + _WORDS_OF_BYTE * (end - at) + 2 * PLACE_SIZE
    needed += int64(records[before + LENGTH])
    if needed > k[RECORDS + 1]:
        k[MISSING] = needed
        return NO_ROOM
    new = int64(k[USED])
    k[USED] = new + PLACE_SIZE
    place = records[new : new + PLACE_SIZE]
    for i in range(PLACE_SIZE):
        place[i] = records[before + i]
    for i in range(at, end):
        byte = int64(data[i])
        if place[MODE] & IN_STRING == 0:
            _outside(k, place, byte)
        elif not _in_string(k, place, byte):
            return REPEATED
    is_same = True
    for i in range(PLACE_SIZE):
        is_same = is_same and place[i] == records[before + i]
    if is_same and k[USED] == new + PLACE_SIZE:
        k[USED] = new
        return before
    return new


@kernel
def scan(address: int, place: int, token_id: int, data: int, size: int) -> int:
    """The place after a token, or after uint8[size] at `data` where `token_id` is -1.

    `REPEATED` where a key is closed that its object has; `NO_ROOM`, with the words that `RECORDS`
    needs in `MISSING`.
    """
    k = block_at(address)
    used = int64(k[USED])
    if token_id < 0:
        after = _scan(k, place, memory_at(data), 0, size)
    else:
        tokens = block_at(k[KEY_TOKENS])
        starts = longs_at(tokens, TOKEN_STARTS)
        at, end = int64(starts[token_id]), int64(starts[token_id + 1])
        after = _scan(k, place, bytes_at(tokens, TOKEN_DATA), at, end)
    if after <= 0:
        k[USED] = used
    return after


@kernel
def _can_become(part: int, point: int) -> bool:
    """Whether a part of a character can still become a code point."""
    for i in range(span_count(part)):
        first, last = span(FREE, part, i)
        if first <= point <= last:
            return True
    return False


@kernel
def _after_in_key(k: Array, key: int, at: int, byte: int) -> bool:
    """Whether `byte` goes on with `key` at the trail `at`; the trail is one longer then."""
    records, trail = ints_at(k, RECORDS), ints_at(k, TRAIL)
    index, part = int64(trail[at + TRAIL_LENGTH]), int64(trail[at + TRAIL_PART])
    after, point = decode(FREE, part, byte), int64(records[key + 3 + index])
    below = at + TRAIL_SIZE
    if after >= WHOLE_CHARACTER:
        trail[below + TRAIL_LENGTH], trail[below + TRAIL_PART] = index + 1, 0
        return after - WHOLE_CHARACTER == point
    trail[below + TRAIL_LENGTH], trail[below + TRAIL_PART] = index, after
    return after != REFUSED and _can_become(after, point)


@kernel
def _forbid_key(k: Array, tops: tuple[int, int], key: int, place: Array, mask: Array) -> None:
    """None; forbids the tokens from one node at the top to another that write `key` to its end.

    `place` is within the key.
    """
    tokens, trail = block_at(k[KEY_TOKENS]), ints_at(k, TRAIL)
    nodes, end_token = longs_at(tokens, ALL_TOKENS), ints_at(tokens, ALL_TOKENS + END_TOKEN)
    first_token = ints_at(tokens, ALL_TOKENS + FIRST_TOKEN)
    token_ids = ints_at(tokens, ALL_TOKENS + TOKEN_IDS)
    length = int64(ints_at(k, RECORDS)[key + 1])
    trail[TRAIL_LENGTH], trail[TRAIL_PART] = place[LENGTH], place[PART]
    node, last = tops
    at = int64(0)
    while True:
        word = int64(nodes[node])
        byte, child = word & NODE_BYTE, word >> FIRST_CHILD
        if trail[at + TRAIL_LENGTH] == length:
            if trail[at + TRAIL_PART] == 0 and byte == _QUOTE:
                for i in range(first_token[node], end_token[node]):
                    forbid(mask, int64(token_ids[i]))
        elif child != 0 and _after_in_key(k, key, at, byte):
            trail[at + TRAIL_NODE] = node
            at += TRAIL_SIZE
            node = child
            continue
        while at > 0 and word & LAST_CHILD:
            at -= TRAIL_SIZE
            node = int64(trail[at + TRAIL_NODE])
            word = int64(nodes[node])
        if at == 0 and node == last:
            return
        node += 1


@kernel
def _lead_of(point: int) -> int:
    """The first byte of a code point in UTF-8."""
    if point < 0x80:
        return point
    if point < 0x800:
        return 0xC0 | point >> 6
    return 0xE0 | point >> 12 if point < 0x10000 else 0xF0 | point >> 18


@kernel
def _forbid_keys(k: Array, place: Array, mask: Array) -> None:
    """None; forbids the tokens that end the key that is being written as one of the object's."""
    tokens, records = block_at(k[KEY_TOKENS]), ints_at(k, RECORDS)
    roots = ints_at(tokens, ROOTS)
    tops = int64(roots[NODE_BYTE + 1])
    key = int64(records[place[CONTAINER] + 2])
    while key != 0:
        if _is_key(records, key, place):
            if place[PART] != 0 and tops > 0:
                _forbid_key(k, (int64(0), tops - 1), key, place, mask)
            elif place[PART] == 0:
                is_whole = place[LENGTH] == records[key + 1]
                point = _QUOTE if is_whole else int64(records[key + 3 + place[LENGTH]])
                for byte in (_lead_of(point), _BACKSLASH):
                    root = int64(roots[byte])
                    if root >= 0:
                        _forbid_key(k, (root, root), key, place, mask)
        key = int64(records[key])


@kernel
def forbid_repeated(address: int, place: int, bitmask: Array, row: int) -> int:
    """0 when the tokens that close a key for the second time are forbidden; or `NO_ROOM`.

    In a key, a token closes it by its first quotation mark, and another one only if it has three;
    outside of strings a token needs two of them for a whole key, in other strings three.

    Parameters
    ----------
    bitmask : int32[rows, words]; of `row`, bits of such tokens are cleared
    """
    k = block_at(address)
    tokens, records = block_at(k[KEY_TOKENS]), ints_at(k, RECORDS)
    mask = bitmask[row].view(np.uint32)
    here = records[place : place + PLACE_SIZE]
    if here[MODE] & IS_KEY != 0:
        _forbid_keys(k, here, mask)
    field = THREE_QUOTES if here[MODE] & IN_STRING != 0 else TWO_QUOTES
    candidates = ints_at(tokens, field)
    for i in range(tokens[field + 1]):
        token_id = int64(candidates[i])
        if (mask[token_id >> 5] >> np.uint32(token_id & 31)) & np.uint32(1) != 0:
            used = int64(k[USED])
            after = scan(address, place, token_id, 0, 0)
            k[USED] = used
            if after == NO_ROOM:
                return NO_ROOM
            if after == REPEATED:
                forbid(mask, token_id)
    return 0
