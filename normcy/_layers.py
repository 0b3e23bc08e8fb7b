"""Layers: the functions with their parameters and running statistics kept, under PyTorch's names.

A call reads attributes and goes straight to the compiled core, which does every check of arrays.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from normcy import _checks, _native
from normcy._docs import document
from normcy._statistics import Moments

__all__ = [
    "IBN",
    "AdaIN",
    "BatchNorm",
    "BatchRenorm",
    "ConditionalInstanceNorm",
    "EvoNormB0",
    "EvoNormS0",
    "GroupNorm",
    "InstanceNorm",
    "LayerNorm",
    "LayerNorm2d",
    "RMSNorm",
    "WeightNorm",
]

Array = NDArray[np.float32]
Maybe = Array | None

# Objects of their own, so that `is` tells a momentum that was given from the default.
_MOMENTUM, _RENORM_MOMENTUM = float("0.1"), float("0.01")


class _Layer:
    """What all layers share: the training flag, the state dict, and a repr that rebuilds them."""

    _keys: ClassVar[tuple[str, ...]] = ()  # attributes that the state dict holds, in PyTorch's order
    _aliases: ClassVar[Mapping[str, str]] = {}  # other names under which load_state_dict finds them
    _observer: Callable[[Moments], None] | None = None  # set while recalibrate() runs: is handed each call's moments
    training: bool = True

    def train(self, mode: bool = True):
        """Set ``training`` and return the layer."""
        self.training = _checks.flag(mode, "mode")
        return self

    def eval(self):
        """Clear ``training`` and return the layer."""
        return self.train(False)

    def reset_running_stats(self) -> None:
        """Running statistics and their count as in a new layer; nothing where there are none."""

    def _calibrated(self) -> tuple[_Layer, ...]:
        """The layers in here whose running statistics are those of batches."""
        return ()

    def _arrays(self) -> dict[str, np.ndarray]:
        return {key: getattr(self, key) for key in self._keys if getattr(self, key) is not None}

    def state_dict(self, prefix: str = "") -> dict[str, np.ndarray]:
        """The layer's own arrays by PyTorch's names, ``prefix`` in front; not copies."""
        return {prefix + key: array for key, array in self._arrays().items()}

    def load_state_dict(self, mapping: Mapping[str, Any], prefix: str = "") -> None:
        """Copy values into the layer's arrays.

        Parameters
        ----------
        mapping : mapping of str to array
            What `state_dict` returns, or a PyTorch or safetensors dict: values are what ``np.asarray`` reads, and are
            cast to the layer's dtype. ``num_batches_tracked`` may be missing and then stays as it is.
        prefix : str, default ""
            Only keys that begin with it count, without it.

        Raises
        ------
        TypeError
            If ``mapping`` is not a mapping.
        ValueError
            If keys are missing or unexpected, or values of another shape: all are listed. Nothing has changed then.
        """
        if not (hasattr(mapping, "keys") and hasattr(mapping, "__getitem__")):
            raise TypeError(f"mapping: expected a mapping of names to arrays, got {type(mapping).__name__}")
        targets, found, problems = self._arrays(), {}, []
        for key in mapping.keys():  # noqa: SIM118 - files of arrays are no dicts
            if isinstance(key, str) and not key.startswith(prefix):
                continue
            name = key[len(prefix) :] if isinstance(key, str) else repr(key)
            name = self._aliases.get(name, name)
            if name not in targets:
                problems.append(f"unexpected {name}")
            elif name in found:
                problems.append(f"{name} under two names")
            else:
                found[name], problem = _converted(mapping[key], targets[name])
                problems += [f"{name}: {problem}"] if problem else []
        optional = "num_batches_tracked"  # PyTorch before 0.4.1 had none
        problems += [f"missing {name}" for name in targets if name not in found and not name.endswith(optional)]
        if problems:
            raise ValueError(f"mapping: does not fit {self!r}: {'; '.join(problems)}")
        for name, array in found.items():
            targets[name][...] = array

    def _argument(self, name: str) -> Any:
        """The value with which the constructor would build this layer."""
        return getattr(self, name)

    def __repr__(self) -> str:
        shown = []
        for name, parameter in inspect.signature(type(self)).parameters.items():
            value = self._argument(name)
            if parameter.default is parameter.empty:
                shown.append(repr(value))
            elif value != parameter.default:
                shown.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


def _converted(value: Any, target: np.ndarray) -> tuple[np.ndarray | None, str]:
    """A value as an array that can be copied into the target, or what is wrong with it."""
    try:
        given = np.asarray(value)
        if given.dtype.kind in "cSUOmM":
            return None, f"expected numbers, got dtype {given.dtype}"
        if given.shape != target.shape:
            return None, f"expected shape {target.shape}, got {given.shape}"
        if target.dtype.kind == "i" and not float(given).is_integer():
            return None, f"expected a whole number, got {given}"
        if not target.flags.writeable:
            return None, "the layer's array is read-only"
        return given.astype(target.dtype), ""
    except (TypeError, ValueError, RuntimeError) as error:  # np.asarray's, or torch's on its way there
        return None, str(error)


def _pace(momentum: float | None, decay: float | None, default: float) -> float | None:
    """The weight of a new batch, from momentum or Keras' decay, of which one may be given."""
    if decay is None:
        return None if momentum is None else _checks.number(momentum, "momentum")
    if momentum is not default:
        raise ValueError(f"decay: expected either momentum or decay (1 - momentum), got both, {momentum} and {decay}")
    return 1 - _checks.number(decay, "decay")


def _full(size: int | tuple[int, ...], value: float) -> Array:
    return np.full(size, value, np.float32)


class _Tracking(_Layer):
    """Batch and instance norm: affine parameters, and running statistics that training updates."""

    _keys = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    decay = None  # momentum holds it

    def __init__(
        self,
        num_features,
        eps,
        momentum,
        affine,
        track_running_stats,
        layout,
        activation,
        decay,
        unbiased_running_var,
    ):
        self.num_features = size = _checks.integer(num_features, "num_features", least=0)
        self.eps = _checks.number(eps, "eps")
        self.momentum = _pace(momentum, decay, _MOMENTUM)
        self.affine = _checks.flag(affine, "affine")
        self.track_running_stats = tracked = _checks.flag(track_running_stats, "track_running_stats")
        self.layout = _checks.choice(layout, "layout", _checks.LAYOUTS)
        self.activation = _checks.choice(activation, "activation", _checks.ACTIVATIONS)
        self.unbiased_running_var = _checks.flag(unbiased_running_var, "unbiased_running_var")
        self.weight, self.bias = (_full(size, 1), _full(size, 0)) if affine else (None, None)
        self.running_mean, self.running_var = (_full(size, 0), _full(size, 1)) if tracked else (None, None)
        self.num_batches_tracked = np.zeros((), np.int64) if tracked else None

    def reset_running_stats(self) -> None:
        """Mean 0, variance 1 and count 0, where the layer tracks them."""
        if self.track_running_stats and self.running_mean is not None:
            self.running_mean[...], self.running_var[...] = 0, 1
            if self.num_batches_tracked is not None:
                self.num_batches_tracked[...] = 0


@document
class BatchNorm(_Tracking):
    """Batch normalization of any rank, with its parameters and running statistics.

    In training the batch's statistics normalize, and the running ones take them in; otherwise the running ones
    normalize. Without running statistics the batch's always do.

    Parameters
    ----------
    num_features : int
        Channels, C.
    eps : float, default 1e-5
        $eps
    momentum : float or None, default 0.1
        Weight of the new batch in the running statistics; None is the average of all batches so far.
    $layer_affine
    track_running_stats : bool, default True
        With ``running_mean`` (zeros), ``running_var`` (ones), float32 of shape (C,), and ``num_batches_tracked``.
    $layer_layout
    $layer_activation
    decay : float, optional
        Instead of ``momentum``: weight of the old statistics, Keras' and Flax's momentum.
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
    they still normalize. An empty batch changes nothing and is not counted.

    References
    ----------
    S. Ioffe, C. Szegedy, "Batch Normalization", 2015, arXiv:1502.03167; ``torch.nn.BatchNorm2d``.

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
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = _MOMENTUM,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        layout: str = "NCHW",
        activation: str | None = None,
        decay: float | None = None,
        unbiased_running_var: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, layout, activation, decay, unbiased_running_var
        )  # fmt: skip

    def __call__(
        self, x: Array, out: Maybe = None, pre_add: Maybe = None, post_add: Maybe = None, *, sum_out: Maybe = None
    ) -> Array:
        """Normalize ``x``; see `batch_norm`."""
        if self._observer is not None:
            return self._observed(x, out, pre_add, post_add, sum_out)
        mean, var, momentum, count = self.running_mean, self.running_var, self.momentum, None
        own = self.training
        if not own:
            own = mean is None and var is None
        elif self.track_running_stats:
            count = self.num_batches_tracked
        else:
            mean = var = None
        if momentum is None:
            momentum = 0.0 if count is None else 1 / (count.item() + 1)
        y = _native.batch_norm(
            x, mean, var, self.weight, self.bias, own, momentum, self.eps, self.layout, 0.0, pre_add, sum_out, post_add,
            self.activation, out, False, self.unbiased_running_var,
        )  # fmt: skip
        if count is not None and x.size:
            count[...] = count.item() + 1
        return y

    def _observed(self, x, out, pre_add, post_add, sum_out):
        """With the batch's statistics, which the observer gets; the running ones stay as they are."""
        seen = _seen(self, x, pre_add)  # first: out may be x
        y = _native.batch_norm(
            x, None, None, self.weight, self.bias, True, 0.0, self.eps, self.layout, 0.0, pre_add, sum_out, post_add,
            self.activation, out, False, True,
        )  # fmt: skip
        self._observer(seen)
        return y

    def _calibrated(self):
        return (self,) if self.running_mean is not None else ()

    def _kept(self, moments: Moments) -> dict[str, NDArray[np.float64]]:
        """Running statistics that moments of data amount to."""
        return {"running_mean": moments.mean, "running_var": moments.var(1 if self.unbiased_running_var else 0)}


def _seen(layer, x, pre_add=None) -> Moments:
    """Moments of what a call normalizes."""
    if isinstance(pre_add, np.ndarray) and pre_add.shape == np.shape(x):  # else the call itself says what is wrong
        with np.errstate(over="ignore", invalid="ignore"):
            x = x + pre_add
    seen = Moments.of(x, layer.layout)
    if seen.num_features != layer.num_features:
        raise ValueError(f"x: expected {layer.num_features} channels, got shape {x.shape} in {layer.layout}")
    return seen


@document
class InstanceNorm(_Tracking):
    """Instance normalization of any rank, with its parameters and, where wanted, running statistics.

    Each sample's own statistics normalize, but for a layer that tracks running statistics and is not in training.

    Parameters
    ----------
    num_features : int
        Channels, C.
    eps : float, default 1e-5
        $eps
    momentum : float or None, default 0.1
        Weight of the new batch in the running statistics; None is the average of all batches so far.
    affine : bool, default False
        With ``weight`` (ones) and ``bias`` (zeros), float32 of shape (C,).
    track_running_stats : bool, default False
        With ``running_mean`` (zeros), ``running_var`` (ones), float32 of shape (C,), and ``num_batches_tracked``.
    $layer_layout
    $layer_activation
    decay : float, optional
        Instead of ``momentum``: weight of the old statistics, Keras' and Flax's momentum.
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
    Two things differ from PyTorch's layer. ``num_batches_tracked`` counts and ``momentum=None`` averages, where
    PyTorch's count stays 0 and its statistics never move. With ``track_running_stats`` cleared on a layer that has
    running statistics, these stay as they are, where PyTorch updates them even in evaluation.

    IBN-b's norm after the residual is ``InstanceNorm(C, affine=True, activation="relu")`` called with ``pre_add=``.

    References
    ----------
    D. Ulyanov, A. Vedaldi, V. Lempitsky, "Instance Normalization", 2016, arXiv:1607.08022; ``torch.nn.InstanceNorm2d``.

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
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = _MOMENTUM,
        affine: bool = False,
        track_running_stats: bool = False,
        *,
        layout: str = "NCHW",
        activation: str | None = None,
        decay: float | None = None,
        unbiased_running_var: bool = True,
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
            count = self.num_batches_tracked if self.training else None
        if momentum is None:
            momentum = 0.0 if count is None else 1 / (count.item() + 1)
        y = _native.instance_norm(
            x, mean, var, self.weight, self.bias, own, momentum, self.eps, self.layout, 0.0, pre_add, sum_out, post_add,
            self.activation, out, False, self.unbiased_running_var,
        )  # fmt: skip
        if count is not None and x.size:
            count[...] = count.item() + 1
        return y


@document
class LayerNorm(_Layer):
    """Layer normalization over the last axes.

    Parameters
    ----------
    $layer_shape
    eps : float, default 1e-5
        Added to the variance under the square root, or to its root with ``eps_mode="outside_sqrt"``.
    elementwise_affine : bool, default True
        With ``weight``, float32 of ``normalized_shape``, at first such that it changes nothing.
    bias : bool, default True
        With ``bias`` (zeros) too.
    weight_offset : float, default 0.0
        Added to ``weight``; with 1.0 it starts from zeros.
    $layer_activation
    correction : float, default 0
        Taken off the count of values in the variance.
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
    J. Ba, J. Kiros, G. Hinton, "Layer Normalization", 2016, arXiv:1607.06450; ``torch.nn.LayerNorm``.

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
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        weight_offset: float = 0.0,
        activation: str | None = None,
        correction: float = 0,
        eps_mode: str = "inside_sqrt",
    ) -> None:
        self.normalized_shape = _checks.shape(normalized_shape, "normalized_shape")
        self.eps = _checks.number(eps, "eps")
        self.elementwise_affine = _checks.flag(elementwise_affine, "elementwise_affine")
        self.weight_offset = _checks.number(weight_offset, "weight_offset")
        self.activation = _checks.choice(activation, "activation", _checks.ACTIVATIONS)
        self.correction = _checks.number(correction, "correction")
        self.eps_mode = _checks.choice(eps_mode, "eps_mode", ("inside_sqrt", "outside_sqrt"))
        self._with_bias = _checks.flag(bias, "bias")
        self.weight = _full(self.normalized_shape, 1 - self.weight_offset) if elementwise_affine else None
        self.bias = _full(self.normalized_shape, 0) if elementwise_affine and bias else None

    def _argument(self, name):
        return getattr(self, "_with_bias" if name == "bias" else name)

    def __call__(
        self, x: Array, out: Maybe = None, pre_add: Maybe = None, post_add: Maybe = None, *, sum_out: Maybe = None
    ) -> Array:
        """Normalize ``x``; see `layer_norm`."""
        return _native.layer_norm(
            x, self.normalized_shape, self.weight, self.bias, self.eps, self.weight_offset, pre_add, sum_out, post_add,
            self.activation, out, False, self.correction, self.eps_mode,
        )  # fmt: skip


@document
class RMSNorm(_Layer):
    """Root mean square normalization over the last axes.

    Parameters
    ----------
    $layer_shape
    eps : float or None, default None
        Added to the mean square under the square root; None is float32's, 2**-23.
    elementwise_affine : bool, default True
        With ``weight``, float32 of ``normalized_shape``, at first such that it changes nothing.
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
    B. Zhang, R. Sennrich, "Root Mean Square Layer Normalization", 2019, arXiv:1910.07467; ``torch.nn.RMSNorm``.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> normcy.RMSNorm(2)(np.array([[1, 7]], np.float32)).round(3)
    array([[0.2, 1.4]], dtype=float32)
    """

    _keys = ("weight",)

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        weight_offset: float = 0.0,
        activation: str | None = None,
    ) -> None:
        self.normalized_shape = _checks.shape(normalized_shape, "normalized_shape")
        self.eps = None if eps is None else _checks.number(eps, "eps")
        self.elementwise_affine = _checks.flag(elementwise_affine, "elementwise_affine")
        self.weight_offset = _checks.number(weight_offset, "weight_offset")
        self.activation = _checks.choice(activation, "activation", _checks.ACTIVATIONS)
        self.weight = _full(self.normalized_shape, 1 - self.weight_offset) if elementwise_affine else None

    def __call__(
        self, x: Array, out: Maybe = None, pre_add: Maybe = None, post_add: Maybe = None, *, sum_out: Maybe = None
    ) -> Array:
        """Normalize ``x``; see `rms_norm`."""
        return _native.rms_norm(
            x, self.normalized_shape, self.weight, self.eps, self.weight_offset, pre_add, sum_out, post_add,
            self.activation, out, False,
        )  # fmt: skip


class _PerChannel(_Layer):
    """Layers without running statistics that have one weight and bias a channel."""

    _keys = ("weight", "bias")

    def __init__(self, num_channels, eps, affine, layout, activation):
        self.num_channels = _checks.integer(num_channels, "num_channels")
        self.eps = _checks.number(eps, "eps")
        self.affine = _checks.flag(affine, "affine")
        self.layout = _checks.choice(layout, "layout", _checks.LAYOUTS)
        self.activation = _checks.choice(activation, "activation", _checks.ACTIVATIONS)
        size = self.num_channels
        self.weight, self.bias = (_full(size, 1), _full(size, 0)) if affine else (None, None)


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
    Z. Liu et al., "A ConvNet for the 2020s", 2022, arXiv:2201.03545; timm's ``LayerNorm2d``.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> normcy.LayerNorm2d(2)(np.array([[[1, 10], [3, 30]]], np.float32)).round(3)
    array([[[-1., -1.],
            [ 1.,  1.]]], dtype=float32)
    """

    def __init__(
        self,
        num_channels: int,
        eps: float = 1e-6,
        affine: bool = True,
        *,
        layout: str = "NCHW",
        activation: str | None = None,
    ) -> None:
        super().__init__(num_channels, eps, affine, layout, activation)

    def __call__(
        self, x: Array, out: Maybe = None, pre_add: Maybe = None, post_add: Maybe = None, *, sum_out: Maybe = None
    ) -> Array:
        """Normalize ``x``; see `layer_norm2d`."""
        return _native.layer_norm2d(
            x, self.weight, self.bias, self.eps, self.layout, 0.0, pre_add, sum_out, post_add, self.activation, out,
            False,
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
    Y. Wu, K. He, "Group Normalization", 2018, arXiv:1803.08494; ``torch.nn.GroupNorm``.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> normcy.GroupNorm(2, 4)(np.array([[1, 3, 10, 30]], np.float32)).round(3)
    array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        layout: str = "NCHW",
        activation: str | None = None,
    ) -> None:
        super().__init__(num_channels, eps, affine, layout, activation)
        self.num_groups = _groups(num_groups, self.num_channels)

    def __call__(
        self, x: Array, out: Maybe = None, pre_add: Maybe = None, post_add: Maybe = None, *, sum_out: Maybe = None
    ) -> Array:
        """Normalize ``x``; see `group_norm`."""
        return _native.group_norm(
            x, self.num_groups, self.weight, self.bias, self.eps, self.layout, 0.0, pre_add, sum_out, post_add,
            self.activation, out, False,
        )  # fmt: skip


def _groups(num_groups: int, channels: int) -> int:
    groups = _checks.integer(num_groups, "num_groups")
    if channels % groups:
        raise ValueError(f"num_groups: expected a divisor of the {channels} channels, got {groups}")
    return groups


@document
class AdaIN(_Layer):
    """Adaptive instance normalization: the content's instances with the style's mean and standard deviation.

    Parameters
    ----------
    eps : float, default 1e-5
        Added to the content's variance under the square root.
    alpha : float, default 1.0
        How much of the style: 0 gives the content back.
    correction : float, default 0
        Taken off the count of values in variances.
    style_eps : float or None, default None
        Added to the style's variance; None is ``eps``.
    $layer_layout

    Raises
    ------
    $layer_raises

    See Also
    --------
    adain : what a call computes, and which published code is which choice of options.

    References
    ----------
    X. Huang, S. Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization", 2017,
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
        eps: float = 1e-5,
        *,
        alpha: float = 1.0,
        correction: float = 0,
        style_eps: float | None = None,
        layout: str = "NCHW",
    ) -> None:
        self.eps = _checks.number(eps, "eps")
        self.alpha = _checks.number(alpha, "alpha")
        self.correction = _checks.number(correction, "correction")
        self.style_eps = None if style_eps is None else _checks.number(style_eps, "style_eps")
        self.layout = _checks.choice(layout, "layout", _checks.LAYOUTS)

    def __call__(self, content: Array, style: Array | tuple[Array, Array], out: Maybe = None) -> Array:
        """Carry the style over to ``content``; see `adain`."""
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
    V. Dumoulin, J. Shlens, M. Kudlur, "A Learned Representation For Artistic Style", 2016, arXiv:1610.07629.

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
        num_styles: int,
        num_features: int,
        eps: float = 1e-5,
        *,
        layout: str = "NCHW",
        activation: str | None = None,
    ) -> None:
        self.num_styles = _checks.integer(num_styles, "num_styles")
        self.num_features = _checks.integer(num_features, "num_features")
        self.eps = _checks.number(eps, "eps")
        self.layout = _checks.choice(layout, "layout", _checks.LAYOUTS)
        self.activation = _checks.choice(activation, "activation", _checks.ACTIVATIONS)
        self.weight = _full((self.num_styles, self.num_features), 1)
        self.bias = _full((self.num_styles, self.num_features), 0)

    def __call__(self, x: Array, style: np.ndarray, out: Maybe = None) -> Array:
        """Normalize ``x`` with styles (N,), integers, or their mixtures (N, S), float32."""
        return _native.conditional_instance_norm(
            x, style, self.weight, self.bias, self.eps, self.layout, self.activation, out
        )  # fmt: skip


@document
class IBN(_Layer):
    """IBN-a: instance normalization of one part of the channels, batch normalization of the others.

    Parameters
    ----------
    num_features : int
        Channels, C.
    ratio : float, default 0.5
        Share of instance normalization, from 0 to 1.
    order : {"in_first", "bn_first"}, default "in_first"
        The first ``int(C * ratio)`` channels are instance normalized (ResNet-IBN); or the first
        ``int(C * (1 - ratio))`` batch normalized (DenseNet-IBN).
    eps : float, default 1e-5
        Of both parts.
    momentum, decay : float
        Of the batch norm, as in `BatchNorm`.
    $layer_layout
    $layer_activation
    unbiased_running_var : bool, default True
        Of the batch norm, as in `BatchNorm`.

    Attributes
    ----------
    IN : InstanceNorm
        Affine, without running statistics.
    BN : BatchNorm
        Affine, with running statistics.

    Raises
    ------
    $layer_raises

    Notes
    -----
    Any number of channels and any ratio works, also those that the authors' ``torch.split`` refuses. IBN-b, instance
    norm after the residual, is ``InstanceNorm(C, affine=True, activation="relu")`` called with ``pre_add=``.

    References
    ----------
    X. Pan, P. Luo, J. Shi, X. Tang, "Two at Once: Enhancing Learning and Generalization Capacities via IBN-Net", 2018,
    arXiv:1807.09441.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> layer = normcy.IBN(65)
    >>> layer.IN, layer.BN
    (InstanceNorm(32, affine=True), BatchNorm(33))
    >>> layer(np.ones((2, 65, 4, 4), np.float32)).shape
    (2, 65, 4, 4)
    >>> list(layer.state_dict())[:3]
    ['IN.weight', 'IN.bias', 'BN.weight']
    """

    def __init__(
        self,
        num_features: int,
        ratio: float = 0.5,
        *,
        order: str = "in_first",
        eps: float = 1e-5,
        momentum: float | None = _MOMENTUM,
        layout: str = "NCHW",
        activation: str | None = None,
        decay: float | None = None,
        unbiased_running_var: bool = True,
    ) -> None:
        self.num_features = _checks.integer(num_features, "num_features")
        self.ratio = _checks.number(ratio, "ratio")
        self.order = _checks.choice(order, "order", ("in_first", "bn_first"))
        if not 0 <= self.ratio <= 1:
            raise ValueError(f"ratio: expected a number from 0 to 1, got {ratio}")
        first = int(num_features * (self.ratio if order == "in_first" else 1 - self.ratio))
        sizes = (first, num_features - first) if order == "in_first" else (num_features - first, first)
        self.IN = InstanceNorm(sizes[0], eps, affine=True, layout=layout, activation=activation)
        self.BN = BatchNorm(
            sizes[1], eps, momentum, layout=layout, activation=activation, decay=decay,
            unbiased_running_var=unbiased_running_var,
        )  # fmt: skip
        before, after = slice(None, first), slice(first, None)
        lead = (slice(None),) if layout == "NCHW" else (Ellipsis,)
        self._parts = [lead + (before,), lead + (after,)]
        self._in_part, self._bn_part = self._parts if order == "in_first" else self._parts[::-1]

    def _argument(self, name):
        return getattr(self if name in ("num_features", "ratio", "order") else self.BN, name)

    def train(self, mode: bool = True):
        """Set ``training`` of the layer and both parts, and return the layer."""
        self.IN.train(mode)
        self.BN.train(mode)
        return super().train(mode)

    def reset_running_stats(self) -> None:
        """Those of the batch norm."""
        self.BN.reset_running_stats()

    def _calibrated(self):
        return self.BN._calibrated()

    def _arrays(self):
        return {**self.IN.state_dict("IN."), **self.BN.state_dict("BN.")}

    def __call__(
        self, x: Array, out: Maybe = None, pre_add: Maybe = None, post_add: Maybe = None, *, sum_out: Maybe = None
    ) -> Array:
        """Normalize ``x``; see `instance_norm` and `batch_norm`."""
        self._check(x, out, pre_add, post_add, sum_out)
        if out is not None or sum_out is not None:
            self.BN(
                x[:0][self._bn_part]
            )  # an empty batch: what it refuses, it refuses before the other part is written
        y = np.empty_like(x, subok=False) if out is None else out
        for part, norm in ((self._in_part, self.IN), (self._bn_part, self.BN)):
            norm(
                x[part],
                y[part],
                None if pre_add is None else pre_add[part],
                None if post_add is None else post_add[part],
                sum_out=None if sum_out is None else sum_out[part],
            )
        return y

    def _check(self, x, out, pre_add, post_add, sum_out) -> None:
        """What the parts cannot see: whole shapes, and that no part's result falls on the other's input."""
        axis = 1 if self.BN.layout == "NCHW" else -1
        if _checks.floats(x, "x").ndim < 2 or x.shape[axis] != self.num_features:
            raise ValueError(f"x: expected {self.num_features} channels at axis {axis}, got shape {x.shape}")
        given = [("x", x)]
        for name, array in (("out", out), ("pre_add", pre_add), ("post_add", post_add), ("sum_out", sum_out)):
            if array is None:
                continue
            if _checks.floats(array, name).shape != x.shape:
                raise ValueError(f"{name}: expected the shape of x, {x.shape}, got {array.shape}")
            given.append((name, array))
        for name, written in (("out", out), ("sum_out", sum_out)):
            for other, array in given if written is not None else ():
                if array is not written and np.may_share_memory(written, array) and not _same(written, array):
                    raise ValueError(f"{name}: overlaps {other} in memory without being exactly {other}")


def _same(a: Array, b: Array) -> bool:
    """Whether two arrays of one shape are the same memory, element for element."""
    return a.strides == b.strides and a.__array_interface__["data"] == b.__array_interface__["data"]


@document
class EvoNormB0(_Layer):
    """EvoNorm-B0, normalization and activation in one, with running variance.

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
    H. Liu et al., "Evolving Normalization-Activation Layers", 2020, arXiv:2004.02967; timm's ``EvoNorm2dB0``.

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
        num_features: int,
        eps: float = 1e-3,
        momentum: float = 0.1,
        *,
        apply_act: bool = True,
        layout: str = "NCHW",
    ) -> None:
        self.num_features = size = _checks.integer(num_features, "num_features")
        self.eps = _checks.number(eps, "eps")
        self.momentum = _checks.number(momentum, "momentum")
        self.apply_act = _checks.flag(apply_act, "apply_act")
        self.layout = _checks.choice(layout, "layout", _checks.LAYOUTS)
        self.weight, self.bias, self.running_var = _full(size, 1), _full(size, 0), _full(size, 1)
        self.v = _full(size, 1) if apply_act else None

    def __call__(self, x: Array, out: Maybe = None) -> Array:
        """Normalize and activate ``x``; see `evonorm_b0`."""
        if self._observer is not None:
            return self._observed(x, out)
        return _native.evonorm_b0(
            x, self.running_var, self.weight, self.bias, self.v, self.training, self.momentum, self.eps, self.layout,
            out,
        )  # fmt: skip

    def _observed(self, x, out):
        seen = _seen(self, x)  # first: out may be x
        y = _native.evonorm_b0(
            x, self.running_var.copy(), self.weight, self.bias, self.v, True, 0.0, self.eps, self.layout, out
        )  # fmt: skip
        self._observer(seen)
        return y

    def reset_running_stats(self) -> None:
        """Variance 1."""
        self.running_var[...] = 1

    def _calibrated(self):
        return (self,) if self.v is not None else ()

    def _kept(self, moments: Moments) -> dict[str, NDArray[np.float64]]:
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
    H. Liu et al., "Evolving Normalization-Activation Layers", 2020, arXiv:2004.02967; timm's ``EvoNorm2dS0``.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> normcy.EvoNormS0(1, 1)(np.array([[[1, 3]]], np.float32)).round(2)
    array([[[0.73, 2.86]]], dtype=float32)
    """

    _keys = ("weight", "bias", "v")

    def __init__(
        self,
        num_features: int,
        num_groups: int = 32,
        eps: float = 1e-5,
        *,
        apply_act: bool = True,
        layout: str = "NCHW",
    ) -> None:
        self.num_features = size = _checks.integer(num_features, "num_features")
        self.num_groups = _groups(num_groups, size)
        self.eps = _checks.number(eps, "eps")
        self.apply_act = _checks.flag(apply_act, "apply_act")
        self.layout = _checks.choice(layout, "layout", _checks.LAYOUTS)
        self.weight, self.bias = _full(size, 1), _full(size, 0)
        self.v = _full(size, 1) if apply_act else None

    def __call__(self, x: Array, out: Maybe = None) -> Array:
        """Normalize and activate ``x``; see `evonorm_s0`."""
        return _native.evonorm_s0(
            x, self.num_groups, self.weight, self.bias, self.v, self.eps, self.layout, out
        )  # fmt: skip


@document
class BatchRenorm(_Layer):
    """Batch renormalization: batch statistics, corrected towards the running ones within limits that widen.

    Parameters
    ----------
    num_features : int
        Channels, C.
    eps : float, default 1e-3
        Added to the batch's variance under the square root; the running deviation contains it.
    momentum : float or None, default 0.01
        Weight of the new batch in the running statistics; None is the average of all batches so far.
    $layer_affine
    $layer_layout
    $layer_activation
    decay : float, optional
        Instead of ``momentum``: weight of the old statistics, Keras' momentum.

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
    S. Ioffe, "Batch Renormalization", 2017, arXiv:1702.03275.

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
    decay = None  # momentum holds it

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-3,
        momentum: float | None = _RENORM_MOMENTUM,
        affine: bool = True,
        *,
        layout: str = "NCHW",
        activation: str | None = None,
        decay: float | None = None,
    ) -> None:
        self.num_features = size = _checks.integer(num_features, "num_features")
        self.eps = _checks.number(eps, "eps")
        self.momentum = _pace(momentum, decay, _RENORM_MOMENTUM)
        self.affine = _checks.flag(affine, "affine")
        self.layout = _checks.choice(layout, "layout", _checks.LAYOUTS)
        self.activation = _checks.choice(activation, "activation", _checks.ACTIVATIONS)
        self.weight, self.bias = (_full(size, 1), _full(size, 0)) if affine else (None, None)
        self.running_mean, self.running_std = _full(size, 0), _full(size, 1)
        self.num_batches_tracked = np.zeros((), np.int64)

    def limits(self, step: int | None = None) -> tuple[float, float]:
        """``r_max`` and ``d_max`` of the paper's schedule.

        Up to step 5000 they are 1 and 0, which is batch norm; then ``r_max`` grows evenly to 3 at step 40,000, and
        ``d_max`` to 5 at step 25,000.

        Parameters
        ----------
        step : int, optional
            Training steps done; ``num_batches_tracked`` by default.

        Returns
        -------
        r_max, d_max : float
        """
        done = (self.num_batches_tracked.item() if step is None else _checks.integer(step, "step", least=0)) - 5000
        if done <= 0:
            return 1.0, 0.0
        return 1 + 2 * min(done / 35000, 1.0), 5 * min(done / 20000, 1.0)

    def __call__(self, x: Array, out: Maybe = None) -> Array:
        """Normalize ``x``, in training within `limits`; see `batch_renorm`."""
        if self._observer is not None:
            return self._observed(x, out)
        training, momentum, count = self.training, self.momentum, self.num_batches_tracked
        r_max, d_max = self.limits() if training else (1.0, 0.0)
        if momentum is None:
            momentum = 1 / (count.item() + 1)
        y = _native.batch_renorm(
            x, self.running_mean, self.running_std, self.weight, self.bias, training, momentum, self.eps,
            r_max, d_max, self.layout, self.activation, out,
        )  # fmt: skip
        if training and x.size:
            count[...] = count.item() + 1
        return y

    def _observed(self, x, out):
        """Limits of 1 and 0 are batch norm."""
        seen = _seen(self, x)  # first: out may be x
        y = _native.batch_renorm(
            x, self.running_mean.copy(), self.running_std.copy(), self.weight, self.bias, True, 0.0, self.eps,
            1.0, 0.0, self.layout, self.activation, out,
        )  # fmt: skip
        self._observer(seen)
        return y

    def reset_running_stats(self) -> None:
        """Mean 0, deviation 1 and count 0."""
        self.running_mean[...], self.running_std[...], self.num_batches_tracked[...] = 0, 1, 0

    def _calibrated(self):
        return (self,)

    def _kept(self, moments: Moments) -> dict[str, NDArray[np.float64]]:
        return {"running_mean": moments.mean, "running_std": np.sqrt(moments.var() + self.eps)}


@document
class WeightNorm(_Layer):
    """Weight normalization: a weight as direction and length, ``weight_g * weight_v / ||weight_v||``.

    A call takes no input and returns the weight. `of` splits an existing weight up.

    Parameters
    ----------
    shape : int or sequence of int
        Shape of the weight.
    dim : int or None, default 0
        The axis along which lengths are kept: 0 for a convolution or linear layer's outputs, 1 for a transposed
        convolution's. Negative ones count from the end; None keeps one length of the whole array.

    Raises
    ------
    $layer_raises

    See Also
    --------
    weight_norm : what a call computes.

    Notes
    -----
    ``weight_v`` (ones until loaded) is float32 of ``shape``, ``weight_g`` of the same with length 1 but along ``dim``,
    or () for None. Both are PyTorch's names and shapes; ``parametrizations.weight.original0`` and ``original1`` are
    read too. In PyTorch a ``dim`` of -1 means None; here it is the last axis.

    References
    ----------
    T. Salimans, D. Kingma, "Weight Normalization", 2016, arXiv:1602.07868; ``torch.nn.utils.weight_norm``.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> layer = normcy.WeightNorm.of(np.array([[3, 4], [6, 8]], np.float32))
    >>> layer
    WeightNorm((2, 2))
    >>> layer.weight_g.ravel()
    array([ 5., 10.], dtype=float32)
    >>> layer.weight_g[0] = 1
    >>> layer().round(3)
    array([[0.6, 0.8],
           [6. , 8. ]], dtype=float32)
    """

    _keys = ("weight_g", "weight_v")
    _aliases: ClassVar = {
        "parametrizations.weight.original0": "weight_g",
        "parametrizations.weight.original1": "weight_v",
    }

    def __init__(self, shape: int | Sequence[int], dim: int | None = 0) -> None:
        self.shape, self.dim = _checks.shape(shape, "shape"), dim
        rank = len(self.shape)
        if dim is not None and not -rank <= _checks.integer(dim, "dim", least=-rank) < rank:
            raise ValueError(f"dim: expected an axis of the {rank} of shape, or None, got {dim}")
        self.weight_v = _full(self.shape, 1)
        self.weight_g = self._lengths()

    @classmethod
    def of(cls, weight: Array, dim: int | None = 0) -> WeightNorm:
        """Split a weight up: ``weight_v`` is its copy, ``weight_g`` its lengths.

        Parameters
        ----------
        weight : ndarray of float32
            Any rank from 1 up.
        dim : int or None, default 0
            As in the constructor.

        Returns
        -------
        WeightNorm

        Raises
        ------
        TypeError, ValueError
            If ``weight`` is not a float32 array, or ``dim`` none of its axes.
        """
        layer = cls(_checks.floats(weight, "weight").shape, dim)
        layer.weight_v[...] = weight
        layer.weight_g = layer._lengths()
        return layer

    def _lengths(self) -> Array:
        """||weight_v|| as PyTorch shapes it."""
        rank = len(self.shape)
        axes = tuple(axis for axis in range(rank) if self.dim is None or axis != self.dim % rank)
        mean, var = _native.moments(self.weight_v, axes, 0, self.dim is not None)
        count = np.prod([self.shape[axis] for axis in axes], dtype=np.float64)
        return np.asarray(np.sqrt((var + mean * mean) * count), np.float32)

    def __call__(self, out: Maybe = None) -> Array:
        """The weight; see `weight_norm`."""
        return _native.weight_norm(self.weight_v, self.weight_g, self.dim, out)
