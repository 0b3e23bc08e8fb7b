"""The public functions: what they compute, and their arguments. Checks and arithmetic are in the compiled core.

Positional parameters follow ``torch.nn.functional`` in name, order and default: one can be swapped for the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray

from normcy import _native

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "layer_norm2d", "moments", "rms_norm"]

Array = NDArray[np.float32]
Layout = Literal["NCHW", "NHWC"]


@overload
def batch_norm(
    x: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None = None,
    bias: Array | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    layout: Layout = "NCHW",
    weight_offset: float = 0.0,
    out: Array | None = None,
    return_stats: Literal[False] = False,
    unbiased_running_var: bool = True,
) -> Array: ...
@overload
def batch_norm(
    x: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None = None,
    bias: Array | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    layout: Layout = "NCHW",
    weight_offset: float = 0.0,
    out: Array | None = None,
    return_stats: Literal[True],
    unbiased_running_var: bool = True,
) -> tuple[Array, Array, Array]: ...
def batch_norm(
    x: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None = None,
    bias: Array | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    layout: Layout = "NCHW",
    weight_offset: float = 0.0,
    out: Array | None = None,
    return_stats: bool = False,
    unbiased_running_var: bool = True,
):
    """Batch normalization: statistics of each channel over samples and positions.

    ``y = (x - mean) / sqrt(var + eps) * (weight_offset + weight) + bias``, where mean and var are those of the batch in
    training (var biased) and the running ones otherwise.

    Parameters
    ----------
    x : ndarray of float32, shape (N, C, ...) or (N, ..., C)
        Input of rank 2 or more; ``layout`` says where the channels are.
    running_mean, running_var : ndarray of float32, shape (C,), or None
        In training they are updated in place: ``running = (1 - momentum) * running + momentum * batch``. Otherwise they
        are what normalizes. Both or neither; any stride.
    weight, bias : ndarray of float32 or None
        One value a channel, shape (C,); one a sample and channel, (N, C) (conditional norms, FiLM, AdaLN); or one an
        element, the shape of ``x`` (SPADE). None is 1 and 0.
    training : bool, default False
        Normalize with the batch's own statistics.
    momentum : float, default 0.1
        Weight of the new batch (1 minus what Keras, Flax and ONNX call momentum).
    eps : float, default 1e-5
        Added to the variance under the square root, as the float64 that it is.
    layout : {"NCHW", "NHWC"}, default "NCHW"
        Channels at axis 1, or last. An array whose memory is in the other layout (seen through ``transpose``) is
        served in place, and the result has that same memory order.
    weight_offset : float, default 0.0
        Added to ``weight``: 1.0 is the "(1 + weight)" of Gemma and DiT.
    out : ndarray of float32, optional
        Where the result goes, of the shape of ``x``; may be ``x`` itself. Reusing one saves the page faults of a new
        array, which cost more than the norm.
    return_stats : bool, default False
        Also return mean and 1 / sqrt(var + eps) of every slot, float32, of shape
        (C,); of shape (0,) outside of training, as in PyTorch.
    unbiased_running_var : bool, default True
        Store the variance over n - 1, as PyTorch does; False stores it over n, as Keras, Flax and ONNX do.

    Returns
    -------
    y : ndarray of float32
        The normalized array, of the shape and memory order of ``x``.
    mean, rstd : ndarray of float32
        With ``return_stats`` only: statistics of the batch, (C,).

    Raises
    ------
    TypeError
        If an array is not a float32 ``numpy.ndarray``, or an argument of the wrong kind.
    ValueError
        If a shape, a value or an option is wrong, or ``out`` overlaps an input otherwise than by being ``x``. No array
        has been written then.

    Notes
    -----
    An empty batch returns an empty array and leaves the running statistics alone.

    References
    ----------
    S. Ioffe, C. Szegedy, "Batch Normalization", 2015, arXiv:1502.03167; ``torch.nn.functional.batch_norm``.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> x = np.array([[1, 10], [3, 30]], np.float32)
    >>> mean, var = np.zeros(2, np.float32), np.ones(2, np.float32)
    >>> normcy.batch_norm(x, mean, var, training=True, momentum=0.5).round(3)
    array([[-1., -1.],
           [ 1.,  1.]], dtype=float32)
    >>> mean, var
    (array([ 1., 10.], dtype=float32), array([  1.5, 100.5], dtype=float32))
    """
    return _native.batch_norm(
        x,
        running_mean,
        running_var,
        weight,
        bias,
        training,
        momentum,
        eps,
        layout,
        weight_offset,
        out,
        return_stats,
        unbiased_running_var,
    )


@overload
def instance_norm(
    x: Array,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    weight: Array | None = None,
    bias: Array | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    layout: Layout = "NCHW",
    weight_offset: float = 0.0,
    out: Array | None = None,
    return_stats: Literal[False] = False,
    unbiased_running_var: bool = True,
) -> Array: ...
@overload
def instance_norm(
    x: Array,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    weight: Array | None = None,
    bias: Array | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    layout: Layout = "NCHW",
    weight_offset: float = 0.0,
    out: Array | None = None,
    return_stats: Literal[True],
    unbiased_running_var: bool = True,
) -> tuple[Array, Array, Array]: ...
def instance_norm(
    x: Array,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    weight: Array | None = None,
    bias: Array | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    layout: Layout = "NCHW",
    weight_offset: float = 0.0,
    out: Array | None = None,
    return_stats: bool = False,
    unbiased_running_var: bool = True,
):
    """Instance normalization: statistics of each channel of each sample over its positions.

    ``y = (x - mean) / sqrt(var + eps) * (weight_offset + weight) + bias``, var biased.

    Parameters
    ----------
    x : ndarray of float32, shape (N, C, ...) or (N, ..., C)
        Input of rank 2 or more; ``layout`` says where the channels are.
    running_mean, running_var : ndarray of float32, shape (C,), or None
        With ``use_input_stats`` they take in the average over samples of the instances' statistics, in place; without,
        they are what normalizes.
    weight, bias : ndarray of float32 or None
        One value a channel, shape (C,); one a sample and channel, (N, C) (conditional norms, FiLM, AdaLN); or one an
        element, the shape of ``x`` (SPADE). None is 1 and 0.
    use_input_stats : bool, default True
        Normalize with the input's own statistics.
    momentum : float, default 0.1
        Weight of the new statistics in the running ones.
    eps : float, default 1e-5
        Added to the variance under the square root, as the float64 that it is.
    layout : {"NCHW", "NHWC"}, default "NCHW"
        Channels at axis 1, or last. An array whose memory is in the other layout (seen through ``transpose``) is
        served in place, and the result has that same memory order.
    weight_offset : float, default 0.0
        Added to ``weight``: 1.0 is the "(1 + weight)" of Gemma and DiT.
    out : ndarray of float32, optional
        Where the result goes, of the shape of ``x``; may be ``x`` itself. Reusing one saves the page faults of a new
        array, which cost more than the norm.
    return_stats : bool, default False
        Also return mean and 1 / sqrt(var + eps) of every slot, float32, of shape
        (N, C); of shape (0,) without ``use_input_stats``.
    unbiased_running_var : bool, default True
        Store the variance over n - 1, as PyTorch does.

    Returns
    -------
    y : ndarray of float32
        The normalized array, of the shape and memory order of ``x``.
    mean, rstd : ndarray of float32
        With ``return_stats`` only: statistics of the instances, (N, C).

    Raises
    ------
    TypeError
        If an array is not a float32 ``numpy.ndarray``, or an argument of the wrong kind.
    ValueError
        If a shape, a value or an option is wrong, or ``out`` overlaps an input otherwise than by being ``x``. No array
        has been written then.

    References
    ----------
    D. Ulyanov, A. Vedaldi, V. Lempitsky, "Instance Normalization", 2016, arXiv:1607.08022;
    ``torch.nn.functional.instance_norm``.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> x = np.array([[[1, 3], [10, 30]]], np.float32)
    >>> normcy.instance_norm(x).round(3)
    array([[[-1.,  1.],
            [-1.,  1.]]], dtype=float32)
    """
    return _native.instance_norm(
        x,
        running_mean,
        running_var,
        weight,
        bias,
        use_input_stats,
        momentum,
        eps,
        layout,
        weight_offset,
        out,
        return_stats,
        unbiased_running_var,
    )


@overload
def layer_norm(
    x: Array,
    normalized_shape: int | Sequence[int],
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
    *,
    weight_offset: float = 0.0,
    out: Array | None = None,
    return_stats: Literal[False] = False,
    correction: float = 0,
    eps_mode: Literal["inside_sqrt", "outside_sqrt"] = "inside_sqrt",
) -> Array: ...
@overload
def layer_norm(
    x: Array,
    normalized_shape: int | Sequence[int],
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
    *,
    weight_offset: float = 0.0,
    out: Array | None = None,
    return_stats: Literal[True],
    correction: float = 0,
    eps_mode: Literal["inside_sqrt", "outside_sqrt"] = "inside_sqrt",
) -> tuple[Array, Array, Array]: ...
def layer_norm(
    x: Array,
    normalized_shape: int | Sequence[int],
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
    *,
    weight_offset: float = 0.0,
    out: Array | None = None,
    return_stats: bool = False,
    correction: float = 0,
    eps_mode: Literal["inside_sqrt", "outside_sqrt"] = "inside_sqrt",
):
    """Layer normalization over the last axes.

    ``y = (x - mean) / sqrt(var + eps) * (weight_offset + weight) + bias``.

    Parameters
    ----------
    x : ndarray of float32
        Input of any rank from 1 up.
    normalized_shape : int or sequence of int
        The last axes of ``x``, over which statistics are taken.
    weight, bias : ndarray of float32 or None
        Of ``normalized_shape``, or ``(N, *normalized_shape)`` with one set for each sample of ``x`` (AdaLN).
    eps : float, default 1e-5
        Added to the variance under the square root, as the float64 that it is.
    weight_offset : float, default 0.0
        Added to ``weight``: 1.0 is the "(1 + weight)" of Gemma and DiT.
    out : ndarray of float32, optional
        Where the result goes, of the shape of ``x``; may be ``x`` itself. Reusing one saves the page faults of a new
        array, which cost more than the norm.
    return_stats : bool, default False
        Also return mean and 1 / sqrt(var + eps) of every slot, float32, of shape
        ``x.shape`` with the normalized axes of length 1.
    correction : float, default 0
        Taken off the count of values in the variance: 1 is the unbiased one.
    eps_mode : {"inside_sqrt", "outside_sqrt"}, default "inside_sqrt"
        ``sqrt(var + eps)`` or ``sqrt(var) + eps``. The annotated transformer's LayerNorm is ``correction=1,
        eps_mode="outside_sqrt", eps=1e-6``.

    Returns
    -------
    y : ndarray of float32
        The normalized array, of the shape and memory order of ``x``.
    mean, rstd : ndarray of float32
        With ``return_stats`` only: statistics of the rows.

    Raises
    ------
    TypeError
        If an array is not a float32 ``numpy.ndarray``, or an argument of the wrong kind.
    ValueError
        If a shape, a value or an option is wrong, or ``out`` overlaps an input otherwise than by being ``x``. No array
        has been written then.

    References
    ----------
    J. L. Ba, J. R. Kiros, G. E. Hinton, "Layer Normalization", 2016, arXiv:1607.06450;
    ``torch.nn.functional.layer_norm``.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> x = np.array([[1, 2, 3], [10, 20, 30]], np.float32)
    >>> normcy.layer_norm(x, 3).round(3)
    array([[-1.225,  0.   ,  1.225],
           [-1.225,  0.   ,  1.225]], dtype=float32)
    """
    return _native.layer_norm(
        x, normalized_shape, weight, bias, eps, weight_offset, out, return_stats, correction, eps_mode
    )


@overload
def layer_norm2d(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-6,
    *,
    layout: Layout = "NCHW",
    weight_offset: float = 0.0,
    out: Array | None = None,
    return_stats: Literal[False] = False,
) -> Array: ...
@overload
def layer_norm2d(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-6,
    *,
    layout: Layout = "NCHW",
    weight_offset: float = 0.0,
    out: Array | None = None,
    return_stats: Literal[True],
) -> tuple[Array, Array, Array]: ...
def layer_norm2d(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-6,
    *,
    layout: Layout = "NCHW",
    weight_offset: float = 0.0,
    out: Array | None = None,
    return_stats: bool = False,
):
    """Layer normalization over the channels of every position, in either layout (ConvNeXt's LayerNorm2d).

    Parameters
    ----------
    x : ndarray of float32, shape (N, C, ...) or (N, ..., C)
        Input of rank 2 or more; ``layout`` says where the channels are.
    weight, bias : ndarray of float32 or None
        One value a channel, shape (C,); one a sample and channel, (N, C) (conditional norms, FiLM, AdaLN); or one an
        element, the shape of ``x`` (SPADE). None is 1 and 0.
    eps : float, default 1e-6
        Added to the variance under the square root, as the float64 that it is.
    layout : {"NCHW", "NHWC"}, default "NCHW"
        Channels at axis 1, or last. An array whose memory is in the other layout (seen through ``transpose``) is
        served in place, and the result has that same memory order.
    weight_offset : float, default 0.0
        Added to ``weight``: 1.0 is the "(1 + weight)" of Gemma and DiT.
    out : ndarray of float32, optional
        Where the result goes, of the shape of ``x``; may be ``x`` itself. Reusing one saves the page faults of a new
        array, which cost more than the norm.
    return_stats : bool, default False
        Also return mean and 1 / sqrt(var + eps) of every slot, float32, of shape
        ``x.shape`` with the channel axis of length 1.

    Returns
    -------
    y : ndarray of float32
        The normalized array, of the shape and memory order of ``x``.
    mean, rstd : ndarray of float32
        With ``return_stats`` only: statistics of the positions.

    Raises
    ------
    TypeError
        If an array is not a float32 ``numpy.ndarray``, or an argument of the wrong kind.
    ValueError
        If a shape, a value or an option is wrong, or ``out`` overlaps an input otherwise than by being ``x``. No array
        has been written then.

    References
    ----------
    Z. Liu et al., "A ConvNet for the 2020s", 2022, arXiv:2201.03545; timm's ``LayerNorm2d``. It is neither
    ``group_norm(x, 1)`` nor ``layer_norm(x, (C, H, W))``, which span the positions too.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> x = np.array([[[1, 20], [3, 40]]], np.float32)    # (N, C, L)
    >>> normcy.layer_norm2d(x).round(3)
    array([[[-1., -1.],
            [ 1.,  1.]]], dtype=float32)
    """
    return _native.layer_norm2d(x, weight, bias, eps, layout, weight_offset, out, return_stats)


@overload
def group_norm(
    x: Array,
    num_groups: int,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
    *,
    layout: Layout = "NCHW",
    weight_offset: float = 0.0,
    out: Array | None = None,
    return_stats: Literal[False] = False,
) -> Array: ...
@overload
def group_norm(
    x: Array,
    num_groups: int,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
    *,
    layout: Layout = "NCHW",
    weight_offset: float = 0.0,
    out: Array | None = None,
    return_stats: Literal[True],
) -> tuple[Array, Array, Array]: ...
def group_norm(
    x: Array,
    num_groups: int,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
    *,
    layout: Layout = "NCHW",
    weight_offset: float = 0.0,
    out: Array | None = None,
    return_stats: bool = False,
):
    """Group normalization: statistics of groups of neighbouring channels over each sample's positions.

    ``y = (x - mean) / sqrt(var + eps) * (weight_offset + weight) + bias``, var biased.

    Parameters
    ----------
    x : ndarray of float32, shape (N, C, ...) or (N, ..., C)
        Input of rank 2 or more; ``layout`` says where the channels are.
    num_groups : int
        A divisor of the number of channels.
    weight, bias : ndarray of float32 or None
        One value a channel, shape (C,); one a sample and channel, (N, C) (conditional norms, FiLM, AdaLN); or one an
        element, the shape of ``x`` (SPADE). None is 1 and 0.
    eps : float, default 1e-5
        Added to the variance under the square root, as the float64 that it is.
    layout : {"NCHW", "NHWC"}, default "NCHW"
        Channels at axis 1, or last. An array whose memory is in the other layout (seen through ``transpose``) is
        served in place, and the result has that same memory order.
    weight_offset : float, default 0.0
        Added to ``weight``: 1.0 is the "(1 + weight)" of Gemma and DiT.
    out : ndarray of float32, optional
        Where the result goes, of the shape of ``x``; may be ``x`` itself. Reusing one saves the page faults of a new
        array, which cost more than the norm.
    return_stats : bool, default False
        Also return mean and 1 / sqrt(var + eps) of every slot, float32, of shape
        (N, num_groups).

    Returns
    -------
    y : ndarray of float32
        The normalized array, of the shape and memory order of ``x``.
    mean, rstd : ndarray of float32
        With ``return_stats`` only: statistics of the groups, (N, num_groups).

    Raises
    ------
    TypeError
        If an array is not a float32 ``numpy.ndarray``, or an argument of the wrong kind.
    ValueError
        If a shape, a value or an option is wrong, or ``out`` overlaps an input otherwise than by being ``x``. No array
        has been written then.

    References
    ----------
    Y. Wu, K. He, "Group Normalization", 2018, arXiv:1803.08494; ``torch.nn.functional.group_norm``.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> x = np.arange(8, dtype=np.float32).reshape(1, 4, 2)
    >>> normcy.group_norm(x, 2).round(3)
    array([[[-1.342, -0.447],
            [ 0.447,  1.342],
            [-1.342, -0.447],
            [ 0.447,  1.342]]], dtype=float32)
    """
    return _native.group_norm(x, num_groups, weight, bias, eps, layout, weight_offset, out, return_stats)


@overload
def rms_norm(
    x: Array,
    normalized_shape: int | Sequence[int],
    weight: Array | None = None,
    eps: float | None = None,
    *,
    weight_offset: float = 0.0,
    out: Array | None = None,
    return_stats: Literal[False] = False,
) -> Array: ...
@overload
def rms_norm(
    x: Array,
    normalized_shape: int | Sequence[int],
    weight: Array | None = None,
    eps: float | None = None,
    *,
    weight_offset: float = 0.0,
    out: Array | None = None,
    return_stats: Literal[True],
) -> tuple[Array, Array]: ...
def rms_norm(
    x: Array,
    normalized_shape: int | Sequence[int],
    weight: Array | None = None,
    eps: float | None = None,
    *,
    weight_offset: float = 0.0,
    out: Array | None = None,
    return_stats: bool = False,
):
    """Root mean square normalization over the last axes: layer norm without the mean.

    ``y = x / sqrt(mean(x**2) + eps) * (weight_offset + weight)``.

    Parameters
    ----------
    x : ndarray of float32
        Input of any rank from 1 up.
    normalized_shape : int or sequence of int
        The last axes of ``x``, over which statistics are taken.
    weight : ndarray of float32 or None
        Of ``normalized_shape``, or ``(N, *normalized_shape)`` with one set for each sample of ``x``.
    eps : float or None, default None
        Added under the square root; None is float32's machine epsilon, 2**-23.
    weight_offset : float, default 0.0
        Added to ``weight``: 1.0 is the "(1 + weight)" of Gemma and DiT.
    out : ndarray of float32, optional
        Where the result goes, of the shape of ``x``; may be ``x`` itself. Reusing one saves the page faults of a new
        array, which cost more than the norm.
    return_stats : bool, default False
        Also return 1 / sqrt(mean(x**2) + eps) of every slot, float32, of shape
        ``x.shape`` with the normalized axes of length 1.

    Returns
    -------
    y : ndarray of float32
        The normalized array.
    rstd : ndarray of float32
        With ``return_stats`` only.

    Raises
    ------
    TypeError
        If an array is not a float32 ``numpy.ndarray``, or an argument of the wrong kind.
    ValueError
        If a shape, a value or an option is wrong, or ``out`` overlaps an input otherwise than by being ``x``. No array
        has been written then.

    References
    ----------
    B. Zhang, R. Sennrich, "Root Mean Square Layer Normalization", 2019, arXiv:1910.07467;
    ``torch.nn.functional.rms_norm``.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> normcy.rms_norm(np.array([[3, 4]], np.float32), 2).round(3)
    array([[0.849, 1.131]], dtype=float32)
    """
    return _native.rms_norm(x, normalized_shape, weight, eps, weight_offset, out, return_stats)


def moments(
    x: Array,
    axes: int | Sequence[int] | None,
    *,
    correction: float = 0,
    keepdims: bool = False,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and variance over any axes, in float64.

    Parameters
    ----------
    x : ndarray of float32
        Input of any rank.
    axes : int, sequence of int or None
        The axes to reduce; None is all of them.
    correction : float, default 0
        Taken off the count of values in the variance: 1 is the unbiased one.
    keepdims : bool, default False
        Keep the reduced axes with length 1.

    Returns
    -------
    mean, var : ndarray of float64, or float64
        NaN where there are no values.

    Raises
    ------
    TypeError
        If ``x`` is not a float32 ``numpy.ndarray``, or an argument of the wrong kind.
    ValueError
        If an axis does not exist or comes twice.

    References
    ----------
    ``tf.nn.moments``. One pass over memory, block-wise Welford; accurate whatever ``|mean| / std`` is.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> mean, var = normcy.moments(np.array([[1, 2], [3, 4]], np.float32), 0)
    >>> mean, var
    (array([2., 3.]), array([1., 1.]))
    """
    return _native.moments(x, axes, correction, keepdims)
