"""The bound that every result keeps, whatever the data: a theorem, where `Method.units` is what random data keep.

docs/decisions/0002-numerics.md derives it: the roundings of the affine step, and what the statistics are off by. Sums
that are taken in float64 leave next to nothing of the latter; the float32 sums of long rows do.
"""

import numpy as np
from methods import _largest_divisor, channels

SHORT = 256  # floats: a contiguous piece of a slot up to which sums are taken in float64
ROUNDINGS = {  # of the affine step, where they are not 4: weights that vary within a slot, or another form
    "layer2d": 5,
    "layer_last": 5,
    "layer_chw": 5,
    "layer2d_gelu_tanh": 5,
    "add_layer": 5,
    "conditional": 5,
    "evonorm_s0": 6,
    "evonorm_b0": 5,
    "evonorm_b0_train": 5,
    "weight_norm": 2,
}
ABOUT_ZERO = {"rms_last", "weight_norm"}
EXACT, ABOUT_A_MEAN, OF_SQUARES = 0.01, 11.2, 2.5  # what the statistics may add


def longest_piece(method, x, layout):
    """Floats of a contiguous piece of a slot that may be summed as a row; 0 where slots are columns.

    The same memory in which one axis is of length 1 may go either way.
    """
    if method.weights == "trailing":
        return x[0].size if method.name == "layer_chw" else x.shape[-1]
    c = channels(x, layout)
    positions = int(np.prod(x.shape[1:], dtype=np.int64)) // max(c, 1)
    slots = method.slots or method.name
    if slots == "layer2d":
        return c if layout == "NHWC" or positions == 1 else 0
    if layout == "NHWC" and c != 1 and positions != 1:
        return 0
    return positions * {"group_1": c, "group_some": c // max(_largest_divisor(c), 1)}.get(slots, 1)


def proven(method, x, layout):
    """Units of 2**-24 * scale that no result of the norm passes; `Method.limit` adds a residual and an activation."""
    spread, given = EXACT, "batch_eval" in (method.name, method.slots)
    if not given and longest_piece(method, x, layout) > SHORT:
        spread = OF_SQUARES if method.name in ABOUT_ZERO else ABOUT_A_MEAN
    return ROUNDINGS.get(method.name, 4) + spread * (2 if method.name == "adain" else 1)
