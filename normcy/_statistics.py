"""Statistics over several batches: their exact merge, and the momentum for a forward pass that runs more than once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from normcy import _checks, _native
from normcy._arithmetic import by_default_rules
from normcy._types import Array, Convention, Float64, Layout, Number, Size

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Moments", "checkpoint_momentum"]


class Moments:
    """Count, mean and squared deviations of each channel, in float64: statistics that can be added up.

    Parts of a data set, in any split and any order of merging, give the mean of the whole to 1e-12 of
    ``max(abs(mean), std)`` and its variance to 1e-8, also where the mean is a million standard deviations. Calibration,
    AdaBN and synchronized batch norm exchange such statistics. A new instance is empty, and merging an empty one
    changes nothing.

    Parameters
    ----------
    num_features : int
        The number of channels, C.

    Raises
    ------
    TypeError, ValueError
        If ``num_features`` is not an int from 0 up.

    See Also
    --------
    recalibrate : running statistics of layers from data.

    Notes
    -----
    An infinity makes the mean of its own channel infinite, and its variance NaN; a NaN or infinities of both signs make
    both NaN. Other channels are not affected, and the order of merging does not matter. Instances compare by identity.
    Pickles take 16 bytes for each channel.

    References
    ----------
    Chan, Golub, LeVeque: "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> x = np.arange(24, dtype=np.float32).reshape(4, 3, 2)
    >>> parts = [normcy.Moments.of(x[:1]), normcy.Moments.of(x[1:])]
    >>> whole = sum(parts)
    >>> whole
    <Moments of 3 channels: count 8>
    >>> whole.mean
    array([ 9.5, 11.5, 13.5])
    >>> whole.var(correction=1).round(3)
    array([51.714, 51.714, 51.714])
    """

    __slots__ = ("_m2", "_mean", "count")

    count: int
    """Values in each channel."""

    def __init__(self, num_features: Size) -> None:
        channels = _checks.integer(num_features, "num_features", least=0)
        self.count = 0
        self._mean, self._m2 = (_checks.full(channels, 0, "num_features", np.float64) for _ in range(2))

    @classmethod
    @by_default_rules
    def of(cls, x: Array, layout: Layout = "NCHW") -> Self:
        """Moments of one array.

        Parameters
        ----------
        x : ndarray of float32, shape (N, C, ...) or (N, ..., C)
            Input of rank 2 or more.
        layout : {"NCHW", "NHWC"}, default "NCHW"
            Where the channels are: at axis 1, or last.

        Returns
        -------
        Moments

        Raises
        ------
        TypeError, ValueError
            If ``x`` is not a float32 array of rank 2 or more, or ``layout`` not one of the two.
        """
        _checks.floats(x, "x")
        layout = _checks.choice(layout, "layout", _checks.LAYOUTS)
        if x.ndim < 2:
            raise ValueError(f"x: expected an array of rank 2 or more, (N, C, ...), got shape {x.shape}")
        channel = 1 if layout == "NCHW" else x.ndim - 1
        found = cls(x.shape[channel])
        count = math.prod(n for axis, n in enumerate(x.shape) if axis != channel)
        if count:
            axes = tuple(axis for axis in range(x.ndim) if axis != channel)
            mean, var = _native.moments(x, axes, 0, False)
            found.count, found._mean, found._m2 = count, mean, var * count
        return found

    @property
    def num_features(self) -> int:
        """The number of channels."""
        return len(self._mean)

    def update(self, x: Array, layout: Layout = "NCHW") -> Self:
        """Add the values of ``x``, which has the form that `of` takes; returns self."""
        _checks.channels(x, _checks.choice(layout, "layout", _checks.LAYOUTS), self.num_features)
        return self.merge(Moments.of(x, layout))

    def merge(self, other: Moments) -> Self:
        """Add the values that ``other`` has counted; returns self.

        Raises
        ------
        TypeError, ValueError
            If ``other`` is not a `Moments`, or has another number of channels. Nothing has changed then.
        """
        if not isinstance(other, Moments):
            raise TypeError(f"other: expected Moments, got {type(other).__name__}")
        if other.num_features != self.num_features:
            raise ValueError(f"other: expected {self.num_features} channels, got {other.num_features}")
        if other.count and self.count:
            self._combine(other)
        elif other.count:
            self.count, self._mean, self._m2 = other.count, other._mean + 0.0, other._m2 + 0.0
        return self

    @by_default_rules
    def _combine(self, other: Moments) -> None:
        count = self.count + other.count
        delta = other._mean - self._mean
        mean = self._mean + delta * (other.count / count)
        m2 = self._m2 + other._m2 + delta * delta * (self.count / count * other.count)
        infinite = ~(np.isfinite(self._mean) & np.isfinite(other._mean))
        # The mean of infinities is their sum, in any order; differences between them would make it NaN.
        np.copyto(mean, self._mean + other._mean, where=infinite)
        np.copyto(m2, np.nan, where=infinite)
        self.count, self._mean, self._m2 = count, mean, m2

    def __add__(self, other: Moments) -> Moments:
        if not isinstance(other, Moments):
            return NotImplemented
        return self._copy().merge(other)

    def __radd__(self, other: int) -> Moments:
        """Return 0 + moments, with which `sum` starts."""
        return self._copy() if type(other) is int and other == 0 else NotImplemented

    def _copy(self) -> Moments:
        return Moments(self.num_features).merge(self)

    @property
    def mean(self) -> Float64:
        """Mean of each channel, (C,), as a copy; NaN if nothing was counted."""
        return self._mean.copy() if self.count else np.full(self.num_features, np.nan)

    @by_default_rules
    def var(self, correction: Number = 0) -> Float64:
        """Variance of each channel, (C,), over ``count - correction``; 1 gives the unbiased variance."""
        return self._m2 / max(self.count - _checks.number(correction, "correction"), 0.0)

    @by_default_rules
    def std(self, correction: Number = 0) -> Float64:
        """Square root of `var`."""
        return np.sqrt(self.var(correction))

    def state(self) -> dict[str, NDArray[Any]]:
        """A dict of arrays to store or to send: ``count`` () int64, ``mean`` and ``m2`` (C,) float64."""
        return {"count": np.array(self.count, np.int64), "mean": self._mean.copy(), "m2": self._m2.copy()}

    @classmethod
    @by_default_rules
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The moments whose `state` is given.

        Parameters
        ----------
        state : mapping
            ``count``, ``mean`` and ``m2``: arrays, or objects that ``np.asarray`` converts.

        Returns
        -------
        Moments

        Raises
        ------
        TypeError, ValueError
            If ``state`` is no mapping, has other keys, or arrays of other shapes or with masks; or if the count is 0
            and the rest is not.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"state: expected a mapping, got {type(state).__name__}")
        if set(state) != {"count", "mean", "m2"}:
            keys = ", ".join(key if isinstance(key, str) else _checks.shown(key) for key in state)
            raise ValueError(f"state: expected the keys count, mean and m2, got {keys}")
        count, mean, m2 = (_read(state, key) for key in ("count", "mean", "m2"))
        if count.shape != () or count.dtype.kind not in "iu" or not 0 <= count <= np.iinfo(np.int64).max:
            raise ValueError(f"state: expected count to be one integer from 0 up, got {count!r}")
        if mean.ndim != 1 or mean.shape != m2.shape:
            raise ValueError(f"state: expected mean and m2 of one shape (C,), got {mean.shape} and {m2.shape}")
        if np.any(m2 < 0):
            raise ValueError(f"state: expected sums of squares, m2, from 0 up, got {m2.min()}")
        if count == 0 and (mean.any() or m2.any()):
            raise ValueError(
                "state: expected mean and m2 to be all 0 where count is 0, got others; nothing was counted"
            )
        found = cls(len(mean))
        found.count, found._mean, found._m2 = int(count), mean.astype(np.float64), m2.astype(np.float64)
        return found

    def __repr__(self) -> str:
        return f"<Moments of {self.num_features} channels: count {self.count}>"


def _read(state: Mapping[str, Any], key: str) -> NDArray[Any]:
    try:
        given = state[key]
        array = np.asarray(given)
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(f"state: expected {key} to be an array, got an error: {error}") from error
    if isinstance(given, np.ma.MaskedArray):
        raise TypeError(f"state: expected {key} to be {_checks.UNMASKED}")
    if array.dtype.kind not in "biuf":
        raise TypeError(f"state: expected {key} to hold numbers, got dtype {array.dtype}")
    return array


@by_default_rules
def checkpoint_momentum(momentum: Number, times: Size = 2, *, convention: Convention = "pytorch") -> float:
    """The momentum with which ``times`` updates have the effect of one update with ``momentum``.

    Activation checkpointing runs the forward pass again in the backward pass, so that running statistics are updated
    twice with the same batch, and move too far.

    Parameters
    ----------
    momentum : float
        From 0 to 1, in the convention named.
    times : int, default 2
        How often each batch's forward pass runs.
    convention : {"pytorch", "keras"}, default "pytorch"
        Whether momentum is the weight of the new batch (PyTorch, normcy) or that of the old statistics, also called
        decay (Keras, Flax, ONNX).

    Returns
    -------
    float
        ``1 - (1 - momentum) ** (1 / times)``; for Keras, ``momentum ** (1 / times)``.

    Raises
    ------
    TypeError, ValueError
        If ``momentum`` is not a number from 0 to 1, ``times`` not an int from 1 up, or ``convention`` neither.

    Notes
    -----
    ``num_batches_tracked`` still counts every run. A cumulative average (``momentum=None``) needs no correction if
    every batch runs equally often.

    Examples
    --------
    >>> import normcy
    >>> round(normcy.checkpoint_momentum(0.1), 6)
    0.051317
    >>> round(normcy.checkpoint_momentum(0.9, convention="keras"), 6)
    0.948683
    """
    momentum = _checks.number(momentum, "momentum")
    times = _checks.integer(times, "times")
    convention = _checks.choice(convention, "convention", ("pytorch", "keras"))
    if not 0 <= momentum <= 1:
        raise ValueError(f"momentum: expected a number from 0 to 1, got {momentum}")
    if convention == "keras":
        return momentum ** (1 / times)
    return 1.0 if momentum == 1 else -math.expm1(math.log1p(-momentum) / times)  # expm1 keeps the digits
