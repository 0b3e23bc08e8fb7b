"""Reading state dicts: the names of keys in several frameworks, and values from arrays, tensors and files."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from normcy import _checks
from normcy._arithmetic import by_default_rules

if TYPE_CHECKING:
    from normcy._layers.base import _Layer

SYNONYMS = {  # other frameworks' names of PyTorch's keys; each is read if a layer has the key that it means
    "gamma": "weight",  # Keras, BERT
    "scale": "weight",  # Flax, ONNX, Keras' RMSNormalization
    "Scale": "weight",  # ONNX's LayerNormalization
    "beta": "bias",  # Keras, BERT
    "B": "bias",  # ONNX
    "moving_mean": "running_mean",  # Keras
    "mean": "running_mean",  # Flax
    "input_mean": "running_mean",  # ONNX
    "moving_variance": "running_var",  # Keras
    "var": "running_var",  # Flax
    "input_var": "running_var",  # ONNX
    "parametrizations.weight.original0": "weight_g",  # torch.nn.utils.parametrizations.weight_norm
    "parametrizations.weight.original1": "weight_v",
}

_OPTIONAL = "num_batches_tracked"  # PyTorch before 0.4.1 had none, nor have the other frameworks.
_LISTED = 10  # Nobody reads a message that names more keys; it names the first of them and counts the others.
_FIRST = 5
_WITHOUT_ML_DTYPES = '; open the file with framework="pt", or install ml_dtypes for framework="np"'
_PREFIXES = 3  # A message suggests no more prefixes than this.


class TensorFile(Protocol):
    """A safetensors file, opened by its ``safe_open``, which is not a mapping."""

    def keys(self) -> Iterable[str]: ...
    def get_tensor(self, name: str, /) -> Any: ...


Readable: TypeAlias = Mapping[str, Any] | TensorFile


class IncompatibleKeys(NamedTuple):
    """The result of ``load_state_dict``, as in PyTorch: keys that were missing, and keys that the layer lacks."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def load(layer: _Layer, mapping: Readable, prefix: str, strict: bool) -> IncompatibleKeys:
    """Copy a mapping's values into the layer's arrays; an error lists every problem, and then nothing has changed."""
    source, targets = _Source(mapping), layer._arrays()
    found, others = _matched(source.keys, prefix, layer)
    missing = [prefix + name for name in _required(targets) if name not in found]
    unexpected = [_shown(key) for key in others]
    values, problems = {}, []
    for name, keys in found.items():
        values[name], problem = source.converted(keys[0], targets[name])
        if len(keys) > 1:
            *most, last = sorted(keys)
            count = "two" if len(keys) == 2 else len(keys)
            problems.append(f"{prefix + name} under {count} names, {', '.join(most)} and {last}")
        elif problem:
            problems.append(f"{keys[0]}: {problem}")
    if strict:
        problems = [f"missing {key}" for key in missing] + problems + _listed(unexpected)
    if problems:
        hint = _hint(_fitting(source, prefix, layer)) if strict else []
        raise ValueError(f"mapping: does not fit {layer!r}: {'; '.join(problems + hint)}")
    for name, array in values.items():
        targets[name][...] = array
    return IncompatibleKeys(missing, unexpected)


class _Source:
    """The keys and values of a mapping, or of an open safetensors file, which is not a mapping."""

    def __init__(self, mapping: Readable) -> None:
        try:
            self.keys = list(mapping.keys())
            self._is_file = hasattr(mapping, "get_tensor") and not hasattr(mapping, "__getitem__")
        except MemoryError:
            raise
        except Exception as error:
            got = type(mapping).__name__
            raise TypeError(f"mapping: expected a mapping of names to arrays, got {got}") from error
        self._mapping: Any = mapping

    def value(self, key: Any) -> Any:
        return self._mapping.get_tensor(key) if self._is_file else self._mapping[key]

    def fits(self, key: str, target: NDArray[Any]) -> bool:
        """Returns whether a value can be copied into the target; large arrays of a file are not read for that."""
        try:
            whole = self._mapping.get_slice(key).get_shape() if self._is_file else np.shape(self.value(key))
        except MemoryError:
            raise
        except Exception:
            return False
        return tuple(whole) == target.shape and not self.converted(key, target)[1]

    @by_default_rules
    def converted(self, key: Any, target: NDArray[Any]) -> tuple[NDArray[Any] | None, str]:
        """Returns a value as an array that can be copied into the target, or what is wrong with it."""
        try:
            given = _array(self.value(key))
            if given.dtype.kind in "cSUOmM" or given.dtype.type is np.void:
                return None, f"expected numbers, got dtype {given.dtype}"
            if given.shape != target.shape:
                return None, f"expected shape {target.shape}, got {given.shape}"
            if target.dtype.kind == "i" and not (
                0 <= given.item() <= np.iinfo(target.dtype).max and float(given).is_integer()
            ):
                return None, f"expected a whole number from 0 up, got {given}"
            if not target.flags.writeable:
                return None, "the layer's array is read-only"
            return given.astype(target.dtype), ""
        except MemoryError:
            raise
        except Exception as error:  # It comes from the mapping, from np.asarray, or from torch.
            hint = _WITHOUT_ML_DTYPES if self._is_file and "bfloat16" in str(error) else ""
            return None, (" ".join(str(error).split()) or type(error).__name__) + hint


def _array(value: Any) -> NDArray[Any]:
    """Converts what np.asarray reads, and the tensors of torch that it refuses, without importing torch."""
    if isinstance(value, np.ma.MaskedArray):
        raise ValueError(f"expected {_checks.UNMASKED}")
    if getattr(value, "requires_grad", False) is True:
        value = value.detach()
    if str(getattr(value, "dtype", "")).startswith(("torch.bfloat16", "torch.float8")):
        value = value.float()
    array = np.asarray(value)
    extension = array.dtype.kind == "V" and array.dtype.type is not np.void  # The bfloat16 of ml_dtypes is one.
    return array.astype(np.float32) if extension else array


def _required(targets: dict[str, NDArray[Any]]) -> list[str]:
    return [name for name in targets if not name.endswith(_OPTIONAL)]


def _meant(name: str, targets: dict[str, NDArray[Any]]) -> str | None:
    """Returns the layer's name that a key, as a whole or in its last part, is or is a synonym of."""
    name = name.removesuffix(":0")  # TensorFlow numbers the results of an operation
    part, dot, last = name.rpartition(".")
    spelled = (name, SYNONYMS.get(name), part + dot + SYNONYMS.get(last, last))
    return next((own for own in spelled if own in targets), None)


def _matched(keys: list[Any], prefix: str, layer: _Layer) -> tuple[dict[str, list[str]], list[Any]]:
    """Returns, for each of the layer's names, the keys under the prefix that mean it; and the unexpected keys."""
    targets = layer._arrays()
    found: dict[str, list[str]] = {}
    unexpected = []
    for key in keys:
        if not isinstance(key, str):
            unexpected.append(key)
        elif key.startswith(prefix):
            name = _meant(key[len(prefix) :], targets)
            if name is not None:
                found.setdefault(name, []).append(key)
            elif not layer._in_a_layer:
                unexpected.append(key)
    return found, unexpected


def _shown(key: Any) -> str:
    return key if isinstance(key, str) else _checks.shown(key)


def _listed(unexpected: list[str]) -> list[str]:
    """Lists each unexpected key or, if there are very many, the first ones and the number of the others."""
    if len(unexpected) <= _LISTED:
        return [f"unexpected {key}" for key in unexpected]
    return [f"unexpected {key}" for key in unexpected[:_FIRST]] + [f"{len(unexpected) - _FIRST} more unexpected"]


def _fitting(source: _Source, prefix: str, layer: _Layer) -> list[str]:
    """Returns the other prefixes with which the mapping would load, in its order."""
    targets = layer._arrays()
    required = _required(targets)
    if not required or not all(isinstance(key, str) for key in source.keys):
        return []
    part, dot, last = required[0].rpartition(".")
    ends = [required[0], *(part + dot + other for other, own in SYNONYMS.items() if own == last)]
    candidates = dict.fromkeys(key[: -len(end)] for key in source.keys for end in ends if key.endswith(end))
    ordered = sorted(source.keys)

    def fits(other: str) -> bool:
        if other == prefix or other[-1:] not in ("", ".", "/"):  # "running_" is no prefix of "mean" and "var".
            return False
        under = ordered[bisect_left(ordered, other) : bisect_right(ordered, other + chr(0x10FFFF))]
        found, unexpected = _matched(under, other, layer)
        whole = not unexpected and found.keys() >= set(required)
        return whole and all(len(keys) == 1 and source.fits(keys[0], targets[name]) for name, keys in found.items())

    if fits(prefix + "."):
        return [prefix + "."]  # Then only the dot after the prefix was forgotten.
    return [other for other in candidates if fits(other)]


def _hint(prefixes: list[str]) -> list[str]:
    """Returns the end of a message, if another prefix would fit."""
    if not prefixes:
        return []
    named = [f'"{prefix}"' for prefix in prefixes[:_PREFIXES]]
    if len(prefixes) > _PREFIXES:
        named.append(f"{len(prefixes) - _PREFIXES} more")
    *most, last = named
    return [f"with prefix={', '.join(most)} or {last} it would fit" if most else f"with prefix={last} it would fit"]
