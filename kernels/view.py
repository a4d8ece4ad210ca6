"""A row of logits as its request sees it: edited and masked, without a copy.

A view is (logits, changed, touched, any touched, bits, masked). Ids that penalties or biases change
("touched", bits as uint16) have their edited logit in `changed`; `bits` are those of the mask, as
uint16 too: the sixteen lanes of one load are one element. The row itself is never written. The
watermark is not part of the view.
"""

import numpy as np

from sampler.kernels._jit import Array, Arrays, Record, inlined, kernel
from sampler.kernels.edits import edited, marked
from sampler.kernels.lane_bits import any_word, where
from sampler.kernels.lanes import LANES, Lanes, load, splat
from sampler.kernels.row import BLOCK

NOTHING = np.float32(-np.inf)


@inlined
def is_set(bits: Array, i: int) -> bool:
    """Bit `i` of packed bits (uint16[n])."""
    return (bits[i >> 4] >> (i & 15)) & 1 != 0  # type: ignore[no-any-return]


@inlined
def is_allowed(mask: Arrays, i: int) -> bool:
    """Whether `mask`, (uint16[n] bits, whether to look at them), allows id `i`."""
    bits, masked = mask
    return not masked or (i >> 4 < len(bits) and is_set(bits, i))


@inlined
def any_set(bits: Array, start: int) -> bool:
    """Whether any bit of the whole block at `start` is set."""
    return bool(any_word(bits.view(np.uint32), start >> 5))  # a block of 512 ids has 16 words


@inlined
def width_of(mask: Arrays, size: int) -> int:
    """Of `size` ids only those below this can be allowed."""
    return min(size, LANES * len(mask[0])) if mask[1] else size


@inlined
def mask_of(view: Arrays) -> Arrays:
    """The mask of a view."""
    return view[4], view[5]


@kernel
def edit_touched(logits: Array, row: Record, table: Array, changed: Array) -> None:
    """changed[i] = the logit of i after watermark, penalties and bias, for each id of `table`."""
    for j in range(row["touched_size"]):
        i = table[j]["id"]
        changed[i] = edited(marked(np.float64(logits[i]), row, i), row, table[j])


@inlined
def view_of(logits: Array, mask: Arrays, row: Record, touched: Array, changed: Array) -> Arrays:
    """The row as it is seen once `edit_touched` has filled `changed`; touched : int32 words."""
    bits, masked = mask
    return logits, changed, touched.view(np.uint16), row["touched_size"] > 0, bits, masked


@inlined
def is_plain(view: Arrays, start: int, stop: int) -> bool:
    """Whether a block is as the model gave it: all allowed and nothing touched."""
    if view[5] or stop - start < BLOCK:
        return not (view[5] or view[3])
    return not (view[3] and any_set(view[2], start))


@inlined
def plain_view(view: Arrays) -> Arrays:
    """The row as the model gave it, known as such to the compiler."""
    logits, changed, touched, _, bits, _ = view
    return logits, changed, touched, False, bits, False


@inlined
def is_touched(view: Arrays, i: int) -> bool:
    """Whether penalties or biases change id `i`."""
    return view[3] and is_set(view[2], i)


@inlined
def edited_lanes(view: Arrays, start: int) -> Lanes:
    """The edited logits of ids start .. start + 15, -inf where they are forbidden."""
    logits, changed, touched, any_touched, bits, masked = view
    z = load(logits, start)
    if any_touched:
        z = where(np.uint32(touched[start >> 4]), load(changed, start), z)
    if masked:
        z = where(np.uint32(bits[start >> 4]), z, splat(NOTHING))
    return z


@inlined
def edited_logit(view: Arrays, i: int) -> np.float32:
    """As `edited_lanes`, of one id below `width_of`."""
    if view[5] and not is_set(view[4], i):
        return NOTHING
    return view[1][i] if is_touched(view, i) else view[0][i]  # type: ignore[no-any-return]
