"""EvoNorm: normalization and activation in one."""

from __future__ import annotations

from normcy import _checks, _native
from normcy._docs import document
from normcy._layers.base import Calibrated, Observer, _full, _groups, _Layer, _reset, _seen
from normcy._statistics import Moments
from normcy._types import Array, Flag, Float64, Layout, Maybe, Number, Size


@document
class EvoNormB0(_Layer):
    """EvoNorm-B0, normalization and activation in one, with a running variance.

    Parameters
    ----------
    num_features : int
        Channels, C.
    eps : float, default 1e-3
        Added to variances under the square root.
    momentum : float, default 0.1
        Weight of the new batch in the running variance, which is stored unbiased.
    $layer_apply_act
    $layer_layout

    Raises
    ------
    $layer_raises

    See Also
    --------
    evonorm_b0 : what a call computes.

    Notes
    -----
    ``weight``, ``v`` and ``running_var`` (ones) and ``bias`` (zeros) are float32 of shape (C,).

    References
    ----------
    Liu et al.: "Evolving Normalization-Activation Layers", 2020, arXiv:2004.02967; timm's ``EvoNorm2dB0``.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> layer = normcy.EvoNormB0(1)
    >>> layer(np.array([[[1, 3]], [[-1, -3]]], np.float32)).round(2)
    array([[[ 0.45,  0.75]],
    <BLANKLINE>
           [[-0.45, -1.34]]], dtype=float32)
    >>> layer.running_var.round(2)
    array([1.57], dtype=float32)
    """

    _keys = ("weight", "bias", "v", "running_var")

    def __init__(
        self,
        num_features: Size,
        eps: Number = 1e-3,
        momentum: Number = 0.1,
        *,
        apply_act: Flag = True,
        layout: Layout = "NCHW",
    ) -> None:
        size = _checks.integer(num_features, "num_features")
        self.num_features: int = size
        self.eps: float = _checks.number(eps, "eps")
        self.momentum: float = _checks.number(momentum, "momentum")
        self.apply_act: bool = _checks.flag(apply_act, "apply_act")
        self.layout: Layout = _checks.choice(layout, "layout", _checks.LAYOUTS)
        self.weight: Array = _full(size, 1)
        self.bias: Array = _full(size, 0)
        self.running_var: Array = _full(size, 1)
        self.v: Maybe = _full(size, 1) if apply_act else None

    def __call__(self, x: Array, out: Maybe = None) -> Array:
        """Normalize and activate ``x``; see `evonorm_b0`."""
        if self._observer is not None:
            return self._observed(self._observer, x, out)
        return _native.evonorm_b0(
            x, self.running_var, self.weight, self.bias, self.v, self.training, self.momentum, self.eps, self.layout,
            out, self.num_features,
        )  # fmt: skip

    def _observed(self, observe: Observer, x: Array, out: Maybe) -> Array:
        """Normalize with the batch's variance, which `observe` gets, and do not read the running one."""
        seen = _seen(self, x)  # before the norm, as out may be x
        y = _native.evonorm_b0(
            x, _full(self.num_features, 1), self.weight, self.bias, self.v, True, 0.0, self.eps, self.layout, out
        )  # fmt: skip
        observe(seen)
        return y

    def reset_running_stats(self) -> None:
        """Set the running variance to 1."""
        _reset(self, running_var=1)

    def _calibrated(self) -> tuple[Calibrated, ...]:
        return (self,) if self.v is not None else ()

    def _kept(self, moments: Moments) -> dict[str, Float64]:
        return {"running_var": moments.var(1)}


@document
class EvoNormS0(_Layer):
    """EvoNorm-S0, group normalization and activation in one.

    Parameters
    ----------
    num_features : int
        Channels, C.
    num_groups : int, default 32
        Groups, a divisor of ``num_features``.
    eps : float, default 1e-5
        $eps
    $layer_apply_act
    $layer_layout

    Raises
    ------
    $layer_raises_groups

    See Also
    --------
    evonorm_s0 : what a call computes.

    Notes
    -----
    ``weight`` and ``v`` (ones) and ``bias`` (zeros) are float32 of shape (C,).

    References
    ----------
    Liu et al.: "Evolving Normalization-Activation Layers", 2020, arXiv:2004.02967; timm's ``EvoNorm2dS0``.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> normcy.EvoNormS0(1, 1)(np.array([[[1, 3]]], np.float32)).round(2)
    array([[[0.73, 2.86]]], dtype=float32)
    """

    _keys = ("weight", "bias", "v")

    def __init__(
        self,
        num_features: Size,
        num_groups: Size = 32,
        eps: Number = 1e-5,
        *,
        apply_act: Flag = True,
        layout: Layout = "NCHW",
    ) -> None:
        size = _checks.integer(num_features, "num_features")
        self.num_features: int = size
        self.num_groups: int = _groups(num_groups, size)
        self.eps: float = _checks.number(eps, "eps")
        self.apply_act: bool = _checks.flag(apply_act, "apply_act")
        self.layout: Layout = _checks.choice(layout, "layout", _checks.LAYOUTS)
        self.weight: Array = _full(size, 1)
        self.bias: Array = _full(size, 0)
        self.v: Maybe = _full(size, 1) if apply_act else None

    def __call__(self, x: Array, out: Maybe = None) -> Array:
        """Normalize and activate ``x``; see `evonorm_s0`."""
        return _native.evonorm_s0(
            x, self.num_groups, self.weight, self.bias, self.v, self.eps, self.layout, out, self.num_features
        )  # fmt: skip
