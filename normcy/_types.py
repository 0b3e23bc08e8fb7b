"""The types that annotations share: what the checks of the compiled core accept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, SupportsIndex, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float32]  # memmap, the only subclass that is accepted, is one
Maybe: TypeAlias = Array | None
Float64: TypeAlias = NDArray[np.float64]

Flag: TypeAlias = bool | np.bool_
Number: TypeAlias = float | np.floating[Any] | np.integer[Any]
Size: TypeAlias = SupportsIndex  # int and np.integer
Sizes: TypeAlias = Size | Sequence[Size] | NDArray[np.integer[Any]]
Ids: TypeAlias = NDArray[np.integer[Any]]  # of styles

Layout: TypeAlias = Literal["NCHW", "NHWC"]
Activation: TypeAlias = Literal["relu", "silu", "gelu", "gelu_tanh"] | None
EpsMode: TypeAlias = Literal["inside_sqrt", "outside_sqrt"]
Convention: TypeAlias = Literal["pytorch", "keras"]
Order: TypeAlias = Literal["in_first", "bn_first"]
Method: TypeAlias = Literal["population", "average"]  # of recalibrate
