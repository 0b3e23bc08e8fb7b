"""Layers, which keep the parameters and running statistics of the functions, under PyTorch's names.

A call reads attributes and calls the compiled core, which checks all arrays.
"""

from normcy._layers.evonorm import EvoNormB0, EvoNormS0
from normcy._layers.ibn import IBN
from normcy._layers.norms import GroupNorm, LayerNorm, LayerNorm2d, RMSNorm
from normcy._layers.renorm import BatchRenorm
from normcy._layers.styles import AdaIN, ConditionalInstanceNorm
from normcy._layers.tracking import BatchNorm, InstanceNorm
from normcy._layers.weight_norm import WeightNorm

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

for _name in __all__:
    globals()[_name].__module__ = "normcy"  # so that pickles do not depend on files
