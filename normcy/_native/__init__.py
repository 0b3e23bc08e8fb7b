"""The compiled entries: they check what Python passes and run it on the engine; src/README.md has the map."""

from normcy._native.arrays import check_channels, describe, floats, writeable
from normcy._native.batch import batch_norm, instance_norm
from normcy._native.evonorm import evonorm_b0, evonorm_s0
from normcy._native.group import group_norm
from normcy._native.layer import layer_norm, layer_norm2d, rms_norm
from normcy._native.moments import moments
from normcy._native.options import flag, integer, integers, narrow, number, shown
from normcy._native.parallel_copy import copy
from normcy._native.renorm import batch_renorm
from normcy._native.runner import use_runner
from normcy._native.settings import DefaultMode, current_isa, isas, use_isa
from normcy._native.styles import adain, conditional_instance_norm
from normcy._native.threads import (
    forked,
    get_num_threads,
    has_openmp,
    is_crowded,
    judge_calls,
    judge_team,
    override_threads,
    set_num_threads,
)
from normcy._native.weight import weight_norm

__all__ = [
    "DefaultMode",
    "adain",
    "batch_norm",
    "batch_renorm",
    "check_channels",
    "conditional_instance_norm",
    "copy",
    "current_isa",
    "describe",
    "evonorm_b0",
    "evonorm_s0",
    "flag",
    "floats",
    "forked",
    "get_num_threads",
    "group_norm",
    "has_openmp",
    "instance_norm",
    "integer",
    "integers",
    "is_crowded",
    "isas",
    "judge_calls",
    "judge_team",
    "layer_norm",
    "layer_norm2d",
    "moments",
    "narrow",
    "number",
    "override_threads",
    "rms_norm",
    "set_num_threads",
    "shown",
    "use_isa",
    "use_runner",
    "weight_norm",
    "writeable",
]
