"""Every parameter of the public API: its legal values, the values that it must refuse, and equivalent values."""

from dataclasses import dataclass

import numpy as np
from odd_arrays import Subclass, misshapen, not_arrays, not_writable
from odd_states import NOT_BATCHES, NOT_CALLABLES, NOT_MOMENTS, mappings_like, not_layers, not_mappings, not_states
from odd_values import (
    FROM_ONE,
    FROM_ZERO,
    NOT_FINITE,
    NOT_FLAGS,
    NOT_INTEGERS,
    NOT_NAMES,
    NOT_NUMBERS,
    NOT_TEXTS,
    TOO_LARGE,
    flags_like,
    integers_like,
    not_axes,
    not_shapes,
    numbers_like,
    sequences_like,
    texts_like,
)

import normcy


class Case:
    """The sizes and options of a call, which fit together, and a source of values."""

    def __init__(self, seed):
        self.rng = g = np.random.default_rng(seed)
        self.n, self.c = int(g.choice([2, 3])), int(g.choice([4, 6]))
        self.spatial = tuple(g.integers(2, 6, g.integers(1, 4)).tolist())
        self.layout = str(g.choice(["NCHW", "NHWC"]))
        self.training, self.transposed = g.integers(0, 2, 2).astype(bool).tolist()
        self.groups, self.dim = int(g.choice([1, 2])), int(g.integers(-2, 2))
        self.trailing = self.shape[int(g.integers(1, 2 + len(self.spatial))) :]
        self.layer = None  # the layer that is called

    def image(self, spatial):
        return (self.n, self.c, *spatial) if self.layout == "NCHW" else (self.n, *spatial, self.c)

    @property
    def shape(self):
        return self.image(self.spatial)

    def floats(self, *shapes, low=-2):
        """Returns a strategy for arrays of one of the shapes."""
        return self.rng.uniform(low, 2, shapes[int(self.rng.integers(len(shapes)))]).astype(np.float32)


@dataclass(frozen=True)
class Kind:
    legal: object  # a function of a case: a legal value
    wrong: object  # a function of such a value and the case: a dict of values that must be refused
    odd: object = lambda value: {}  # a function of such a value: a dict of others that mean the same
    none: bool = False  # whether None is legal, too


def arrays(legal, wrong=lambda value, case: misshapen(value), none=False):
    return Kind(legal, lambda value, case: not_arrays(value) | wrong(value, case), none=none)


def numbers(value, wrong=NOT_FINITE, none=False):
    return Kind(lambda case: value, lambda v, case: NOT_NUMBERS | wrong, numbers_like, none)


def integers(legal, wrong=FROM_ONE, none=False):
    return Kind(legal, lambda v, case: wrong, integers_like, none)


def flags(legal=lambda case: bool(case.rng.integers(2))):
    return Kind(legal, lambda v, case: NOT_FLAGS, flags_like)


def names(*options, legal=None, none=False):
    wrong = NOT_NAMES if none else NOT_NAMES | {"None": None}
    return Kind(legal or (lambda case: str(case.rng.choice(options))), lambda v, case: wrong, texts_like, none)


def image(case):
    return case.floats(case.shape)


def per_channel(case):
    return case.floats((case.c,))


def positive(case):
    return case.floats((case.c,), low=0.5)


def low_rank(value, case):
    return {"0-d": np.array(1, np.float32), "scalar": np.float32(1), "1-d": value.ravel()[:8].copy()}


def outputs(value, case):
    return misshapen(value) | not_writable(value)


def kept(value, case):
    """Running statistics, which are written in training."""
    return misshapen(value) | (not_writable(value) if case.training else {})


def weights(case):
    return case.floats((case.c,), (case.n, case.c), case.shape)


def trailing_weights(case):
    return case.floats(case.trailing, (case.n, *case.trailing))


def axes(case):
    rank = len(case.shape)
    return tuple(sorted(case.rng.choice(rank, case.rng.integers(1, rank + 1), replace=False).tolist()))


def lengths(case):
    kept = [1] * len(case.shape)
    kept[case.dim] = case.shape[case.dim]
    return case.floats((case.shape[case.dim],), tuple(kept))


def conv_weight(case):
    shape = (2 * case.groups, case.c // case.groups) if case.transposed else (case.c, 3)
    return case.floats((*shape, 2))


def style(case):
    """A pair of mean and deviation, or an array with other positions."""
    pair = case.floats((case.n, case.c)), case.floats((case.n, case.c), low=0)
    return pair if case.rng.integers(2) else case.floats(case.image(tuple(k + 1 for k in case.spatial)))


def not_styles(value, case):
    a = case.floats((case.n, case.c))
    pairs = {f"pair of {k}": (a, v) for k, v in not_arrays(a).items()} | {"one": (a,), "three": (a, a, a), "none": ()}
    return pairs | not_arrays(image(case)) | low_rank(a, case) | {
        "channels": case.floats((7, 7, 7)), "2-d": case.floats((7, 7)), "no position": case.floats(case.image((0,))), "pair": [a, a],
    }  # fmt: skip


def ids(case):
    """The ids of each sample's style, or the weights that mix styles."""
    dtype = case.rng.choice(["i1", "u1", "i8", "u8", ">i4"])
    return case.rng.integers(0, 3, case.n).astype(dtype) if case.rng.integers(2) else case.floats((case.n, 3))


def not_ids(value, case):
    a = np.arange(case.n)
    return not_arrays(case.floats((case.n, 3))) | {
        "long": np.zeros(case.n + 7, int), "2-d": a[None], "0-d": np.array(0), "above": a + 2, "below": -a - 1, "list": a.tolist(),
        "uint64": np.full(case.n, 2**63, np.uint64), "bool": a < 1, "masked": np.ma.masked_array(a, a == 0), "subclass": a.view(Subclass),
        "float ids": a.astype(np.float32), "styles": case.floats((case.n, 4)), "timedelta": a.astype("m8[s]"),
    }  # fmt: skip


def not_weights(value, case):
    """Objects from which WeightNorm cannot be built, as they are neither an array nor a shape."""
    wrong = {k: v for k, v in not_arrays(image(case)).items() if isinstance(v, np.ndarray) and k not in ("i4", "u1")}
    return wrong | not_shapes(case.shape) | {"too large": (TOO_LARGE, 2)}


def state(case):
    return normcy.Moments.of(image(case), case.layout).state()


SIZES = FROM_ONE | {"too large": TOO_LARGE}
of_any_shape = arrays(image, lambda value, case: {})
tables = arrays(
    lambda case: case.floats((3, case.c)),
    lambda value, case: {"channels": case.floats((3, 7)), **low_rank(value, case)},
)
KINDS = {  # by name, or by function and name if it differs from others of that name
    **dict.fromkeys(["x", "content"], arrays(image, low_rank)),
    **dict.fromkeys(["layer_norm.x", "rms_norm.x", "moments.x", "weight_norm.v", "LayerNorm.__call__.x", "RMSNorm.__call__.x"], of_any_shape),
    **dict.fromkeys(["pre_add", "post_add"], arrays(image, none=True)),
    **dict.fromkeys(["out", "sum_out"], arrays(image, outputs, none=True)),
    **dict.fromkeys(["weight", "bias"], arrays(weights, none=True)),
    **dict.fromkeys([f"{f}.{p}" for f in ("layer_norm", "rms_norm") for p in ("weight", "bias")], arrays(trailing_weights, none=True)),
    **dict.fromkeys(["conditional_instance_norm.weight", "conditional_instance_norm.bias"], tables),
    **dict.fromkeys(["v", "bn_weight", "bn_bias", "fold_batch_norm.bias"], arrays(per_channel, none=True)),
    "fold_batch_norm.weight": arrays(conv_weight, low_rank),
    "running_mean": arrays(per_channel, kept, none=True),
    "running_var": arrays(positive, kept, none=True),
    "running_std": arrays(positive, kept),
    "evonorm_b0.running_var": arrays(positive, kept),
    "fold_batch_norm.running_mean": arrays(per_channel),
    "fold_batch_norm.running_var": arrays(positive),
    "g": arrays(lengths, lambda value, case: misshapen(value) | {"scalar": np.float32(1), "0-d": np.array(1, np.float32), "0": 0.0}),
    "style": Kind(style, not_styles),
    **dict.fromkeys(["conditional_instance_norm.style", "ConditionalInstanceNorm.__call__.style"], Kind(ids, not_ids)),
    **dict.fromkeys(["training", "use_input_stats"], flags(lambda case: case.training)),
    **dict.fromkeys(["return_stats", "unbiased_running_var", "keepdims", "mode", "affine", "track_running_stats", "elementwise_affine",
                     "apply_act", "LayerNorm.bias"], flags()),
    "transposed": flags(lambda case: case.transposed),
    "progress": flags(lambda case: False),
    "strict": flags(lambda case: True),  # since missing and unexpected keys would otherwise be no error
    **dict.fromkeys(["num_groups", "n"], integers(lambda case: 2, FROM_ONE | {"no divisor": 1 << 17})),
    "groups": integers(lambda case: case.groups, FROM_ONE | {"no divisor": 5}),
    **dict.fromkeys(["num_features", "num_channels"], integers(lambda case: case.c, SIZES)),
    **dict.fromkeys([f"{c}.num_features" for c in ("BatchNorm", "InstanceNorm", "Moments")],
                    integers(lambda case: case.c, FROM_ZERO | {"too large": TOO_LARGE})),
    "num_styles": integers(lambda case: 3, SIZES),
    "times": integers(lambda case: 3),
    "step": integers(lambda case: 3, FROM_ZERO, none=True),
    "dim": integers(lambda case: case.dim, NOT_INTEGERS | {"rank": 7, "-rank": -7, "1-d": np.array([0])}, none=True),
    "normalized_shape": Kind(lambda case: case.trailing, lambda v, case: not_shapes(v), sequences_like),
    "axes": Kind(axes, lambda v, case: not_axes(v, len(case.shape)), sequences_like, none=True),
    **dict.fromkeys(["eps", "momentum", "correction"], numbers(0.25)),
    **dict.fromkeys(["alpha", "weight_offset"], numbers(0.25, NOT_FINITE | {"1e300": 1e300})),
    **dict.fromkeys(["rms_norm.eps", "RMSNorm.eps", "decay"], numbers(0.25, none=True)),
    "style_eps": numbers(0.25, NOT_FINITE | {"-1e300": -1e300}, none=True),
    **dict.fromkeys([f"{c}.momentum" for c in ("BatchNorm", "InstanceNorm", "BatchRenorm", "IBN")], numbers(0.25, none=True)),
    "checkpoint_momentum.momentum": numbers(0.25, NOT_FINITE | {"-1": -1, "2": 2.0}),
    "d_max": numbers(0.25, {"-1": -1, "nan": np.nan}),
    "r_max": numbers(1.25, {"0": 0, "nan": np.nan, "0.5": np.float16(0.5)}),
    "ratio": numbers(0.5, {"2": 2, "-1": -1.0}),
    "layout": names("NCHW", "NHWC", legal=lambda case: case.layout),
    "activation": names("relu", "silu", "gelu", "gelu_tanh", none=True),
    "eps_mode": names("inside_sqrt", "outside_sqrt"),
    "convention": names("pytorch", "keras"),
    "order": names("in_first", "bn_first"),
    "method": names("population", "average"),
    "prefix": Kind(lambda case: "", lambda v, case: NOT_TEXTS, texts_like),
    "WeightNorm.weight": Kind(lambda case: image(case) if case.rng.integers(2) else case.shape, not_weights),
    "state": Kind(state, lambda v, case: not_states(v, case.c)),
    "other": Kind(lambda case: normcy.Moments.of(image(case), case.layout), lambda v, case: NOT_MOMENTS),
    "mapping": Kind(lambda case: {k: v.copy() for k, v in case.layer.state_dict().items()}, lambda v, case: not_mappings(v), mappings_like),
    "layers": Kind(lambda case: [case.layer], lambda v, case: not_layers(v)),
    "forward": Kind(lambda case: case.layer, lambda v, case: NOT_CALLABLES),
    "batches": Kind(lambda case: [image(case)], lambda v, case: NOT_BATCHES),
}  # fmt: skip
