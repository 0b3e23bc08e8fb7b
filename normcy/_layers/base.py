"""The base classes of all layers, and functions that several constructors use."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from normcy import _checks
from normcy._arithmetic import by_default_rules
from normcy._layers import state
from normcy._statistics import Moments
from normcy._types import Array, Flag, Float64, Layout, Maybe, Number, Size

if TYPE_CHECKING:
    from typing_extensions import Self

Observer = Callable[[Moments], None]  # gets the moments of each call


class Calibrated(Protocol):
    """Layers whose running statistics recalibrate() replaces."""

    num_features: int
    layout: Layout
    _observer: Observer | None

    def _arrays(self) -> dict[str, NDArray[Any]]: ...

    def _kept(self, moments: Moments) -> dict[str, Float64]:
        """Returns the running statistics that the layer stores for these moments."""


class _Layer:
    """The base class of all layers: the training flag, the state dict, and a repr that rebuilds the layer."""

    _keys: ClassVar[tuple[str, ...]] = ()  # attributes that the state dict holds, in PyTorch's order
    _in_a_layer: ClassVar[bool] = False  # whether its prefix is shared with another layer, whose keys are ignored
    _observer: Observer | None = None  # set while recalibrate() runs
    training: bool = True

    def train(self, mode: Flag = True) -> Self:
        """Set ``training`` and return the layer."""
        self.training = _checks.flag(mode, "mode")
        return self

    def eval(self) -> Self:
        """Clear ``training`` and return the layer."""
        return self.train(False)

    def reset_running_stats(self) -> None:
        """Reset running statistics and their count to those of a new layer, if there are any."""

    def __getstate__(self) -> dict[str, Any]:
        """The state of copies and pickles, without the observer, which belongs to a running recalibrate()."""
        return {name: value for name, value in vars(self).items() if name != "_observer"}

    def _whole(self) -> tuple[_Layer, ...]:
        """This layer and the layers that are parts of it."""
        return (self,)

    def _calibrated(self) -> tuple[Calibrated, ...]:
        """This layer, or the parts of it, whose running statistics recalibrate() replaces."""
        return ()

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {key: getattr(self, key) for key in self._keys if getattr(self, key) is not None}

    def state_dict(self, prefix: str = "") -> dict[str, NDArray[Any]]:
        """The layer's arrays, not copies, by PyTorch's names with ``prefix`` in front."""
        prefix = _checks.text(prefix, "prefix")
        return {prefix + key: array for key, array in self._arrays().items()}

    def load_state_dict(self, mapping: state.Readable, prefix: str = "", strict: Flag = True) -> state.IncompatibleKeys:
        """Copy values into the layer's arrays.

        Keys have PyTorch's names, as in `state_dict`, or those of other frameworks: ``gamma``, ``beta``,
        ``moving_mean``, ``moving_variance`` (Keras; BERT's layer norms); ``scale``, ``mean``, ``var`` (Flax);
        ``scale``, ``Scale``, ``B``, ``input_mean``, ``input_var`` (ONNX). Each is read if the layer has the array that
        it means; a variance is never read as a ``running_std``.

        Parameters
        ----------
        mapping : mapping of str to array
            A result of `state_dict`, a dict of another framework, or an open file of NumPy or safetensors. Values are
            objects that ``np.asarray`` converts, or tensors of torch on the CPU. They are cast to the layer's dtype:
            values beyond float32 become infinite. ``num_batches_tracked`` may be missing and then stays as it is.
        prefix : str, default ""
            Only keys that begin with it are read; it is removed from them.
        strict : bool, default True
            Whether missing and unexpected keys are errors; if not, the other keys are loaded.

        Returns
        -------
        missing_keys, unexpected_keys : list of str
            A named tuple, as PyTorch returns it: whole keys, with their prefix.

        Raises
        ------
        TypeError
            If ``mapping`` is not a mapping, ``prefix`` not a str, or ``strict`` not a bool.
        ValueError
            If a value is masked, is not numeric or has another shape, or a key is given under two names; if ``strict``,
            also if keys are missing or unexpected, in which case the message suggests prefixes that would fit. The
            message lists all problems, and nothing has changed.

        Examples
        --------
        >>> import normcy
        >>> layer = normcy.BatchNorm(2)
        >>> layer.load_state_dict({"bn/gamma": [3, 4], "bn/beta": [5, 6]}, prefix="bn/", strict=False)
        IncompatibleKeys(missing_keys=['bn/running_mean', 'bn/running_var'], unexpected_keys=[])
        >>> keras = {"gamma": [1, 2], "beta": [0, 0], "moving_mean": [7, 8], "moving_variance": [1, 1]}
        >>> found = layer.load_state_dict(keras)
        >>> layer.weight, layer.running_mean
        (array([1., 2.], dtype=float32), array([7., 8.], dtype=float32))
        """
        return state.load(self, mapping, _checks.text(prefix, "prefix"), _checks.flag(strict, "strict"))

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


class _Counting(_Layer):
    """Layers that count the batches in their running statistics. Calls read ``_count``, which was checked when set."""

    _count: NDArray[np.int64] | None

    @property
    def num_batches_tracked(self) -> NDArray[np.int64] | None:
        """The number of batches, an array of shape (); with None they are not counted."""
        return self._count

    @num_batches_tracked.setter
    def num_batches_tracked(self, count: NDArray[np.int64] | None) -> None:
        is_array = isinstance(count, np.ndarray) and count.dtype == np.int64 and count.shape == ()
        if count is not None and not (is_array and count.flags.writeable):
            got = _checks.describe(count)
            raise TypeError(f"num_batches_tracked: expected a writeable numpy.ndarray of int64, shape (), got {got}")
        self._count = count


@by_default_rules
def _pace(momentum: Number | None, decay: Number | None, default: float) -> float | None:
    """Returns the weight of a new batch, from momentum or Keras' decay, of which one may be given."""
    if decay is None:
        return None if momentum is None else _checks.number(momentum, "momentum")
    if momentum is not default:
        got = f"{_checks.shown(momentum)} and {_checks.shown(decay)}"
        raise ValueError(f"decay: expected either momentum or decay (1 - momentum), got both, {got}")
    return 1 - _checks.number(decay, "decay")


def _reset(layer: _Layer, **values: float) -> None:
    """Fills those of the named arrays that the layer has, or none of them if one cannot be written."""
    arrays = {name: getattr(layer, name) for name in values if getattr(layer, name) is not None}
    for name, array in arrays.items():
        if not (isinstance(array, np.ndarray) and array.flags.writeable):
            raise ValueError(f"{name}: expected a writeable numpy.ndarray, got {_checks.describe(array)}")
    for name, array in arrays.items():
        array[...] = values[name]


def _full(size: int | tuple[int, ...], value: float, name: str = "num_features") -> Array:
    return _checks.full(size, value, name)


def _groups(num_groups: Size, channels: int) -> int:
    groups = _checks.integer(num_groups, "num_groups")
    if channels % groups:
        raise ValueError(f"num_groups: expected a divisor of the {channels} channels, got {groups}")
    return groups


@by_default_rules
def _seen(layer: Calibrated, x: Array, pre_add: Maybe = None) -> Moments:
    """Returns the moments of the array that a call normalizes, x or x + pre_add."""
    _checks.channels(x, layer.layout, layer.num_features)
    if pre_add is not None:
        if _checks.floats(pre_add, "pre_add").shape != x.shape:
            raise ValueError(f"pre_add: expected the shape of x, {x.shape}, got {pre_add.shape}")
        x = np.add(x, pre_add)
    return Moments.of(x, layer.layout)
