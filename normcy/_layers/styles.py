"""Norms with styles: adaptive and conditional instance norm."""

from __future__ import annotations

from normcy import _checks, _native
from normcy._docs import document
from normcy._layers.base import _full, _Layer
from normcy._types import Activation, Array, Ids, Layout, Maybe, Number, Size


@document
class AdaIN(_Layer):
    """Adaptive instance normalization: gives the content's instances the style's mean and standard deviation.

    Parameters
    ----------
    eps : float, default 1e-5
        Added to the content's variance under the square root.
    alpha : float, default 1.0
        Weight of the stylized content in the result: 0 returns the content itself.
    correction : float, default 0
        Subtracted from the number of values in variances.
    style_eps : float or None, default None
        Added to the style's variance; None means ``eps``.
    $layer_layout

    Raises
    ------
    $layer_raises

    See Also
    --------
    adain : what a call computes, and the options that published programs use.

    References
    ----------
    Huang, Belongie: "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization", 2017,
    arXiv:1703.06868.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> content, style = np.array([[[1, 3]]], np.float32), np.array([[[10, 20, 30, 40]]], np.float32)
    >>> normcy.AdaIN()(content, style).round(2)
    array([[[13.82, 36.18]]], dtype=float32)
    """

    def __init__(
        self,
        eps: Number = 1e-5,
        *,
        alpha: Number = 1.0,
        correction: Number = 0,
        style_eps: Number | None = None,
        layout: Layout = "NCHW",
    ) -> None:
        self.eps: float = _checks.number(eps, "eps")
        self.alpha: float = _checks.narrow(alpha, "alpha")
        self.correction: float = _checks.number(correction, "correction")
        self.style_eps: float | None = None if style_eps is None else _checks.narrow(style_eps, "style_eps")
        self.layout: Layout = _checks.choice(layout, "layout", _checks.LAYOUTS)

    def __call__(self, content: Array, style: Array | tuple[Array, Array], out: Maybe = None) -> Array:
        """Give ``content`` the statistics of the style; see `adain`."""
        return _native.adain(
            content, style, self.eps, self.alpha, self.correction, self.style_eps, self.layout, out
        )  # fmt: skip


@document
class ConditionalInstanceNorm(_Layer):
    """Instance normalization with the weight and bias of each sample's own style.

    Parameters
    ----------
    num_styles : int
        Styles, S.
    num_features : int
        Channels, C.
    eps : float, default 1e-5
        $eps
    $layer_layout
    $layer_activation

    Raises
    ------
    $layer_raises

    See Also
    --------
    conditional_instance_norm : what a call computes, and its arguments.

    Notes
    -----
    ``weight`` (ones) and ``bias`` (zeros) are float32 of shape (S, C).

    References
    ----------
    Dumoulin, Shlens, Kudlur: "A Learned Representation For Artistic Style", 2016, arXiv:1610.07629.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> layer = normcy.ConditionalInstanceNorm(2, 1)
    >>> layer.bias[1] = 5
    >>> layer(np.array([[[1, 3]], [[1, 3]]], np.float32), np.array([0, 1])).round(3)
    array([[[-1.,  1.]],
    <BLANKLINE>
           [[ 4.,  6.]]], dtype=float32)
    """

    _keys = ("weight", "bias")

    def __init__(
        self,
        num_styles: Size,
        num_features: Size,
        eps: Number = 1e-5,
        *,
        layout: Layout = "NCHW",
        activation: Activation = None,
    ) -> None:
        self.num_styles: int = _checks.integer(num_styles, "num_styles")
        self.num_features: int = _checks.integer(num_features, "num_features")
        self.eps: float = _checks.number(eps, "eps")
        self.layout: Layout = _checks.choice(layout, "layout", _checks.LAYOUTS)
        self.activation: Activation = _checks.choice(activation, "activation", _checks.ACTIVATIONS)
        size = self.num_styles, self.num_features
        larger = "num_styles" if self.num_styles > self.num_features else "num_features"
        self.weight: Array = _full(size, 1, larger)
        self.bias: Array = _full(size, 0, larger)

    def __call__(self, x: Array, style: Ids | Array, out: Maybe = None) -> Array:
        """Normalize ``x`` with styles, integers (N,), or their mixtures, float32 (N, S)."""
        return _native.conditional_instance_norm(
            x, style, self.weight, self.bias, self.eps, self.layout, self.activation, out, self.num_features
        )  # fmt: skip
