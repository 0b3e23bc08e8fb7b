"""The proven bound of every result for any data, where `Method.units` is the bound for random data.

docs/decisions/0002-numerics.md derives it from the roundings of the affine step and the errors of the statistics. Sums
in float64 add almost nothing to the latter; the float32 sums of rows of medium length do.
"""

import math

import numpy as np
from methods import _largest_divisor, channels

SHORT, LONG = 256, 32768  # rows between these numbers of values are summed in float32
SHORT_ABOUT_ZERO = 64
ROUNDINGS = {  # of the affine step, where they are not 4: weights that vary within a slot, or another formula
    "layer2d": 5,
    "layer_last": 5,
    "layer_chw": 5,
    "layer2d_gelu_tanh": 5,
    "add_layer": 5,
    "rms_last": 3,
    "conditional": 5,
    "conditional_mixed": 5,
    "evonorm_s0": 6,
    "evonorm_b0": 5,
    "evonorm_b0_train": 5,
    "weight_norm": 2,
}
# What float32 sums add where squares about the shift are up to 7/6 of those about the mean: to the mean; to half of the
# variance, by its own sum, by the mean's, and by those of chunks whose means differ; and to half of a mean square.
MEAN = 5 * math.sqrt(7 / 6)
PIECE = 3.5 * 7 / 6 + MEAN * math.sqrt(1 / 6)
DEVIATION = max((PIECE + MEAN * math.sqrt(between)) / (1 + between) for between in np.linspace(0, 1, 1001))
MEAN_SQUARE = 2.5
EXACT = 0.01  # the most that float64 sums add, for means of up to 4096 deviations


def longest_piece(method, x, layout):
    """Returns the longest part of a slot, in floats, that may be summed as a row; 0 if slots are columns.

    If an axis has length 1, the same memory may be summed as rows or as columns.
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
    if slots.startswith("group_"):
        return positions * group_of(method, slots, c)
    return positions


def group_of(method, slots, c):
    """Returns the number of channels of a group."""
    if slots == "group_1" or c % method.group:
        return c
    return c // max(_largest_divisor(c), 1) if slots == "group_some" else method.group


def in_float32(method, x, layout):
    """Returns whether sums of a slot may be taken in float32."""
    if "batch_eval" in (method.name, method.slots) or method.name == "weight_norm":
        return False
    piece = longest_piece(method, x, layout)
    if method.name == "rms_last":
        return SHORT_ABOUT_ZERO < piece < LONG
    pooled = method.name in ("batch_train", "renorm_train")
    return piece > SHORT and piece * (x.shape[0] if pooled else 1) < LONG


def stated(method, x, layout):
    """Returns the bound for random data, in units: one more where few distinct values round alike in float32 sums."""
    return method.units + in_float32(method, x, layout)


def proven(method, x, layout):
    """Returns the bound for any data, in units of 2**-24 * scale; `Method.limit` adds a residual and an activation."""
    roundings = ROUNDINGS.get(method.name, 4)
    if not in_float32(method, x, layout):
        return roundings + EXACT
    if method.name == "rms_last":
        return roundings + MEAN_SQUARE
    if method.name.startswith("evonorm"):
        return roundings + DEVIATION
    return roundings + (MEAN + DEVIATION) * (2 if method.name == "adain" else 1)  # a style has statistics, too
