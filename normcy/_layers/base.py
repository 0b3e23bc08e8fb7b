"""What all layers share: the training flag, the state dict, the repr; and what several are built with."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from normcy import _checks
from normcy._statistics import Moments

Array = NDArray[np.float32]
Maybe = Array | None

_MOST = 2**63 - 1  # that num_batches_tracked can count to


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
        prefix = _checks.text(prefix, "prefix")
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
            If ``mapping`` is not a mapping, or ``prefix`` not a str.
        ValueError
            If keys are missing or unexpected, or values of another shape: all are listed. Nothing has changed then.
        """
        prefix = _checks.text(prefix, "prefix")
        targets, found, problems = self._arrays(), {}, []
        for key in _keys_of(mapping):
            if isinstance(key, str) and not key.startswith(prefix):
                continue
            name = key[len(prefix) :] if isinstance(key, str) else _checks.shown(key)
            name = self._aliases.get(name, name)
            if name not in targets:
                problems.append(f"unexpected {name}")
            elif name in found:
                problems.append(f"{name} under two names")
            else:
                found[name], problem = _converted(mapping, key, targets[name])
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


def _keys_of(mapping: Any) -> list:
    try:
        return list(mapping.keys())  # files of arrays are no dicts
    except MemoryError:
        raise
    except Exception as error:
        raise TypeError(f"mapping: expected a mapping of names to arrays, got {type(mapping).__name__}") from error


def _converted(mapping: Any, key: Any, target: np.ndarray) -> tuple[np.ndarray | None, str]:
    """A value as an array that can be copied into the target, or what is wrong with it."""
    try:
        given = np.asarray(mapping[key])
        if given.dtype.kind in "cSUOmM" or given.dtype.type is np.void:  # bfloat16 is of kind V too
            return None, f"expected numbers, got dtype {given.dtype}"
        if given.shape != target.shape:
            return None, f"expected shape {target.shape}, got {given.shape}"
        if target.dtype.kind == "i" and not (0 <= given.item() <= _MOST and float(given).is_integer()):
            return None, f"expected a whole number from 0 up, got {given}"
        if not target.flags.writeable:
            return None, "the layer's array is read-only"
        with np.errstate(over="ignore"):  # what is beyond float32 is infinite
            return given.astype(target.dtype), ""
    except MemoryError:
        raise
    except Exception as error:  # the mapping's, np.asarray's, or torch's on its way there
        return None, str(error) or type(error).__name__


def _pace(momentum: float | None, decay: float | None, default: float) -> float | None:
    """The weight of a new batch, from momentum or Keras' decay, of which one may be given."""
    if decay is None:
        return None if momentum is None else _checks.number(momentum, "momentum")
    if momentum is not default:
        got = f"{_checks.shown(momentum)} and {_checks.shown(decay)}"
        raise ValueError(f"decay: expected either momentum or decay (1 - momentum), got both, {got}")
    return 1 - _checks.number(decay, "decay")


def _full(size: int | tuple[int, ...], value: float, name: str = "num_features") -> Array:
    return _checks.full(size, value, name)


def _groups(num_groups: int, channels: int) -> int:
    groups = _checks.integer(num_groups, "num_groups")
    if channels % groups:
        raise ValueError(f"num_groups: expected a divisor of the {channels} channels, got {groups}")
    return groups


def _seen(layer, x, pre_add=None) -> Moments:
    """Moments of what a call normalizes."""
    if pre_add is not None:
        if _checks.floats(pre_add, "pre_add").shape != _checks.floats(x, "x").shape:
            raise ValueError(f"pre_add: expected the shape of x, {x.shape}, got {pre_add.shape}")
        with np.errstate(over="ignore", invalid="ignore"):
            x = np.add(x, pre_add)
    seen = Moments.of(x, layer.layout)
    if seen.num_features != layer.num_features:
        raise ValueError(f"x: expected {layer.num_features} channels, got shape {x.shape} in {layer.layout}")
    return seen
