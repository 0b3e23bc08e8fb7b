"""IBN: instance norm of one part of the channels, and batch norm of the others."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from normcy import _checks, _native
from normcy._arithmetic import by_default_rules
from normcy._docs import document
from normcy._layers.base import Calibrated, _Layer
from normcy._layers.tracking import _MOMENTUM, BatchNorm, InstanceNorm
from normcy._types import Activation, Array, Flag, Layout, Maybe, Number, Order, Size

if TYPE_CHECKING:
    from typing_extensions import Self


@document
class IBN(_Layer):
    """IBN-a: instance normalization of one part of the channels, batch normalization of the others.

    Parameters
    ----------
    num_features : int
        Channels, C.
    ratio : float, default 0.5
        Share of the channels that are instance normalized, from 0 to 1.
    order : {"in_first", "bn_first"}, default "in_first"
        Either the first ``int(C * ratio)`` channels are instance normalized (ResNet-IBN), or the first
        ``int(C * (1 - ratio))`` are batch normalized (DenseNet-IBN).
    eps : float, default 1e-5
        The eps of both parts.
    momentum, decay : float
        Those of the batch norm, as in `BatchNorm`.
    $layer_layout
    $layer_activation
    unbiased_running_var : bool, default True
        That of the batch norm, as in `BatchNorm`.

    Attributes
    ----------
    IN : InstanceNorm
        The instance norm, affine and without running statistics.
    BN : BatchNorm
        The batch norm, affine and with running statistics.

    Raises
    ------
    $layer_raises

    Notes
    -----
    Any number of channels and any ratio work, also those that the authors' ``torch.split`` refuses. IBN-b, an instance
    norm after the residual, is ``InstanceNorm(C, affine=True, activation="relu")`` called with ``pre_add=``.

    References
    ----------
    Pan, Luo, Shi, Tang: "Two at Once: Enhancing Learning and Generalization Capacities via IBN-Net", 2018,
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

    @by_default_rules
    def __init__(
        self,
        num_features: Size,
        ratio: Number = 0.5,
        *,
        order: Order = "in_first",
        eps: Number = 1e-5,
        momentum: Number | None = _MOMENTUM,
        layout: Layout = "NCHW",
        activation: Activation = None,
        decay: Number | None = None,
        unbiased_running_var: Flag = True,
    ) -> None:
        self.num_features: int = _checks.integer(num_features, "num_features")
        self.ratio: float = _checks.number(ratio, "ratio")
        self.order: Order = _checks.choice(order, "order", ("in_first", "bn_first"))
        if not 0 <= self.ratio <= 1:
            raise ValueError(f"ratio: expected a number from 0 to 1, got {ratio}")
        size, in_first = self.num_features, self.order == "in_first"
        first = int(size * (self.ratio if in_first else 1 - self.ratio))
        sizes = (first, size - first) if in_first else (size - first, first)
        self.IN: InstanceNorm = InstanceNorm(sizes[0], eps, affine=True, layout=layout, activation=activation)
        self.BN: BatchNorm = BatchNorm(
            sizes[1], eps, momentum, layout=layout, activation=activation, decay=decay,
            unbiased_running_var=unbiased_running_var,
        )  # fmt: skip
        before, after = slice(None, first), slice(first, None)
        lead = (slice(None),) if self.BN.layout == "NCHW" else (Ellipsis,)
        self._parts = [lead + (before,), lead + (after,)]
        self._in_part, self._bn_part = self._parts if in_first else self._parts[::-1]

    def _argument(self, name: str) -> Any:
        return getattr(self if name in ("num_features", "ratio", "order") else self.BN, name)

    def train(self, mode: Flag = True) -> Self:
        """Set ``training`` of the layer and both parts, and return the layer."""
        self.IN.train(mode)
        self.BN.train(mode)
        return super().train(mode)

    def reset_running_stats(self) -> None:
        """Reset the running statistics of the batch norm."""
        self.BN.reset_running_stats()

    def __copy__(self) -> Self:
        """Copy the layer and its halves, but not their arrays: each has its own mode and its own recalibrate()."""
        copied = type(self).__new__(type(self))
        vars(copied).update(self.__getstate__(), IN=copy.copy(self.IN), BN=copy.copy(self.BN))
        return copied

    def _whole(self) -> tuple[_Layer, ...]:
        return self, self.IN, self.BN

    def _calibrated(self) -> tuple[Calibrated, ...]:
        return self.BN._calibrated()

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {**self.IN.state_dict("IN."), **self.BN.state_dict("BN.")}

    def __call__(
        self, x: Array, out: Maybe = None, pre_add: Maybe = None, post_add: Maybe = None, *, sum_out: Maybe = None
    ) -> Array:
        """Normalize ``x``; see `instance_norm` and `batch_norm`."""
        self._check(x, out, pre_add, post_add, sum_out)
        y = np.empty_like(x, subok=False) if out is None else out
        written = [array for array in (out, sum_out) if array is not None]
        parameters = [v for v in (self.BN.weight, self.BN.bias) if v is not None]
        if written and all(isinstance(v, np.ndarray) and v.ndim == 1 for v in parameters):
            # With an empty batch, batch norm refuses wrong arguments before the other part is written.
            self.BN(x[:0][self._bn_part])
            written = []
        aside = [(array[self._in_part], array[self._in_part].copy()) for array in written]
        try:
            for part, norm in ((self._in_part, self.IN), (self._bn_part, self.BN)):
                norm(
                    x[part],
                    y[part],
                    None if pre_add is None else pre_add[part],
                    None if post_add is None else post_add[part],
                    sum_out=None if sum_out is None else sum_out[part],
                )
        except BaseException:
            for array, before in aside:
                array[...] = before
            raise
        return y

    def _check(self, x: Array, out: Maybe, pre_add: Maybe, post_add: Maybe, sum_out: Maybe) -> None:
        """Checks what the parts cannot: whole arrays, and that no part writes to memory that the other reads."""
        _checks.channels(x, self.BN.layout, self.num_features)
        given = [("x", x)]
        for name, array in (("out", out), ("pre_add", pre_add), ("post_add", post_add), ("sum_out", sum_out)):
            if array is None:
                continue
            if _checks.floats(array, name).shape != x.shape:
                raise ValueError(f"{name}: expected the shape of x, {x.shape}, got {array.shape}")
            given.append((name, array))
        own = self._arrays()
        for name, written in (("out", out), ("sum_out", sum_out)):
            if written is not None:
                _native.writeable(written, name)
                _apart(name, written, given, _same)
                _apart(name, written, own.items())
        for name in ("BN.running_mean", "BN.running_var") if self.BN.training else ():
            if isinstance(own.get(name), np.ndarray):
                _apart(name, own[name], [*given, *own.items()])


def _apart(
    name: str,
    written: Array,
    others: Iterable[tuple[str, NDArray[Any]]],
    same: Callable[[Array, Array], bool] | None = None,
) -> None:
    """Refuse arrays that share memory with an output, except itself and arrays for which `same` is true."""
    for other, array in others:
        if other == name or not isinstance(array, np.ndarray):  # the parts refuse other objects
            continue
        if np.may_share_memory(written, array) and not (same and same(written, array)):
            how = f"overlaps {other} in memory without being exactly {other}" if same else f"shares memory with {other}"
            raise ValueError(f"{name}: {how}")


def _same(a: Array, b: Array) -> bool:
    """Returns whether two arrays of one shape are the same memory, element by element."""
    return a.strides == b.strides and a.__array_interface__["data"] == b.__array_interface__["data"]
