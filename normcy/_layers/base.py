"""What all layers share: the training flag, the state dict, the repr; and what several are built with."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from normcy import _checks
from normcy._arithmetic import by_default_rules
from normcy._layers import state
from normcy._statistics import Moments

Array = NDArray[np.float32]
Maybe = Array | None


class _Layer:
    """What all layers share: the training flag, the state dict, and a repr that rebuilds them."""

    _keys: ClassVar[tuple[str, ...]] = ()  # attributes that the state dict holds, in PyTorch's order
    _in_a_layer: ClassVar[bool] = False  # whether other keys under its prefix are those of the layer that it is in
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

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles take along: not the observer, which belongs to a recalibrate() that runs."""
        return {name: value for name, value in vars(self).items() if name != "_observer"}

    def _whole(self) -> tuple[_Layer, ...]:
        """This layer, and those that it is made of."""
        return (self,)

    def _calibrated(self) -> tuple[_Layer, ...]:
        """The layers in here whose running statistics are those of batches."""
        return ()

    def _arrays(self) -> dict[str, np.ndarray]:
        return {key: getattr(self, key) for key in self._keys if getattr(self, key) is not None}

    def state_dict(self, prefix: str = "") -> dict[str, np.ndarray]:
        """The layer's own arrays by PyTorch's names, ``prefix`` in front; not copies."""
        prefix = _checks.text(prefix, "prefix")
        return {prefix + key: array for key, array in self._arrays().items()}

    def load_state_dict(
        self, mapping: Mapping[str, Any], prefix: str = "", strict: bool = True
    ) -> state.IncompatibleKeys:
        """Copy values into the layer's arrays.

        Keys have PyTorch's names, as in `state_dict`, or those of other frameworks: ``gamma``, ``beta``,
        ``moving_mean``, ``moving_variance`` (Keras; BERT's layer norms); ``scale``, ``mean``, ``var`` (Flax);
        ``scale``, ``B``, ``input_mean``, ``input_var`` (ONNX). Each is read where the layer has what it means; a
        variance never means a ``running_std``.

        Parameters
        ----------
        mapping : mapping of str to array
            What `state_dict` returns, a dict of another framework, or an open file of NumPy or safetensors. Values are
            what ``np.asarray`` reads, or tensors of torch on the CPU, and are cast to the layer's dtype: what is beyond
            float32 becomes infinite. ``num_batches_tracked`` may be missing and then stays as it is.
        prefix : str, default ""
            Only keys that begin with it count, without it.
        strict : bool, default True
            Whether missing and unexpected keys are errors; if not, what is there is loaded.

        Returns
        -------
        missing_keys, unexpected_keys : list of str
            A named tuple, as PyTorch returns it: whole keys, with their prefix.

        Raises
        ------
        TypeError
            If ``mapping`` is not a mapping, ``prefix`` not a str, or ``strict`` not a bool.
        ValueError
            If a value is masked, no numbers or of another shape, or a key is there under two names; if ``strict``, also
            if keys are missing or unexpected, and then the message names prefixes that would fit. All problems are
            listed. Nothing has changed then.

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
    """Layers that count the batches in their running statistics. Calls read ``_count``, which assigning has checked."""

    _count: NDArray[np.int64] | None

    @property
    def num_batches_tracked(self) -> NDArray[np.int64] | None:
        """How many batches there have been, an array of shape (); None does not count them."""
        return self._count

    @num_batches_tracked.setter
    def num_batches_tracked(self, count: NDArray[np.int64] | None) -> None:
        is_array = isinstance(count, np.ndarray) and count.dtype == np.int64 and count.shape == ()
        if count is not None and not (is_array and count.flags.writeable):
            got = _checks.describe(count)
            raise TypeError(f"num_batches_tracked: expected a writeable numpy.ndarray of int64, shape (), got {got}")
        self._count = count


@by_default_rules
def _pace(momentum: float | None, decay: float | None, default: float) -> float | None:
    """The weight of a new batch, from momentum or Keras' decay, of which one may be given."""
    if decay is None:
        return None if momentum is None else _checks.number(momentum, "momentum")
    if momentum is not default:
        got = f"{_checks.shown(momentum)} and {_checks.shown(decay)}"
        raise ValueError(f"decay: expected either momentum or decay (1 - momentum), got both, {got}")
    return 1 - _checks.number(decay, "decay")


def _reset(layer: _Layer, **values: float) -> None:
    """Fill arrays of the layer, those that it has: all of them, or none where one cannot be written."""
    arrays = {name: getattr(layer, name) for name in values if getattr(layer, name) is not None}
    for name, array in arrays.items():
        if not (isinstance(array, np.ndarray) and array.flags.writeable):
            raise ValueError(f"{name}: expected a writeable numpy.ndarray, got {_checks.describe(array)}")
    for name, array in arrays.items():
        array[...] = values[name]


def _full(size: int | tuple[int, ...], value: float, name: str = "num_features") -> Array:
    return _checks.full(size, value, name)


def _groups(num_groups: int, channels: int) -> int:
    groups = _checks.integer(num_groups, "num_groups")
    if channels % groups:
        raise ValueError(f"num_groups: expected a divisor of the {channels} channels, got {groups}")
    return groups


@by_default_rules
def _seen(layer, x, pre_add=None) -> Moments:
    """Moments of what a call normalizes."""
    _checks.channels(x, layer.layout, layer.num_features)
    if pre_add is not None:
        if _checks.floats(pre_add, "pre_add").shape != x.shape:
            raise ValueError(f"pre_add: expected the shape of x, {x.shape}, got {pre_add.shape}")
        x = np.add(x, pre_add)
    return Moments.of(x, layer.layout)
