"""Hypothesis strategies for what one row is sampled from: logits, parameters, tokens, bitmask."""

import math

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from reference.cases import Case, packed

from sampler import SamplingParameters, Watermark

LARGEST = 300
# What goes wrong goes wrong at the ends of words and blocks, so those sizes come up often.
sizes = st.one_of(
    st.integers(1, 9),
    st.sampled_from([15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257]),
    st.integers(1, LARGEST),
)
seeds = st.integers(0, 2**64 - 1)
shares = st.one_of(
    st.floats(0.0, 1.0, exclude_min=True),
    st.sampled_from([5e-324, 1e-12, 1e-6, 0.25, 0.5, 0.9, 0.95, 1.0 - 1e-6, 1.0 - 2**-53, 1.0]),
)
temperatures = st.one_of(
    st.floats(0.1, 5.0), st.sampled_from([0.0, 1e-6, 1e-3, 1.0, 1e3, 1e6]), st.floats(1e-6, 1e6)
)
penalties = st.one_of(st.floats(-2.0, 2.0), st.sampled_from([-2.0, 0.0, 2.0]))
FLOAT32_MAX = float(np.finfo(np.float32).max)


def finite_logits() -> st.SearchStrategy[float]:
    """One finite float32: ordinary, tied, a zero of either sign, tiny, or as large as they come."""
    return st.one_of(
        st.floats(-20.0, 20.0, width=32),
        st.integers(-3, 3).map(float),
        st.sampled_from([-0.0, 0.0, 1e-45, -1e-38, 3e38, -3e38, FLOAT32_MAX, -FLOAT32_MAX]),
        st.floats(allow_nan=False, allow_infinity=False, width=32),
    )


@st.composite
def rows(draw: st.DrawFn, size: int, drawable: bool = False) -> np.ndarray:
    """float32[size]; unless `drawable`, also rows with NaN, +inf or nothing but -inf."""
    ordinary = st.floats(-20.0, 20.0, width=32)
    elements = draw(
        st.sampled_from([ordinary, st.integers(-2, 2).map(float), finite_logits(), st.just(1.5)])
    )
    row = draw(arrays.arrays(np.float32, size, elements=elements))
    row[draw(st.one_of(st.just([]), st.lists(st.integers(0, size - 1))))] = -np.inf
    if drawable:
        row[draw(st.integers(0, size - 1))] = draw(ordinary)
        return row
    flaw = draw(st.sampled_from([None] * 8 + ["nothing finite", np.nan, np.inf]))
    if flaw == "nothing finite":
        row[:] = -np.inf
    elif flaw is not None:
        row[draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=2))] = flaw
    return row


@st.composite
def bitmasks(draw: st.DrawFn, size: int) -> np.ndarray | None:
    """int32[ceil(size / 32)] or None: all kinds of densities, one id, nothing."""
    kind = draw(st.sampled_from(["none"] * 4 + ["some", "most", "most", "one", "nothing"]))
    if kind == "none":
        return None
    ids = draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=20))
    listed = np.isin(np.arange(size), ids[:1] if kind == "one" else ids)
    if kind == "most":
        listed = ~listed
    elif kind == "nothing":
        listed[:] = False
    return packed(listed)


def watermarks() -> st.SearchStrategy[bool | Watermark]:
    """False, the default, or a green list with a context of up to three tokens."""
    return st.one_of(
        st.booleans(),
        st.builds(
            Watermark,
            gamma=st.floats(0.01, 0.99),
            delta=st.one_of(st.just(0.0), st.floats(0.0, 100.0)),
            key=seeds,
            context_width=st.integers(1, 3),
        ),
    )


def biases(size: int) -> st.SearchStrategy[dict[int, float] | None]:
    """A `logit_bias`: small numbers, -inf, and numbers at the ends of float32."""
    values = st.one_of(st.floats(-10.0, 10.0), st.sampled_from([-math.inf, 3.4e38, -3.4e38]))
    return st.one_of(st.none(), st.dictionaries(st.integers(0, size - 1), values, max_size=5))


@st.composite
def parameters(draw: st.DrawFn, size: int) -> SamplingParameters:
    """Parameters over their full legal ranges, always with a seed; any subset is not neutral."""
    choices: dict[str, st.SearchStrategy] = {
        "temperature": temperatures,
        "top_k": st.one_of(st.integers(0, size + 2), st.just(2**62)),
        "top_p": shares,
        "typical_p": shares,
        "min_p": st.one_of(st.just(0.0), shares),
        "repetition_penalty": st.one_of(
            st.floats(0.5, 2.0), st.floats(1e-6, 1e6), st.sampled_from([1e-29, 1e29])
        ),
        "frequency_penalty": penalties,
        "presence_penalty": penalties,
        "logit_bias": biases(size),
        "watermark": watermarks(),
        "logprobs": st.sampled_from(["processed", "raw"]),
        "top_n_tokens": st.integers(0, 5),
    }
    names = draw(st.sets(st.sampled_from(sorted(choices)), max_size=6))
    values = {name: draw(choices[name]) for name in sorted(names)}
    do_sample = draw(st.sampled_from([True, True, True, False]))
    return SamplingParameters(**values, do_sample=do_sample, seed=draw(seeds))


def tokens(size: int, most: int = 10) -> st.SearchStrategy[tuple[int, ...]]:
    """Up to `most` ids below `size`, often repeated."""
    ids = st.one_of(st.integers(0, size - 1), st.integers(0, min(size, 3) - 1))
    return st.lists(ids, max_size=most).map(tuple)


@st.composite
def cases(
    draw: st.DrawFn, vocab_sizes: st.SearchStrategy[int] = sizes, drawable: bool = False
) -> Case:
    """One row with everything that its token depends on."""
    size = draw(vocab_sizes)
    return Case(
        logits=draw(rows(size, drawable=drawable)),
        parameters=draw(parameters(size)),
        prompt=draw(tokens(size)),
        generated=draw(tokens(size)),
        bitmask=None if drawable else draw(bitmasks(size)),
    )
