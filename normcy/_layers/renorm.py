"""Batch renormalization."""

from __future__ import annotations

import numpy as np

from normcy import _checks, _native
from normcy._arithmetic import by_default_rules
from normcy._docs import document
from normcy._layers.base import Calibrated, Observer, _Counting, _full, _pace, _reset, _seen
from normcy._statistics import Moments
from normcy._types import Activation, Array, Flag, Float64, Layout, Maybe, Number, Size

_MOMENTUM = float("0.01")  # an object of its own, so that `is` tells whether a momentum was given


@document
class BatchRenorm(_Counting):
    """Batch renormalization: batch statistics, corrected towards the running ones within limits that widen.

    Parameters
    ----------
    num_features : int
        Channels, C.
    eps : float, default 1e-3
        Added to the batch's variance under the square root; the running deviation contains it.
    momentum : float or None, default 0.01
        Weight of the new batch in the running statistics; None averages all batches so far.
    $layer_affine
    $layer_layout
    $layer_activation
    decay : float, optional
        Weight of the old statistics (Keras' momentum), which may be given instead of ``momentum``.

    Raises
    ------
    $layer_raises_pace

    See Also
    --------
    batch_renorm : what a call computes, and how published code differs.

    Notes
    -----
    ``running_mean`` (zeros) and ``running_std`` (ones) are float32 of shape (C,). ``num_batches_tracked`` counts
    batches and sets the limits; an empty batch changes nothing and is not counted. For another schedule, override
    `limits`.

    References
    ----------
    Ioffe: "Batch Renormalization", 2017, arXiv:1702.03275.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> layer = normcy.BatchRenorm(2)
    >>> layer.limits(), layer.limits(22500), layer.limits(10**6)
    ((1.0, 0.0), (2.0, 4.375), (3.0, 5.0))
    >>> layer(np.array([[1, 10], [3, 30]], np.float32)).round(3)
    array([[-1., -1.],
           [ 1.,  1.]], dtype=float32)
    """

    _keys = ("weight", "bias", "running_mean", "running_std", "num_batches_tracked")
    decay: None = None  # it is stored as momentum

    def __init__(
        self,
        num_features: Size,
        eps: Number = 1e-3,
        momentum: Number | None = _MOMENTUM,
        affine: Flag = True,
        *,
        layout: Layout = "NCHW",
        activation: Activation = None,
        decay: Number | None = None,
    ) -> None:
        size = _checks.integer(num_features, "num_features")
        self.num_features: int = size
        self.eps: float = _checks.number(eps, "eps")
        self.momentum: float | None = _pace(momentum, decay, _MOMENTUM)
        self.affine: bool = _checks.flag(affine, "affine")
        self.layout: Layout = _checks.choice(layout, "layout", _checks.LAYOUTS)
        self.activation: Activation = _checks.choice(activation, "activation", _checks.ACTIVATIONS)
        self.weight: Maybe = _full(size, 1) if affine else None
        self.bias: Maybe = _full(size, 0) if affine else None
        self.running_mean: Array = _full(size, 0)
        self.running_std: Array = _full(size, 1)
        self.num_batches_tracked = np.zeros((), np.int64)

    @by_default_rules
    def limits(self, step: Size | None = None) -> tuple[float, float]:
        """``r_max`` and ``d_max`` of the paper's schedule.

        Up to step 5000 they are 1 and 0, which is batch norm; then ``r_max`` grows linearly to 3 at step 40,000, and
        ``d_max`` to 5 at step 25,000.

        Parameters
        ----------
        step : int, optional
            Training steps done; ``num_batches_tracked`` by default.

        Returns
        -------
        r_max, d_max : float
        """
        if step is not None:
            step = _checks.integer(step, "step", least=0)
        elif self._count is not None:
            step = int(self._count)
        else:
            raise ValueError("step: expected an int, as the layer has no num_batches_tracked, got None")
        done = step - 5000
        if done <= 0:
            return 1.0, 0.0
        return 1 + 2 * done / 35000 if done < 35000 else 3.0, 5 * done / 20000 if done < 20000 else 5.0

    def __call__(self, x: Array, out: Maybe = None) -> Array:
        """Normalize ``x``, in training within `limits`; see `batch_renorm`."""
        if self._observer is not None:
            return self._observed(self._observer, x, out)
        training, momentum, count = self.training, self.momentum, self._count
        r_max, d_max = self.limits() if training else (1.0, 0.0)
        if not training:
            momentum, count = 0.0, None
        return _native.batch_renorm(
            x, self.running_mean, self.running_std, self.weight, self.bias, training, momentum, self.eps,
            r_max, d_max, self.layout, self.activation, out, self.num_features, count,
        )  # fmt: skip

    def _observed(self, observe: Observer, x: Array, out: Maybe) -> Array:
        """Normalize as a batch norm, which does not read the running statistics; they may not be finite."""
        seen = _seen(self, x)  # before the norm, as out may be x
        mean, std = _full(self.num_features, 0), _full(self.num_features, 1)
        y = _native.batch_renorm(
            x, mean, std, self.weight, self.bias, True, 0.0, self.eps,
            1.0, 0.0, self.layout, self.activation, out,
        )  # fmt: skip
        observe(seen)
        return y

    def reset_running_stats(self) -> None:
        """Set the running mean to 0, the running deviation to 1 and the count to 0."""
        _reset(self, running_mean=0, running_std=1, num_batches_tracked=0)

    def _calibrated(self) -> tuple[Calibrated, ...]:
        return (self,)

    def _kept(self, moments: Moments) -> dict[str, Float64]:
        return {"running_mean": moments.mean, "running_std": np.sqrt(moments.var() + self.eps)}
