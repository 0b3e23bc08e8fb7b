"""Layer, RMS and group norm."""

from __future__ import annotations

from typing import Any

from normcy import _checks, _native
from normcy._arithmetic import by_default_rules
from normcy._docs import document
from normcy._layers.base import _full, _groups, _Layer
from normcy._types import Activation, Array, EpsMode, Flag, Layout, Maybe, Number, Size, Sizes


@by_default_rules
def _neutral_weight(normalized_shape: tuple[int, ...], weight_offset: float) -> Array:
    """Returns weights that change nothing."""
    return _full(normalized_shape, 1 - weight_offset, "normalized_shape")


@document
class LayerNorm(_Layer):
    """Layer normalization over the last axes.

    Parameters
    ----------
    $layer_shape
    eps : float, default 1e-5
        Added to the variance under the square root, or to its root with ``eps_mode="outside_sqrt"``.
    elementwise_affine : bool, default True
        Whether the layer has ``weight``, float32 of ``normalized_shape``, which changes nothing at first.
    bias : bool, default True
        Whether it then also has ``bias`` (zeros).
    weight_offset : float, default 0.0
        Added to ``weight``; with 1.0 it starts from zeros.
    $layer_activation
    correction : float, default 0
        Subtracted from the number of values in the variance.
    eps_mode : {"inside_sqrt", "outside_sqrt"}, default "inside_sqrt"
        Where eps is added.

    Raises
    ------
    $layer_raises

    See Also
    --------
    layer_norm : what a call computes, and its arguments.

    References
    ----------
    Ba, Kiros, Hinton: "Layer Normalization", 2016, arXiv:1607.06450; ``torch.nn.LayerNorm``.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> layer = normcy.LayerNorm(2, bias=False)
    >>> layer
    LayerNorm((2,), bias=False)
    >>> layer(np.array([[1, 3], [10, 30]], np.float32)).round(3)
    array([[-1.,  1.],
           [-1.,  1.]], dtype=float32)
    """

    _keys = ("weight", "bias")

    def __init__(
        self,
        normalized_shape: Sizes,
        eps: Number = 1e-5,
        elementwise_affine: Flag = True,
        bias: Flag = True,
        *,
        weight_offset: Number = 0.0,
        activation: Activation = None,
        correction: Number = 0,
        eps_mode: EpsMode = "inside_sqrt",
    ) -> None:
        self.normalized_shape: tuple[int, ...] = _checks.shape(normalized_shape, "normalized_shape")
        self.eps: float = _checks.number(eps, "eps")
        self.elementwise_affine: bool = _checks.flag(elementwise_affine, "elementwise_affine")
        self.weight_offset: float = _checks.narrow(weight_offset, "weight_offset")
        self.activation: Activation = _checks.choice(activation, "activation", _checks.ACTIVATIONS)
        self.correction: float = _checks.number(correction, "correction")
        self.eps_mode: EpsMode = _checks.choice(eps_mode, "eps_mode", ("inside_sqrt", "outside_sqrt"))
        self._with_bias = _checks.flag(bias, "bias")
        self.weight: Maybe = _neutral_weight(self.normalized_shape, self.weight_offset) if elementwise_affine else None
        self.bias: Maybe = _full(self.normalized_shape, 0, "normalized_shape") if elementwise_affine and bias else None

    def _argument(self, name: str) -> Any:
        return getattr(self, "_with_bias" if name == "bias" else name)

    def __call__(
        self, x: Array, out: Maybe = None, pre_add: Maybe = None, post_add: Maybe = None, *, sum_out: Maybe = None
    ) -> Array:
        """Normalize ``x``; see `layer_norm`."""
        return _native.layer_norm(
            x, self.normalized_shape, self.weight, self.bias, self.eps, self.weight_offset, pre_add, sum_out, post_add,
            self.activation, out, False, self.correction, self.eps_mode, True,
        )  # fmt: skip


@document
class RMSNorm(_Layer):
    """Root mean square normalization over the last axes.

    Parameters
    ----------
    $layer_shape
    eps : float or None, default None
        Added to the mean square under the square root; None means float32's machine epsilon, 2**-23.
    elementwise_affine : bool, default True
        Whether the layer has ``weight``, float32 of ``normalized_shape``, which changes nothing at first.
    weight_offset : float, default 0.0
        Added to ``weight``; with 1.0, as in Gemma, it starts from zeros.
    $layer_activation

    Raises
    ------
    $layer_raises

    See Also
    --------
    rms_norm : what a call computes, and its arguments.

    References
    ----------
    Zhang, Sennrich: "Root Mean Square Layer Normalization", 2019, arXiv:1910.07467; ``torch.nn.RMSNorm``.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> normcy.RMSNorm(2)(np.array([[1, 7]], np.float32)).round(3)
    array([[0.2, 1.4]], dtype=float32)
    """

    _keys = ("weight",)

    def __init__(
        self,
        normalized_shape: Sizes,
        eps: Number | None = None,
        elementwise_affine: Flag = True,
        *,
        weight_offset: Number = 0.0,
        activation: Activation = None,
    ) -> None:
        self.normalized_shape: tuple[int, ...] = _checks.shape(normalized_shape, "normalized_shape")
        self.eps: float | None = None if eps is None else _checks.number(eps, "eps")
        self.elementwise_affine: bool = _checks.flag(elementwise_affine, "elementwise_affine")
        self.weight_offset: float = _checks.narrow(weight_offset, "weight_offset")
        self.activation: Activation = _checks.choice(activation, "activation", _checks.ACTIVATIONS)
        self.weight: Maybe = _neutral_weight(self.normalized_shape, self.weight_offset) if elementwise_affine else None

    def __call__(
        self, x: Array, out: Maybe = None, pre_add: Maybe = None, post_add: Maybe = None, *, sum_out: Maybe = None
    ) -> Array:
        """Normalize ``x``; see `rms_norm`."""
        return _native.rms_norm(
            x, self.normalized_shape, self.weight, self.eps, self.weight_offset, pre_add, sum_out, post_add,
            self.activation, out, False, True,
        )  # fmt: skip


class _PerChannel(_Layer):
    """Layers without running statistics that have one weight and one bias for each channel."""

    _keys = ("weight", "bias")

    def __init__(self, num_channels: Size, eps: Number, affine: Flag, layout: Layout, activation: Activation) -> None:
        self.num_channels: int = _checks.integer(num_channels, "num_channels")
        self.eps: float = _checks.number(eps, "eps")
        self.affine: bool = _checks.flag(affine, "affine")
        self.layout: Layout = _checks.choice(layout, "layout", _checks.LAYOUTS)
        self.activation: Activation = _checks.choice(activation, "activation", _checks.ACTIVATIONS)
        self.weight: Maybe = _full(self.num_channels, 1, "num_channels") if affine else None
        self.bias: Maybe = _full(self.num_channels, 0, "num_channels") if affine else None


@document
class LayerNorm2d(_PerChannel):
    """Layer normalization over the channels of each position.

    Parameters
    ----------
    num_channels : int
        Channels, C.
    eps : float, default 1e-6
        $eps
    $layer_affine
    $layer_layout
    $layer_activation

    Raises
    ------
    $layer_raises

    See Also
    --------
    layer_norm2d : what a call computes, and its arguments.

    References
    ----------
    Liu et al.: "A ConvNet for the 2020s", 2022, arXiv:2201.03545; timm's ``LayerNorm2d``.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> normcy.LayerNorm2d(2)(np.array([[[1, 10], [3, 30]]], np.float32)).round(3)
    array([[[-1., -1.],
            [ 1.,  1.]]], dtype=float32)
    """

    def __init__(
        self,
        num_channels: Size,
        eps: Number = 1e-6,
        affine: Flag = True,
        *,
        layout: Layout = "NCHW",
        activation: Activation = None,
    ) -> None:
        super().__init__(num_channels, eps, affine, layout, activation)

    def __call__(
        self, x: Array, out: Maybe = None, pre_add: Maybe = None, post_add: Maybe = None, *, sum_out: Maybe = None
    ) -> Array:
        """Normalize ``x``; see `layer_norm2d`."""
        return _native.layer_norm2d(
            x, self.weight, self.bias, self.eps, self.layout, 0.0, pre_add, sum_out, post_add, self.activation, out,
            False, self.num_channels,
        )  # fmt: skip


@document
class GroupNorm(_PerChannel):
    """Group normalization: statistics of groups of neighbouring channels over each sample's positions.

    Parameters
    ----------
    num_groups : int
        Groups, a divisor of ``num_channels``; it comes first, as in PyTorch.
    num_channels : int
        Channels, C.
    eps : float, default 1e-5
        $eps
    $layer_affine
    $layer_layout
    $layer_activation

    Raises
    ------
    $layer_raises_groups

    See Also
    --------
    group_norm : what a call computes, and its arguments.

    References
    ----------
    Wu, He: "Group Normalization", 2018, arXiv:1803.08494; ``torch.nn.GroupNorm``.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> normcy.GroupNorm(2, 4)(np.array([[1, 3, 10, 30]], np.float32)).round(3)
    array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    def __init__(
        self,
        num_groups: Size,
        num_channels: Size,
        eps: Number = 1e-5,
        affine: Flag = True,
        *,
        layout: Layout = "NCHW",
        activation: Activation = None,
    ) -> None:
        super().__init__(num_channels, eps, affine, layout, activation)
        self.num_groups: int = _groups(num_groups, self.num_channels)

    def __call__(
        self, x: Array, out: Maybe = None, pre_add: Maybe = None, post_add: Maybe = None, *, sum_out: Maybe = None
    ) -> Array:
        """Normalize ``x``; see `group_norm`."""
        return _native.group_norm(
            x, self.num_groups, self.weight, self.bias, self.eps, self.layout, 0.0, pre_add, sum_out, post_add,
            self.activation, out, False, self.num_channels,
        )  # fmt: skip
