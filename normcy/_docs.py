"""The paragraphs that the public docstrings share, written once, and the decorator that puts them in.

A docstring names a paragraph on a line of its own, ``$layout``, and every line of it gets that line's indentation.
"""

from __future__ import annotations

import re
from inspect import cleandoc
from textwrap import indent

_ACTIVATION = """\
activation : {None, "relu", "silu", "gelu", "gelu_tanh"}, default None
    Applied last: max(y, 0), y * sigmoid(y), or y * Phi(y) with Phi by the error function or its tanh approximation."""

PARAGRAPHS = {
    "x": """\
x : ndarray of float32, shape (N, C, ...) or (N, ..., C)
    Input of rank 2 or more; ``layout`` says where the channels are.""",
    "x_trailing": """\
x : ndarray of float32
    Input of any rank from 1 up.
normalized_shape : int or sequence of int
    The last axes of ``x``, over which statistics are taken.""",
    "weight_bias": """\
weight, bias : ndarray of float32 or None
    One value a channel, shape (C,); one a sample and channel, (N, C) (conditional norms, FiLM, AdaLN); or one an
    element, the shape of ``x`` (SPADE). None is 1 and 0.""",
    "eps": """\
Added to the variance under the square root, as the float64 that it is.""",
    "layout": """\
layout : {"NCHW", "NHWC"}, default "NCHW"
    Channels at axis 1, or last. An array whose memory is in the other layout (seen through ``transpose``) is
    served in place, and the result has that same memory order.""",
    "activation": _ACTIVATION,
    "out": """\
out : ndarray of float32, optional
    Where the result goes, of the shape of ``x``; may be ``x`` itself. Reusing one saves the page faults of a new
    array, which cost more than the norm.""",
    "keywords": f"""\
weight_offset : float, default 0.0
    Added to ``weight``: 1.0 is the "(1 + weight)" of Gemma and DiT.
pre_add : ndarray of float32, shape of ``x``, optional
    A residual before the norm: what is normalized is ``x + pre_add``, rounded to float32.
sum_out : ndarray of float32, shape of ``x``, optional
    Where the sum ``x + pre_add`` goes; may be ``x`` or ``pre_add`` itself.
post_add : ndarray of float32, shape of ``x``, optional
    A residual after the norm: added to the result before the activation.
{_ACTIVATION}
out : ndarray of float32, optional
    Where the result goes, of the shape of ``x``; may be ``x``, ``pre_add`` or ``post_add`` itself. Reusing one saves
    the page faults of a new array, which cost more than the norm.
return_stats : bool, default False
    Also return the statistics of every slot, in float32.""",
    "y": """\
y : ndarray of float32
    The normalized array, of the shape and memory order of ``x``.""",
    "raises": """\
TypeError
    If an array is not a float32 ``numpy.ndarray``, or an argument is of the wrong kind.
ValueError
    If a shape, a value or an option is wrong, or an array that is to be written overlaps another, unless it is one
    that it may be. No array has been written then.""",
    "layer_layout": """\
layout : {"NCHW", "NHWC"}, default "NCHW"
    Channels at axis 1, or last.""",
    "layer_activation": """\
activation : {None, "relu", "silu", "gelu", "gelu_tanh"}, default None
    Applied to the result.""",
    "layer_affine": """\
affine : bool, default True
    With ``weight`` (ones) and ``bias`` (zeros), float32 of shape (C,).""",
    "layer_raises": """\
TypeError, ValueError
    If an argument is of the wrong kind or value.""",
    "layer_raises_pace": """\
TypeError, ValueError
    If an argument is of the wrong kind or value, or both ``momentum`` and ``decay`` are given.""",
    "layer_raises_groups": """\
TypeError, ValueError
    If an argument is of the wrong kind or value, or the groups do not divide the channels.""",
    "layer_shape": """\
normalized_shape : int or sequence of int
    Sizes of the axes that are normalized together, the last ones of the input.""",
    "layer_apply_act": """\
apply_act : bool, default True
    False leaves the affine step alone: no normalization, and no ``v``.""",
}

_PLACE = re.compile(r"^( *)\$(\w+)$", re.MULTILINE)


def document(documented):
    """Put the named paragraphs into a function's or class's docstring, if it has one: ``python -OO`` drops it."""
    if documented.__doc__:
        text = cleandoc(documented.__doc__)
        documented.__doc__ = _PLACE.sub(lambda place: indent(PARAGRAPHS[place[2]], place[1]), text)
    return documented
