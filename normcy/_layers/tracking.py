"""Batch and instance norm, which can keep running statistics."""

from __future__ import annotations

import numpy as np

from normcy import _checks, _native
from normcy._docs import document
from normcy._layers.base import Calibrated, Observer, _Counting, _full, _pace, _reset, _seen
from normcy._statistics import Moments
from normcy._types import Activation, Array, Flag, Float64, Layout, Maybe, Number, Size

_MOMENTUM = float("0.1")  # an object of its own, so that `is` tells whether a momentum was given


class _Tracking(_Counting):
    """Batch and instance norm: affine parameters, and running statistics that training updates."""

    _keys = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    decay: None = None  # it is stored as momentum

    def __init__(
        self,
        num_features: Size,
        eps: Number,
        momentum: Number | None,
        affine: Flag,
        track_running_stats: Flag,
        layout: Layout,
        activation: Activation,
        decay: Number | None,
        unbiased_running_var: Flag,
    ) -> None:
        size = _checks.integer(num_features, "num_features", least=0)
        self.num_features: int = size
        self.eps: float = _checks.number(eps, "eps")
        self.momentum: float | None = _pace(momentum, decay, _MOMENTUM)
        self.affine: bool = _checks.flag(affine, "affine")
        tracked = _checks.flag(track_running_stats, "track_running_stats")
        self.track_running_stats: bool = tracked
        self.layout: Layout = _checks.choice(layout, "layout", _checks.LAYOUTS)
        self.activation: Activation = _checks.choice(activation, "activation", _checks.ACTIVATIONS)
        self.unbiased_running_var: bool = _checks.flag(unbiased_running_var, "unbiased_running_var")
        self.weight: Maybe = _full(size, 1) if affine else None
        self.bias: Maybe = _full(size, 0) if affine else None
        self.running_mean: Maybe = _full(size, 0) if tracked else None
        self.running_var: Maybe = _full(size, 1) if tracked else None
        self.num_batches_tracked = np.zeros((), np.int64) if tracked else None

    def reset_running_stats(self) -> None:
        """Set the running mean to 0, the variance to 1 and the count to 0, if the layer tracks them."""
        if self.track_running_stats:
            _reset(self, running_mean=0, running_var=1, num_batches_tracked=0)


@document
class BatchNorm(_Tracking):
    """Batch normalization of any rank, with its parameters and running statistics.

    In training x is normalized with the batch's statistics, which also update the running ones; otherwise with the
    running ones. Without running statistics it is always normalized with those of the batch.

    Parameters
    ----------
    num_features : int
        Channels, C.
    eps : float, default 1e-5
        $eps
    momentum : float or None, default 0.1
        Weight of the new batch in the running statistics; None averages all batches so far.
    $layer_affine
    track_running_stats : bool, default True
        Whether it has ``running_mean`` (zeros), ``running_var`` (ones), float32 of shape (C,), and
        ``num_batches_tracked``.
    $layer_layout
    $layer_activation
    decay : float, optional
        Weight of the old statistics (Keras' and Flax's momentum), which may be given instead of ``momentum``.
    unbiased_running_var : bool, default True
        Store the variance over n - 1, as PyTorch does; False stores it over n, as Keras 3, Flax and ONNX do.

    Raises
    ------
    $layer_raises_pace

    See Also
    --------
    batch_norm : what a call computes, and its arguments.
    recalibrate : running statistics from data.

    Notes
    -----
    Clearing ``track_running_stats`` on a layer that has running statistics stops updating them; outside of training
    they are still used. An empty batch changes nothing and is not counted.

    References
    ----------
    Ioffe, Szegedy: "Batch Normalization", 2015, arXiv:1502.03167; ``torch.nn.BatchNorm2d``.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> layer = normcy.BatchNorm(2, momentum=0.5)
    >>> layer(np.array([[1, 10], [3, 30]], np.float32)).round(3)
    array([[-1., -1.],
           [ 1.,  1.]], dtype=float32)
    >>> layer.running_mean, int(layer.num_batches_tracked)
    (array([ 1., 10.], dtype=float32), 1)
    >>> layer.eval()(np.array([[1, 10]], np.float32))
    array([[0., 0.]], dtype=float32)
    """

    def __init__(
        self,
        num_features: Size,
        eps: Number = 1e-5,
        momentum: Number | None = _MOMENTUM,
        affine: Flag = True,
        track_running_stats: Flag = True,
        *,
        layout: Layout = "NCHW",
        activation: Activation = None,
        decay: Number | None = None,
        unbiased_running_var: Flag = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, layout, activation, decay, unbiased_running_var
        )  # fmt: skip

    def __call__(
        self, x: Array, out: Maybe = None, pre_add: Maybe = None, post_add: Maybe = None, *, sum_out: Maybe = None
    ) -> Array:
        """Normalize ``x``; see `batch_norm`."""
        if self._observer is not None:
            return self._observed(self._observer, x, out, pre_add, post_add, sum_out)
        mean, var, momentum, count = self.running_mean, self.running_var, self.momentum, None
        own = self.training
        if not own:
            own = mean is None and var is None
        elif self.track_running_stats:
            count = self._count
        else:
            mean = var = None
        if momentum is None and count is None:
            momentum = 0.0
        return _native.batch_norm(
            x, mean, var, self.weight, self.bias, own, momentum, self.eps, self.layout, 0.0, pre_add, sum_out, post_add,
            self.activation, out, False, self.unbiased_running_var, self.num_features, count,
        )  # fmt: skip

    def _observed(
        self, observe: Observer, x: Array, out: Maybe, pre_add: Maybe, post_add: Maybe, sum_out: Maybe
    ) -> Array:
        """Normalize with the batch's statistics, which `observe` gets, and do not update the running ones."""
        seen = _seen(self, x, pre_add)  # before the norm, as out may be x
        y = _native.batch_norm(
            x, None, None, self.weight, self.bias, True, 0.0, self.eps, self.layout, 0.0, pre_add, sum_out, post_add,
            self.activation, out, False, True,
        )  # fmt: skip
        observe(seen)
        return y

    def _calibrated(self) -> tuple[Calibrated, ...]:
        return (self,) if self.running_mean is not None else ()

    def _kept(self, moments: Moments) -> dict[str, Float64]:
        """Returns the running statistics that the layer stores for these moments."""
        return {"running_mean": moments.mean, "running_var": moments.var(1 if self.unbiased_running_var else 0)}


@document
class InstanceNorm(_Tracking):
    """Instance normalization of any rank, with its parameters and, optionally, running statistics.

    Each sample is normalized with its own statistics, unless the layer tracks running ones and is not in training.

    Parameters
    ----------
    num_features : int
        Channels, C.
    eps : float, default 1e-5
        $eps
    momentum : float or None, default 0.1
        Weight of the new batch in the running statistics; None averages all batches so far.
    affine : bool, default False
        Whether the layer has ``weight`` (ones) and ``bias`` (zeros), float32 of shape (C,).
    track_running_stats : bool, default False
        Whether it has ``running_mean`` (zeros), ``running_var`` (ones), float32 of shape (C,), and
        ``num_batches_tracked``.
    $layer_layout
    $layer_activation
    decay : float, optional
        Weight of the old statistics (Keras' and Flax's momentum), which may be given instead of ``momentum``.
    unbiased_running_var : bool, default True
        Store variances over n - 1, as PyTorch does; False stores them over n.

    Raises
    ------
    $layer_raises_pace

    See Also
    --------
    instance_norm : what a call computes, and its arguments.

    Notes
    -----
    Two things differ from PyTorch's layer. ``num_batches_tracked`` counts and ``momentum=None`` averages, whereas
    PyTorch's count stays 0 and its statistics are never updated then. With ``track_running_stats`` cleared on a layer
    that has running statistics, these stay as they are, whereas PyTorch updates them even in evaluation.

    The norm of IBN-b is ``InstanceNorm(C, affine=True, activation="relu")`` called with the residual as ``pre_add``.

    References
    ----------
    Ulyanov, Vedaldi, Lempitsky: "Instance Normalization", 2016, arXiv:1607.08022; ``torch.nn.InstanceNorm2d``.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> normcy.InstanceNorm(1)(np.array([[[1, 3]], [[10, 30]]], np.float32)).round(3)
    array([[[-1.,  1.]],
    <BLANKLINE>
           [[-1.,  1.]]], dtype=float32)
    """

    def __init__(
        self,
        num_features: Size,
        eps: Number = 1e-5,
        momentum: Number | None = _MOMENTUM,
        affine: Flag = False,
        track_running_stats: Flag = False,
        *,
        layout: Layout = "NCHW",
        activation: Activation = None,
        decay: Number | None = None,
        unbiased_running_var: Flag = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, layout, activation, decay, unbiased_running_var
        )  # fmt: skip

    def __call__(
        self, x: Array, out: Maybe = None, pre_add: Maybe = None, post_add: Maybe = None, *, sum_out: Maybe = None
    ) -> Array:
        """Normalize ``x``; see `instance_norm`."""
        mean = var = count = None
        own, momentum = True, self.momentum
        if self.track_running_stats:
            mean, var = self.running_mean, self.running_var
            own = self.training or (mean is None and var is None)
            count = self._count if self.training else None
        if momentum is None and count is None:
            momentum = 0.0
        return _native.instance_norm(
            x, mean, var, self.weight, self.bias, own, momentum, self.eps, self.layout, 0.0, pre_add, sum_out, post_add,
            self.activation, out, False, self.unbiased_running_var, self.num_features, count,
        )  # fmt: skip
