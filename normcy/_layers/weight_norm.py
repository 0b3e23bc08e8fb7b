"""Weight normalization."""

from __future__ import annotations

from typing import Any

import numpy as np

from normcy import _checks, _native
from normcy._arithmetic import by_default_rules
from normcy._docs import document
from normcy._layers.base import _full, _Layer
from normcy._types import Array, Maybe, Size, Sizes


@document
class WeightNorm(_Layer):
    """Weight normalization: a weight as direction and length, ``weight_g * weight_v / ||weight_v||``.

    A call takes no input and returns the weight.

    Parameters
    ----------
    weight : ndarray of float32, or int or sequence of int
        The weight to split up, which is copied; or only its shape, if a state dict is to be loaded.
    dim : int or None, default 0
        The axis along which lengths are kept: 0 for a convolution or linear layer's outputs, 1 for a transposed
        convolution's. Negative values count from the end; None keeps one length of the whole array.

    Raises
    ------
    $layer_raises

    See Also
    --------
    weight_norm : what a call computes.

    Notes
    -----
    ``weight_v`` is float32 and has ones until it is loaded, if only a shape was given. ``weight_g``, its lengths, is
    float32, too, with all axes but ``dim`` of length 1, or of shape () for None. Both have PyTorch's names and shapes;
    its newer names, ``parametrizations.weight.original0`` and ``original1``, are also read. `load_state_dict` ignores
    other keys, such as the ``bias`` of the layer that has this weight. In PyTorch a ``dim`` of -1 means None; here it
    is the last axis.

    References
    ----------
    Salimans, Kingma: "Weight Normalization", 2016, arXiv:1602.07868; ``torch.nn.utils.weight_norm``.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> layer = normcy.WeightNorm(np.array([[3, 4], [6, 8]], np.float32))
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
    _in_a_layer = True

    def __init__(self, weight: Array | Sizes, dim: Size | None = 0) -> None:
        given = isinstance(weight, np.ndarray) and weight.dtype.kind == "f"
        self.shape: tuple[int, ...] = (
            _checks.floats(weight, "weight").shape if given else _checks.shape(weight, "weight")
        )
        rank = len(self.shape)
        self.dim: int | None = None if dim is None else _checks.integer(dim, "dim", least=-rank)
        if self.dim is not None and self.dim >= rank:
            raise ValueError(f"dim: expected an axis of the {rank} of weight, or None, got {dim}")
        self.weight_v: Array = _full(self.shape, 1, "weight")
        if given:
            self.weight_v[...] = weight
        self.weight_g: Array = self._lengths()

    def _argument(self, name: str) -> Any:
        return self.shape if name == "weight" else getattr(self, name)

    @by_default_rules
    def _lengths(self) -> Array:
        """Returns ||weight_v|| in PyTorch's shape."""
        rank = len(self.shape)
        axes = tuple(axis for axis in range(rank) if self.dim is None or axis != self.dim % rank)
        mean, var = _native.moments(self.weight_v, axes, 0, self.dim is not None)
        count = np.prod([self.shape[axis] for axis in axes], dtype=np.float64)
        if not count:
            return np.zeros(np.shape(mean), np.float32)
        return np.asarray(np.sqrt((var + mean * mean) * count), np.float32)

    def __call__(self, out: Maybe = None) -> Array:
        """The weight; see `weight_norm`."""
        return _native.weight_norm(self.weight_v, self.weight_g, self.dim, out)
