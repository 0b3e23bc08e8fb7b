"""States, state dicts and layers that must be refused, and other forms of those that are valid."""

import numpy as np
from odd_arrays import misshapen, not_arrays
from odd_values import INF, NAN, NOT_ANYTHING, Lies, Raises

import normcy

NOT_COUNTS = (-1, 1.5, "3", None, [1], 2**64, 10**5000, 1j, True, NAN, Raises(), Lies(), np.array([1]), np.ma.masked)  # fmt: skip
NOT_SUMS = ("x", ["x"], ["1", "2", "3", "4"], [[1, 2], [3]], [1j], None, [None], 3.0, [[1.0] * 6], [1.0] * 9, Raises(), Lies(),
            [Raises()])  # fmt: skip
NO_NUMBERS = ["c8", "U5", "S4", "V4", "M8[s]", "m8[s]", "[('x', 'f4')]", "None", "str", "bytes", "class", *NOT_ANYTHING]
NOT_CALLABLES = {"None": None, "int": 3, "str": "x", "lies": Lies(), "raises": Raises(), "array": np.ones(3)}
NOT_BATCHES = {"None": None, "int": 3, "none": [], "lies": Lies(), "object": object(), "0-d": np.array(1)}
NOT_MOMENTS = NOT_ANYTHING | {"None": None, "int": 3, "other channels": normcy.Moments(77), "class": normcy.Moments}


class Broken(dict):
    def __getitem__(self, key):
        raise RuntimeError("the file is gone")


def not_states(value, channels):
    """Returns invalid states of Moments."""
    wrong = {
        "none": {},
        "more": value | {"std": 1},
        "less": {"count": 3},
        "list": list(value),
        "None": None,
        "str": "count",
    }
    wrong |= {f"count {i}": value | {"count": v} for i, v in enumerate(NOT_COUNTS)}
    wrong |= {f"{key} {i}": value | {key: v} for key in ("mean", "m2") for i, v in enumerate(NOT_SUMS)}
    wrong |= {f"masked {key}": value | {key: np.ma.array(value[key], mask=False)} for key in value}
    wrong |= {"nothing counted": value | {"count": 0, "mean": np.ones(channels)}}
    return NOT_ANYTHING | wrong | {"negative": value | {"m2": [-1.0] * channels}, "broken": Broken(value)}  # fmt: skip


def not_loaded(key, a):
    """Returns values that cannot be loaded into an array of a layer."""
    all_wrong = not_arrays(a.astype(np.float32))
    wrong = {k: all_wrong[k] for k in (*NO_NUMBERS, "masked")} | misshapen(a)
    if key.endswith("tracked"):
        wrong |= {
            "half": 1.5,
            "nan": NAN,
            "inf": INF,
            "large": 2**64,
            "huge": 1e300,
            "uint64": np.uint64(2**63),
            "negative": -1,
        }
    return {f"{key} {k}": v for k, v in wrong.items()}


def not_mappings(value):
    """Returns invalid state dicts of a layer."""
    wrong = {f"{key} {k}": value | {key: v} for key in value for k, v in not_loaded(key, value[key]).items()}
    wrong |= {
        "unexpected": value | {"other": 1.0},
        "no str": value | {3: 1.0},
        "None": None,
        "str": "x",
        "list": [1],
        "int": 3,
    }
    if "weight_v" in value:
        del wrong["unexpected"]  # WeightNorm ignores the other arrays of a layer
    if value:
        wrong |= {"broken": Broken(value), "missing": dict(list(value.items())[1:])}
    return wrong | {k: v for k, v in NOT_ANYTHING.items() if k != "dict" or value}


def mappings_like(value):
    names = {"weight": "gamma", "bias": "B", "running_mean": "mean", "running_var": "moving_variance"}
    others = {".".join(names.get(part, part) for part in k.split(".")): v for k, v in value.items()}
    return {"other names": others, "lists": {k: v.tolist() for k, v in value.items()}, "float64": {k: v.astype(float) for k, v in value.items()},
            "views": {k: np.repeat(v[None], 2, axis=0)[1] for k, v in value.items()}}  # fmt: skip


def not_layers(value):
    """Returns invalid arguments of recalibrate()."""
    return {"one": value[0], "none": [], "ints": [3], "None in a list": [*value, None], "None": None, "int": 3, "str": "x",
            "raises": Raises(), "lies": Lies(), "untracked": [normcy.LayerNorm(3)], "class": normcy.BatchNorm, "dict": {"a": 3},
            "no statistics": [normcy.EvoNormB0(3, apply_act=False)]}  # fmt: skip
