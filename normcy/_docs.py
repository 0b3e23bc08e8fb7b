"""The paragraphs that the public docstrings share, and the decorator that inserts them.

A docstring names a paragraph on a line of its own, ``$layout``, and every line of the paragraph gets that line's
indentation.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from inspect import cleandoc
from textwrap import indent
from typing import Any, TypeVar

Documented = TypeVar("Documented", bound="Callable[..., Any]")

_ACTIVATION = """\
activation : {None, "relu", "silu", "gelu", "gelu_tanh"}, default None
    Applied last: max(y, 0), y * sigmoid(y), or y * Phi(y), where Phi is computed by the error function or by its tanh
    approximation."""

PARAGRAPHS = {
    "x": """\
x : ndarray of float32, shape (N, C, ...) or (N, ..., C)
    Input of rank 2 or more; ``layout`` says where the channels are.""",
    "x_trailing": """\
x : ndarray of float32
    Input of rank 1 or more.
normalized_shape : int or sequence of int
    The last axes of ``x``, over which statistics are taken.""",
    "weight_bias": """\
weight, bias : ndarray of float32 or None
    One value for each channel, shape (C,); one for each sample and channel, (N, C) (conditional norms, FiLM, AdaLN); or
    one for each element, the shape of ``x`` (SPADE). None means 1 and 0.""",
    "eps": """\
Added to the variance under the square root, in float64.""",
    "layout": """\
layout : {"NCHW", "NHWC"}, default "NCHW"
    Where the channels are: at axis 1, or last. An array whose memory is in the other layout (seen through
    ``transpose``) is not copied, and the result has the same memory order.""",
    "activation": _ACTIVATION,
    "out": """\
out : ndarray of float32, optional
    An array of the shape of ``x`` for the result; it may be ``x`` itself. Reusing an array saves the page faults of a
    new one, which cost more than the norm.""",
    "keywords": f"""\
weight_offset : float, default 0.0
    Added to ``weight``: 1.0 gives the "(1 + weight)" of Gemma and DiT.
pre_add : ndarray of float32, shape of ``x``, optional
    A residual before the norm: ``x + pre_add``, rounded to float32, is normalized.
sum_out : ndarray of float32, shape of ``x``, optional
    An array for the sum ``x + pre_add``; it may be ``x`` or ``pre_add`` itself.
post_add : ndarray of float32, shape of ``x``, optional
    A residual after the norm, which is added to the result before the activation.
{_ACTIVATION}
out : ndarray of float32, optional
    An array of the shape of ``x`` for the result; it may be ``x``, ``pre_add`` or ``post_add`` itself. Reusing an array
    saves the page faults of a new one, which cost more than the norm.
return_stats : bool, default False
    Also return the statistics, in float32.""",
    "y": """\
y : ndarray of float32
    The normalized array, of the shape and memory order of ``x``.""",
    "raises": """\
TypeError
    If an array is not a float32 ``numpy.ndarray``, or an argument is of the wrong kind.
ValueError
    If a shape, a value or an option is wrong, or an output overlaps another array in a way that is not allowed above.
    No array has been written then.""",
    "layer_layout": """\
layout : {"NCHW", "NHWC"}, default "NCHW"
    Where the channels are: at axis 1, or last.""",
    "layer_activation": """\
activation : {None, "relu", "silu", "gelu", "gelu_tanh"}, default None
    The activation that is applied to the result.""",
    "layer_affine": """\
affine : bool, default True
    Whether the layer has ``weight`` (ones) and ``bias`` (zeros), float32 of shape (C,).""",
    "layer_raises": """\
TypeError, ValueError
    If an argument has the wrong type or value.""",
    "layer_raises_pace": """\
TypeError, ValueError
    If an argument has the wrong type or value, or both ``momentum`` and ``decay`` are given.""",
    "layer_raises_groups": """\
TypeError, ValueError
    If an argument has the wrong type or value, or the groups do not divide the channels.""",
    "layer_shape": """\
normalized_shape : int or sequence of int
    Sizes of the axes that are normalized together, which are the last ones of the input.""",
    "layer_apply_act": """\
apply_act : bool, default True
    If False, only the affine step is applied: there is no normalization, and no ``v``.""",
}

_PLACE = re.compile(r"^( *)\$(\w+)$", re.MULTILINE)


def document(documented: Documented) -> Documented:
    """Insert the named paragraphs into the docstring of a function or class, which ``python -OO`` drops."""
    if documented.__doc__:
        text = cleandoc(documented.__doc__)
        documented.__doc__ = _PLACE.sub(lambda place: indent(PARAGRAPHS[place[2]], place[1]), text)
    return documented
