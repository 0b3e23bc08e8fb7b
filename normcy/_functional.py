"""The signatures and docstrings of the public functions. Checks and arithmetic are in the compiled core.

Positional parameters have the names, order and defaults of ``torch.nn.functional``, so that calls can be swapped. The
types are in ``_functional.pyi``, the paragraphs that docstrings share (``$layout``) in ``_docs.py``.
"""

from normcy import _native
from normcy._docs import document

__all__ = [
    "adain",
    "batch_norm",
    "batch_renorm",
    "conditional_instance_norm",
    "evonorm_b0",
    "evonorm_s0",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "layer_norm2d",
    "moments",
    "rms_norm",
    "weight_norm",
]


@document
def batch_norm(
    x,
    running_mean,
    running_var,
    weight=None,
    bias=None,
    training=False,
    momentum=0.1,
    eps=1e-5,
    *,
    layout="NCHW",
    weight_offset=0.0,
    pre_add=None,
    sum_out=None,
    post_add=None,
    activation=None,
    out=None,
    return_stats=False,
    unbiased_running_var=True,
):
    """Batch normalization: statistics of each channel over samples and positions.

    ``y = (x - mean) / sqrt(var + eps) * (weight_offset + weight) + bias``, where mean and var are those of the batch in
    training (var is biased), and the running ones otherwise.

    Parameters
    ----------
    $x
    running_mean, running_var : ndarray of float32, shape (C,), or None
        In training they are updated in place: ``running = (1 - momentum) * running + momentum * batch``. Otherwise x is
        normalized with them. Both or neither must be given; they may have any stride.
    $weight_bias
    training : bool, default False
        Normalize with the batch's own statistics.
    momentum : float, default 0.1
        Weight of the new batch (1 minus what Keras, Flax and ONNX call momentum).
    eps : float, default 1e-5
        $eps
    $layout
    $keywords
    unbiased_running_var : bool, default True
        Store the variance over n - 1, as PyTorch does; False stores it over n, as Keras, Flax and ONNX do.

    Returns
    -------
    $y
    mean, rstd : ndarray of float32, shape (C,)
        With ``return_stats`` only: mean and 1 / sqrt(var + eps) of the batch. They have shape (0,) outside of training,
        as in PyTorch.

    Raises
    ------
    $raises

    Notes
    -----
    An empty batch returns an empty array and does not change the running statistics.

    References
    ----------
    Ioffe, Szegedy: "Batch Normalization", 2015, arXiv:1502.03167; ``torch.nn.functional.batch_norm``.

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

    The end of a residual block, ``relu(batch_norm(x) + shortcut)``:

    >>> shortcut = np.array([[2, -3], [-5, 4]], np.float32)
    >>> normcy.batch_norm(x, None, None, training=True, post_add=shortcut, activation="relu").round(3)
    array([[1., 0.],
           [0., 5.]], dtype=float32)
    """
    return _native.batch_norm(
        x, running_mean, running_var, weight, bias, training, momentum, eps,
        layout, weight_offset, pre_add, sum_out, post_add, activation, out, return_stats, unbiased_running_var,
    )  # fmt: skip


@document
def instance_norm(
    x,
    running_mean=None,
    running_var=None,
    weight=None,
    bias=None,
    use_input_stats=True,
    momentum=0.1,
    eps=1e-5,
    *,
    layout="NCHW",
    weight_offset=0.0,
    pre_add=None,
    sum_out=None,
    post_add=None,
    activation=None,
    out=None,
    return_stats=False,
    unbiased_running_var=True,
):
    """Instance normalization: statistics of each channel of each sample over its positions.

    ``y = (x - mean) / sqrt(var + eps) * (weight_offset + weight) + bias``, where var is biased.

    Parameters
    ----------
    $x
    running_mean, running_var : ndarray of float32, shape (C,), or None
        With ``use_input_stats`` they are updated in place with the average over samples of the instances' statistics;
        without it, x is normalized with them.
    $weight_bias
    use_input_stats : bool, default True
        Normalize with the input's own statistics.
    momentum : float, default 0.1
        Weight of the new statistics in the running ones.
    eps : float, default 1e-5
        $eps
    $layout
    $keywords
    unbiased_running_var : bool, default True
        Store the variance over n - 1, as PyTorch does.

    Returns
    -------
    $y
    mean, rstd : ndarray of float32, shape (N, C)
        With ``return_stats`` only: mean and 1 / sqrt(var + eps) of the instances. They have shape (0,) without
        ``use_input_stats``.

    Raises
    ------
    $raises

    References
    ----------
    Ulyanov, Vedaldi, Lempitsky: "Instance Normalization", 2016, arXiv:1607.08022;
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
        x, running_mean, running_var, weight, bias, use_input_stats, momentum, eps,
        layout, weight_offset, pre_add, sum_out, post_add, activation, out, return_stats, unbiased_running_var,
    )  # fmt: skip


@document
def layer_norm(
    x,
    normalized_shape,
    weight=None,
    bias=None,
    eps=1e-5,
    *,
    weight_offset=0.0,
    pre_add=None,
    sum_out=None,
    post_add=None,
    activation=None,
    out=None,
    return_stats=False,
    correction=0,
    eps_mode="inside_sqrt",
):
    """Layer normalization over the last axes.

    ``y = (x - mean) / sqrt(var + eps) * (weight_offset + weight) + bias``.

    Parameters
    ----------
    $x_trailing
    weight, bias : ndarray of float32 or None
        Of shape ``normalized_shape``, or ``(N, *normalized_shape)`` with one set for each sample of ``x`` (AdaLN).
    eps : float, default 1e-5
        $eps
    $keywords
    correction : float, default 0
        Subtracted from the number of values in the variance; 1 gives the unbiased variance.
    eps_mode : {"inside_sqrt", "outside_sqrt"}, default "inside_sqrt"
        ``sqrt(var + eps)`` or ``sqrt(var) + eps``. The annotated transformer's LayerNorm is ``correction=1,
        eps_mode="outside_sqrt", eps=1e-6``.

    Returns
    -------
    $y
    mean, rstd : ndarray of float32
        With ``return_stats`` only: mean and 1 / std of the rows, in the shape of ``x`` with the normalized axes of
        length 1.

    Raises
    ------
    $raises

    References
    ----------
    Ba, Kiros, Hinton: "Layer Normalization", 2016, arXiv:1607.06450;
    ``torch.nn.functional.layer_norm``.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> x = np.array([[1, 2, 3], [10, 20, 30]], np.float32)
    >>> normcy.layer_norm(x, 3).round(3)
    array([[-1.225,  0.   ,  1.225],
           [-1.225,  0.   ,  1.225]], dtype=float32)

    The step between two blocks of a transformer: the residual grows in place and its norm goes to the next block.

    >>> residual, block = np.array([[1, 1, 1]], np.float32), np.array([[0, 1, 2]], np.float32)
    >>> normcy.layer_norm(block, 3, pre_add=residual, sum_out=residual).round(3)
    array([[-1.225,  0.   ,  1.225]], dtype=float32)
    >>> residual
    array([[1., 2., 3.]], dtype=float32)
    """
    return _native.layer_norm(
        x, normalized_shape, weight, bias, eps,
        weight_offset, pre_add, sum_out, post_add, activation, out, return_stats, correction, eps_mode,
    )  # fmt: skip


@document
def layer_norm2d(
    x,
    weight=None,
    bias=None,
    eps=1e-6,
    *,
    layout="NCHW",
    weight_offset=0.0,
    pre_add=None,
    sum_out=None,
    post_add=None,
    activation=None,
    out=None,
    return_stats=False,
):
    """Layer normalization over the channels of every position, in either layout (ConvNeXt's LayerNorm2d).

    ``y = (x - mean) / sqrt(var + eps) * (weight_offset + weight) + bias``, where var is biased.

    Parameters
    ----------
    $x
    $weight_bias
    eps : float, default 1e-6
        $eps
    $layout
    $keywords

    Returns
    -------
    $y
    mean, rstd : ndarray of float32
        With ``return_stats`` only: mean and 1 / sqrt(var + eps) of the positions, in the shape of ``x`` with the
        channel axis of length 1.

    Raises
    ------
    $raises

    References
    ----------
    Liu et al.: "A ConvNet for the 2020s", 2022, arXiv:2201.03545; timm's ``LayerNorm2d``. It is neither
    ``group_norm(x, 1)`` nor ``layer_norm(x, (C, H, W))``, which span the positions too.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> x = np.array([[[1, 20], [3, 40]]], np.float32)    # (N, C, L)
    >>> normcy.layer_norm2d(x).round(3)
    array([[[-1., -1.],
            [ 1.,  1.]]], dtype=float32)
    """
    return _native.layer_norm2d(
        x, weight, bias, eps,
        layout, weight_offset, pre_add, sum_out, post_add, activation, out, return_stats,
    )  # fmt: skip


@document
def group_norm(
    x,
    num_groups,
    weight=None,
    bias=None,
    eps=1e-5,
    *,
    layout="NCHW",
    weight_offset=0.0,
    pre_add=None,
    sum_out=None,
    post_add=None,
    activation=None,
    out=None,
    return_stats=False,
):
    """Group normalization: statistics of groups of neighbouring channels over each sample's positions.

    ``y = (x - mean) / sqrt(var + eps) * (weight_offset + weight) + bias``, where var is biased.

    Parameters
    ----------
    $x
    num_groups : int
        A divisor of the number of channels.
    $weight_bias
    eps : float, default 1e-5
        $eps
    $layout
    $keywords

    Returns
    -------
    $y
    mean, rstd : ndarray of float32, shape (N, num_groups)
        With ``return_stats`` only: mean and 1 / sqrt(var + eps) of the groups.

    Raises
    ------
    $raises

    References
    ----------
    Wu, He: "Group Normalization", 2018, arXiv:1803.08494; ``torch.nn.functional.group_norm``.

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
    return _native.group_norm(
        x, num_groups, weight, bias, eps,
        layout, weight_offset, pre_add, sum_out, post_add, activation, out, return_stats,
    )  # fmt: skip


@document
def rms_norm(
    x,
    normalized_shape,
    weight=None,
    eps=None,
    *,
    weight_offset=0.0,
    pre_add=None,
    sum_out=None,
    post_add=None,
    activation=None,
    out=None,
    return_stats=False,
):
    """Root mean square normalization over the last axes: layer norm without the mean.

    ``y = x / sqrt(mean(x**2) + eps) * (weight_offset + weight)``.

    Parameters
    ----------
    $x_trailing
    weight : ndarray of float32 or None
        An array of shape ``normalized_shape``, or ``(N, *normalized_shape)`` with one set for each sample of ``x``.
    eps : float or None, default None
        Added under the square root; None means float32's machine epsilon, 2**-23.
    $keywords

    Returns
    -------
    $y
    rstd : ndarray of float32
        With ``return_stats`` only: 1 / sqrt(mean(x**2) + eps) of the rows, in the shape of ``x`` with the normalized
        axes of length 1.

    Raises
    ------
    $raises

    References
    ----------
    Zhang, Sennrich: "Root Mean Square Layer Normalization", 2019, arXiv:1910.07467;
    ``torch.nn.functional.rms_norm``.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> normcy.rms_norm(np.array([[3, 4]], np.float32), 2).round(3)
    array([[0.849, 1.131]], dtype=float32)
    """
    return _native.rms_norm(
        x, normalized_shape, weight, eps,
        weight_offset, pre_add, sum_out, post_add, activation, out, return_stats,
    )  # fmt: skip


@document
def adain(content, style, eps=1e-5, *, alpha=1.0, correction=0, style_eps=None, layout="NCHW", out=None):
    """Adaptive instance normalization: gives the content the style's mean and standard deviation in every channel.

    ``y = alpha * ((content - mean) / sqrt(var + eps) * style_std + style_mean) + (1 - alpha) * content``, where mean
    and var are those of the content's instances and ``style_std = sqrt(style_var + style_eps)``.

    Parameters
    ----------
    content : ndarray of float32, shape (N, C, ...) or (N, ..., C)
        Input of rank 2 or more; ``layout`` says where the channels are.
    style : ndarray of float32, or pair of ndarray
        An array with as many samples and channels, and any number of positions; or its statistics, a pair
        ``(style_mean, style_std)`` of shape (N, C) each, to which no eps is added.
    eps : float, default 1e-5
        $eps
    alpha : float, default 1.0
        Weight of the stylized content in the result: 0 returns the content itself.
    correction : float, default 0
        Subtracted from the number of values in both variances; 1 gives unbiased variances.
    style_eps : float or None, default None
        Added to the style's variance; None means ``eps``.
    $layout
    out : ndarray of float32, optional
        An array of the shape of ``content`` for the result; it may be ``content`` itself.

    Returns
    -------
    y : ndarray of float32
        The content in the style, of the shape and memory order of ``content``.

    Raises
    ------
    $raises

    Notes
    -----
    The two published programs that are copied most differ. The authors' (Torch7) takes biased variances and adds eps to
    the content's only: ``style_eps=0``. The PyTorch program, pytorch-AdaIN, takes unbiased variances and adds eps to
    both: ``correction=1``. By default variances are biased and eps is added to both, so that a content that is its own
    style is not changed.

    Errors are within 5 units of ``2**-24 * (abs(std) * max(1, abs(xhat)) + abs(mean))`` for random data, with the
    style's mean and std; for any data they are within 30, or 5 where rows have up to 256 values or channels come last.
    An ``alpha`` other than 1 adds ``5 * 2**-24 * abs(1 - alpha) * (abs(content - m) + abs(m))`` to that, with the
    content's mean m.

    References
    ----------
    Huang, Belongie: "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization", 2017,
    arXiv:1703.06868.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> content = np.array([[[1, 2, 3]]], np.float32)    # (N, C, L)
    >>> style = np.array([[[10, 30]]], np.float32)
    >>> normcy.adain(content, style).round(2)
    array([[[ 7.75, 20.  , 32.25]]], dtype=float32)
    >>> normcy.adain(content, style, alpha=0.5).round(2)
    array([[[ 4.38, 11.  , 17.62]]], dtype=float32)
    """
    return _native.adain(content, style, eps, alpha, correction, style_eps, layout, out)


@document
def conditional_instance_norm(x, style, weight, bias, eps=1e-5, *, layout="NCHW", activation=None, out=None):
    """Instance normalization with the weight and bias of each sample's style.

    ``y = (x - mean) / sqrt(var + eps) * weight[style] + bias[style]``, where mean and var (biased) are those of each
    channel of each sample over its positions.

    Parameters
    ----------
    $x
    style : ndarray, shape (N,) of any integer dtype, or (N, S) of float32
        The style of each sample, from 0 to S - 1; or the share of each style in each sample, for which weight and
        bias are ``style @ weight`` and ``style @ bias``.
    weight, bias : ndarray of float32, shape (S, C)
        A row for each of S styles.
    eps : float, default 1e-5
        $eps
    $layout
    $activation
    $out

    Returns
    -------
    $y

    Raises
    ------
    $raises

    Notes
    -----
    `instance_norm` itself takes a weight and bias of each sample, (N, C), that do not come from a table of styles.

    Before the activation, errors are within 5 units of ``2**-24 * (abs(weight) * max(1, abs(xhat)) + abs(bias))`` for
    random data; for any data they are within 18, or 6 where rows have up to 256 values or channels come last.

    References
    ----------
    Dumoulin, Shlens, Kudlur: "A Learned Representation for Artistic Style", 2016, arXiv:1610.07629; Magenta's
    ``conditional_instance_norm`` and ``weighted_instance_norm``.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> x = np.array([[[1, 3]], [[1, 3]], [[1, 3]]], np.float32)    # (N, C, L)
    >>> weight, bias = np.array([[1], [2]], np.float32), np.array([[0], [10]], np.float32)
    >>> normcy.conditional_instance_norm(x, np.array([0, 1, 0]), weight, bias)[:, 0].round(3)
    array([[-1.,  1.],
           [ 8., 12.],
           [-1.,  1.]], dtype=float32)
    >>> half = np.full((3, 2), 0.5, np.float32)
    >>> normcy.conditional_instance_norm(x, half, weight, bias)[0, 0].round(3)
    array([3.5, 6.5], dtype=float32)
    """
    return _native.conditional_instance_norm(x, style, weight, bias, eps, layout, activation, out)


@document
def evonorm_b0(x, running_var, weight, bias, v, training=False, momentum=0.1, eps=1e-3, *, layout="NCHW", out=None):
    """EvoNorm-B0: normalization and activation in one, with the variance of the batch and of the instance.

    ``y = x / max(sqrt(var + eps), v * x + sqrt(instance_var + eps)) * weight + bias``, where var is that of the batch
    in training and the running one otherwise, and instance_var that of each channel of each sample. Both are biased.

    Parameters
    ----------
    $x
    running_var : ndarray of float32, shape (C,)
        In training it is updated in place with the unbiased variance of the batch; otherwise x is normalized with it.
    $weight_bias
    v : ndarray of float32, shape (C,), or None
        The factor of ``x`` in the denominator. With None there is no normalization: ``y = x * weight + bias``, and
        ``running_var`` is not changed.
    training : bool, default False
        Use the variance of the batch.
    momentum : float, default 0.1
        Weight of the new batch in ``running_var``.
    eps : float, default 1e-3
        $eps
    $layout
    $out

    Returns
    -------
    $y

    Raises
    ------
    $raises

    Notes
    -----
    The paper does not say which variance is kept. Here it is the unbiased one, over n - 1, as in timm, whose
    checkpoints need no conversion; other copies keep the biased one, which has to be multiplied by ``n / (n - 1)``.
    Some of them also normalize with unbiased variances, which the paper does not.

    Errors are within 5 units of ``2**-24 * (abs(weight * x / d) * (1 + (abs(v * x) + s) / d) + abs(bias))`` for random
    data, and within 13 for any data, where d is the denominator and s the instance's deviation: errors grow where
    ``v * x`` and s cancel.

    References
    ----------
    Liu, Brock, Simonyan, Le: "Evolving Normalization-Activation Layers", 2020, arXiv:2004.02967; timm's
    ``EvoNorm2dB0``, whose ``apply_act=False`` is v=None here.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> x = np.array([[[1, 3]], [[5, 7]]], np.float32)    # (N, C, L)
    >>> one, zero, var = np.ones(1, np.float32), np.zeros(1, np.float32), np.ones(1, np.float32)
    >>> normcy.evonorm_b0(x, var, one, zero, v=one, training=True)[:, 0].round(3)
    array([[0.447, 0.75 ],
           [0.833, 0.875]], dtype=float32)
    >>> var.round(3)
    array([1.567], dtype=float32)
    """
    return _native.evonorm_b0(x, running_var, weight, bias, v, training, momentum, eps, layout, out)


@document
def evonorm_s0(x, num_groups, weight, bias, v, eps=1e-5, *, layout="NCHW", out=None):
    """EvoNorm-S0: normalization and activation in one, with the variance of groups of channels.

    ``y = x * sigmoid(v * x) / sqrt(var + eps) * weight + bias``, where var (biased) is that of groups of neighbouring
    channels over each sample's positions.

    Parameters
    ----------
    $x
    num_groups : int
        A divisor of the number of channels.
    $weight_bias
    v : ndarray of float32, shape (C,), or None
        The factor of ``x`` in the sigmoid. With None there is no normalization: ``y = x * weight + bias``.
    eps : float, default 1e-5
        $eps
    $layout
    $out

    Returns
    -------
    $y

    Raises
    ------
    $raises

    Notes
    -----
    Errors are within 6 units of ``2**-24 * (abs(weight * x) / std + abs(bias))`` for random data, and within 14 for any
    data.

    References
    ----------
    Liu, Brock, Simonyan, Le: "Evolving Normalization-Activation Layers", 2020, arXiv:2004.02967; timm's
    ``EvoNorm2dS0``, whose ``apply_act=False`` is v=None here.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> x = np.array([[[1, 3], [5, 7]]], np.float32)    # (N, C, L)
    >>> one, zero = np.ones(2, np.float32), np.zeros(2, np.float32)
    >>> normcy.evonorm_s0(x, 1, one, zero, v=one).round(3)
    array([[[0.327, 1.278],
            [2.221, 3.128]]], dtype=float32)
    """
    return _native.evonorm_s0(x, num_groups, weight, bias, v, eps, layout, out)


@document
def batch_renorm(
    x,
    running_mean,
    running_std,
    weight=None,
    bias=None,
    training=False,
    momentum=0.01,
    eps=1e-3,
    *,
    r_max=1.0,
    d_max=0.0,
    layout="NCHW",
    activation=None,
    out=None,
):
    """Batch renormalization: within limits, training gives the result of the running statistics, as inference does.

    In training ``y = ((x - mean) / std * r + d) * weight + bias`` with mean and ``std = sqrt(var + eps)`` of the batch
    (var is biased), ``r = clip(std / running_std, 1 / r_max, r_max)`` and
    ``d = clip((mean - running_mean) / running_std, -d_max, d_max)``; otherwise
    ``y = (x - running_mean) / running_std * weight + bias``.

    Parameters
    ----------
    $x
    running_mean, running_std : ndarray of float32, shape (C,)
        In training ``r`` and ``d`` are computed from them, and then they are updated in place:
        ``running = (1 - momentum) * running + momentum * batch``. Otherwise x is normalized with them. Any stride is
        possible.
    $weight_bias
    training : bool, default False
        Normalize with the batch's own statistics, corrected by ``r`` and ``d``.
    momentum : float, default 0.01
        Weight of the new batch (1 minus what Keras calls momentum).
    eps : float, default 1e-3
        Added to the batch's variance under the square root; ``running_std`` contains it already.
    r_max, d_max : float, default 1.0 and 0.0
        Limits of the correction. The defaults give batch normalization; infinity gives the result of inference.
    $layout
    $activation
    $out

    Returns
    -------
    $y

    Raises
    ------
    $raises

    Notes
    -----
    ``running_std`` is the average of sqrt(var + eps), as in the paper. Other code adds eps elsewhere: a PyTorch version
    that is often copied averages sqrt(var) + eps, whose checkpoints can be used unchanged for inference; Keras keeps a
    variance without eps for inference, from which ``running_std = sqrt(moving_variance + epsilon)``.

    Errors are within 4 units of ``2**-24 * (abs(weight) * (max(1, abs(xhat)) + abs(d) + std_B / running_std) +
    abs(bias))`` for random data, and within 17 for any data, or 5 in inference. The quotient counts only in training: d
    has the batch mean's error, in units of the running deviation.

    References
    ----------
    Ioffe: "Batch Renormalization: Towards Reducing Minibatch Dependence in Batch-Normalized Models", 2017,
    arXiv:1702.03275.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> x = np.array([[1], [3]], np.float32)
    >>> mean, std = np.array([1], np.float32), np.array([2], np.float32)
    >>> normcy.batch_renorm(x, mean, std, training=True, momentum=0.5, r_max=3, d_max=5).ravel().round(3)
    array([0., 1.], dtype=float32)
    >>> mean, std.round(3)
    (array([1.5], dtype=float32), array([1.5], dtype=float32))
    """
    return _native.batch_renorm(
        x, running_mean, running_std, weight, bias, training, momentum, eps,
        r_max, d_max, layout, activation, out,
    )  # fmt: skip


@document
def weight_norm(v, g, dim=0, *, out=None):
    """Weight normalization: the direction of ``v`` with the length ``g``.

    ``y = g * v / ||v||``, where the Euclidean norm is taken over all axes but ``dim``.

    Parameters
    ----------
    v : ndarray of float32
        The weights of a layer, of rank 1 or more.
    g : ndarray of float32 or float
        One length for each index of ``dim``: of shape ``(v.shape[dim],)`` or that of ``v`` with all other axes of
        length 1. With ``dim=None`` it is a number or an array of rank 0.
    dim : int or None, default 0
        The axis that is kept: 0 for the outputs of linear and convolution weights, 1 for those of transposed
        convolutions. Negative values count from the end. None takes the norm of the whole array.
    out : ndarray of float32, optional
        An array of the shape of ``v`` for the result; it may be ``v`` itself.

    Returns
    -------
    y : ndarray of float32
        The weights, of the shape and memory order of ``v``.

    Raises
    ------
    $raises

    Notes
    -----
    There is no eps: where a whole slice of ``v`` is zero, the result is NaN, as in PyTorch. In PyTorch ``dim=-1`` means
    the whole array, which is ``dim=None`` here.

    Errors are within 3 units of ``2**-24 * abs(w)``, whatever the data.

    References
    ----------
    Salimans, Kingma: "Weight Normalization", 2016, arXiv:1602.07868;
    ``torch.nn.utils.parametrizations.weight_norm``.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> v = np.array([[3, 4], [0, 2]], np.float32)
    >>> normcy.weight_norm(v, np.array([10, 1], np.float32)).round(3)
    array([[6., 8.],
           [0., 1.]], dtype=float32)
    """
    return _native.weight_norm(v, g, dim, out)


def moments(x, axes, *, correction=0, keepdims=False):
    """Mean and variance over any axes, in float64.

    Parameters
    ----------
    x : ndarray of float32
        Input of any rank.
    axes : int, sequence of int or None
        The axes to reduce; None means all of them.
    correction : float, default 0
        Subtracted from the number of values in the variance; 1 gives the unbiased variance.
    keepdims : bool, default False
        Keep the reduced axes with length 1.

    Returns
    -------
    mean, var : ndarray of float64, or float64
        They are NaN where there are no values.

    Raises
    ------
    TypeError
        If ``x`` is not a float32 ``numpy.ndarray``, or an argument has the wrong type.
    ValueError
        If an axis does not exist or comes twice.

    References
    ----------
    ``tf.nn.moments``. Here x is read once, and a second time where the mean is more than 16 deviations from zero, so
    that results are accurate whatever ``|mean| / std`` is.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> mean, var = normcy.moments(np.array([[1, 2], [3, 4]], np.float32), 0)
    >>> mean, var
    (array([2., 3.]), array([1., 1.]))
    """
    return _native.moments(x, axes, correction, keepdims)
