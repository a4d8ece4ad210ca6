"""Edits of the logits, and which ids are left to choose from.

    z = logits (+ delta where green)
    z = z * r if z < 0 else z / r            for every id of the context
    z = z - frequency * count; z = z - presence      for every generated id
    z = z + bias
    candidates = allowed ids with z > -inf

Each line is float64 arithmetic on the current value, rounded once to float32: z is held in float64
but is always exactly a float32. Sources: repetition penalty, Keskar et al. (arXiv 1909.05858,
section 4.1); frequency and presence penalties as OpenAI's API documents them (generated tokens
only); green list, Kirchenbauer et al. (arXiv 2301.10226).
"""

import numpy as np

from sampler.kernels._jit import Array, Arrays, Record, inlined, kernel
from sampler.kernels.green_list import is_green
from sampler.kernels.row import NOT_FINITE, NOTHING_ALLOWED


@inlined
def edited(z: float, row: Record, entry: Record) -> float:
    """One logit after penalties and bias, `entry` a TOUCHED; each is rounded to float32 once."""
    penalty = row["repetition_penalty"]
    if penalty != 1.0 and entry["occurrences"] > 0:
        z = np.float64(np.float32(z * penalty if z < 0.0 else z / penalty))
    if entry["generated"] > 0:
        if row["frequency_penalty"] != 0.0:
            z = np.float64(np.float32(z - row["frequency_penalty"] * entry["generated"]))
        if row["presence_penalty"] != 0.0:
            z = np.float64(np.float32(z - row["presence_penalty"]))
    if entry["bias"] != 0.0:
        z = np.float64(np.float32(z + entry["bias"]))
    return z


@inlined
def marked(z: float, row: Record, token_id: int) -> float:
    """One logit after the watermark: `green_delta` more where the id is green."""
    if not row["green"]:
        return z
    green = is_green(row["green_seed"], token_id, row["green_threshold"])
    # no branch: half of them would be guessed wrong
    return np.float64(np.float32(z + (row["green_delta"] if green else 0.0)))


@kernel
def edit_row(logits: Array, row: Record, table: Array, z: Array) -> None:
    """Z = logits after watermark, penalties and bias, in this order; z : float[V], out."""
    if row["green"]:
        seed, threshold, delta = row["green_seed"], row["green_threshold"], row["green_delta"]
        for i in range(len(z)):  # what `marked` does, so that several are done at a time
            gain = delta if is_green(seed, i, threshold) else 0.0
            z[i] = np.float32(np.float64(logits[i]) + gain)
    else:
        for i in range(len(z)):
            z[i] = logits[i]
    for j in range(row["touched_size"]):
        i = table[j]["id"]
        z[i] = edited(np.float64(z[i]), row, table[j])


@kernel
def collect(z: Array, mask: Arrays, lenient: bool, ids: Array) -> int:
    """Moves the candidates of `z` to its front and their ids into `ids`; their number or a status.

    An id is a candidate when the mask allows it and its logit is above -inf. NaN and +inf at an
    allowed id end the row, or are left out when `lenient`. Ids beyond the mask are forbidden.
    """
    bitmask, masked = mask
    size = 0
    limit = min(len(z), 32 * len(bitmask)) if masked else len(z)
    for i in range(limit):
        if masked and (bitmask[i >> 5] >> (i & 31)) & 1 == 0:
            continue
        value = z[i]
        if value == -np.inf:
            continue
        if not value < np.inf:
            if lenient:
                continue
            return NOT_FINITE
        ids[size] = i
        z[size] = value + 0.0  # -0.0 becomes 0.0: they are equal, so their keys must be
        size += 1
    return size if size > 0 else NOTHING_ALLOWED
