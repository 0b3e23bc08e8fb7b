"""Normalization layers for NumPy float32 arrays on CPUs.

Every function has a twin in `normcy.reference`, plain NumPy in float64, that says what it computes.

Examples
--------
>>> import numpy as np, normcy
>>> x = np.random.default_rng(0).standard_normal((8, 128, 768), dtype=np.float32)
>>> y = np.empty_like(x)
>>> normcy.layer_norm(x, 768, out=y) is y
True
>>> bool(abs(y - normcy.reference.layer_norm(x, 768)).max() < 1e-6)
True
"""

try:
    from normcy import _native  # noqa: F401
except ModuleNotFoundError as _error:
    if not (_error.name or "").startswith("normcy"):
        raise
    from normcy._missing_core import explain

    # The whole core is missing, not a module.
    raise ImportError(explain(), name=_error.name, path=_error.path) from None

from normcy import reference
from normcy._folding import fold_batch_norm
from normcy._functional import (
    adain,
    batch_norm,
    batch_renorm,
    conditional_instance_norm,
    evonorm_b0,
    evonorm_s0,
    group_norm,
    instance_norm,
    layer_norm,
    layer_norm2d,
    moments,
    rms_norm,
    weight_norm,
)
from normcy._layers import (
    IBN,
    AdaIN,
    BatchNorm,
    BatchRenorm,
    ConditionalInstanceNorm,
    EvoNormB0,
    EvoNormS0,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LayerNorm2d,
    RMSNorm,
    WeightNorm,
)
from normcy._recalibrate import recalibrate
from normcy._runtime import get_config, get_include, get_num_threads, num_threads, set_num_threads, show_config
from normcy._statistics import Moments, checkpoint_momentum
from normcy._version import __version__

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
    "Moments",
    "RMSNorm",
    "WeightNorm",
    "__version__",
    "adain",
    "batch_norm",
    "batch_renorm",
    "checkpoint_momentum",
    "conditional_instance_norm",
    "evonorm_b0",
    "evonorm_s0",
    "fold_batch_norm",
    "get_config",
    "get_include",
    "get_num_threads",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "layer_norm2d",
    "moments",
    "num_threads",
    "recalibrate",
    "reference",
    "rms_norm",
    "set_num_threads",
    "show_config",
    "weight_norm",
]
