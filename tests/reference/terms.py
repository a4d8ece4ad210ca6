"""Languages of texts as what they are: sets of texts, over a few characters and up to a length.

An expression is a tuple of its kind and its parts, so that this twin shares no code with the terms:
("characters", "ab"), ("words", ("ab", "")), ("concat", x, y), ("repeat", x, low, high),
("either", x, y), ("both", x, y), ("not", x).
"""

import itertools

from hypothesis import strategies as st


def universe(alphabet, length):
    """All texts of characters in `alphabet`, up to `length`."""
    return frozenset(
        "".join(text) for n in range(length + 1) for text in itertools.product(alphabet, repeat=n)
    )


def texts(expression, alphabet, length):
    """The texts of `expression` that are in the universe."""
    kind, *parts = expression
    if kind == "characters":
        return frozenset(parts[0]) & frozenset(alphabet)
    if kind == "words":
        return frozenset(parts[0]) & universe(alphabet, length)
    if kind == "not":
        return universe(alphabet, length) - texts(parts[0], alphabet, length)
    if kind == "repeat":
        return _repeated(texts(parts[0], alphabet, length), parts[1], parts[2], length)
    left, right = (texts(part, alphabet, length) for part in parts)
    if kind == "concat":
        return _concat(left, right, length)
    return left | right if kind == "either" else left & right


def _concat(left, right, length):
    return frozenset(a + b for a in left for b in right if len(a) + len(b) <= length)


def _repeated(once, low, high, length):
    reached = frozenset([""])
    for _ in range(low):
        reached = _concat(reached, once, length)
    found = reached
    # After `length` times more, every further text is one of more characters than `length`, or one
    # that empty texts have repeated.
    for _ in range(length + 1 if high is None else min(high - low, length + 1)):
        reached = _concat(reached, once, length)
        found |= reached
    return found


def expressions():
    """Random expressions over a, b and é."""
    leaves = st.one_of(
        st.tuples(st.just("characters"), st.sampled_from(["a", "b", "é", "ab", "aé", "abé"])),
        st.tuples(st.just("words"), st.sampled_from([(), ("",), ("ab", "a"), ("ba", "", "aba")])),
    )
    bounds = st.sampled_from([(0, None), (1, None), (0, 1), (0, 2), (2, 2), (1, 3), (3, None)])

    def nested(inner):
        return st.one_of(
            st.tuples(st.sampled_from(["concat", "either", "both"]), inner, inner),
            st.tuples(st.just("not"), inner),
            st.builds(lambda x, pair: ("repeat", x, *pair), inner, bounds),
        )

    return st.recursive(leaves, nested, max_leaves=6)


def built(pool, expression):
    """The term of `expression`."""
    kind, *parts = expression
    if kind == "characters":
        return pool.characters((ord(character), ord(character)) for character in parts[0])
    if kind == "words":
        return pool.words(parts[0])
    if kind == "not":
        return pool.complement(built(pool, parts[0]))
    if kind == "repeat":
        return pool.repeat(built(pool, parts[0]), parts[1], parts[2])
    left, right = (built(pool, part) for part in parts)
    make = {"concat": pool.concat, "either": pool.alternation, "both": pool.intersection}[kind]
    return make((left, right))
