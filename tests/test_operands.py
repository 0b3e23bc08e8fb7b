"""Operands that share memory: each is absent, present, or the same array as another, dense or a slice.

All arrays lie between pages that may not be touched.
"""

import itertools

import numpy as np
import pytest
from methods import METHODS, channels, every_layout, fixed, parameters, portable, same_bits
from odd_arrays import as_strided
from pairs import every, in_part
from test_memory import Guarded

import normcy

GAP = 3  # channels between those of a slice
FILL = 7.0  # the value of the gaps
SMALL = {"NCHW": (3, 16, 3, 5), "NHWC": (3, 3, 5, 16)}
LARGE = {"NCHW": (2, 16, 40, 50), "NHWC": (2, 40, 50, 16)}  # for two threads, and slots that they share
PAGES = 80

FUSED = {  # calls that take residuals
    "batch_train": lambda x, layout, **kw: normcy.batch_norm(x, None, None, training=True, layout=layout, **kw),
    "batch_eval": lambda x, layout, **kw: normcy.batch_norm(
        x, fixed(channels(x, layout), 1), fixed(channels(x, layout), 2, 0.5), layout=layout, **kw
    ),
    "instance": lambda x, layout, **kw: normcy.instance_norm(x, layout=layout, **kw),
    "group": lambda x, layout, **kw: normcy.group_norm(x, 4, layout=layout, **kw),
    "layer2d": lambda x, layout, **kw: normcy.layer_norm2d(x, layout=layout, **kw),
    "layer": lambda x, layout, **kw: normcy.layer_norm(x, x.shape[-1], **kw),
    "rms": lambda x, layout, **kw: normcy.rms_norm(x, x.shape[-2:], **kw),
    "ibn": lambda x, layout, **kw: normcy.IBN(channels(x, layout), layout=layout)(x, **kw),
}


class Fenced(Guarded):
    """Arrays that begin or end at protected pages; also slices of channels, whose gaps must not change."""

    def __init__(self, at_end):
        super().__init__(at_end, arrays=6, pages=PAGES)

    def place(self, values, layout, sliced):
        """Returns the next of them, with these values."""
        floats = self.bytes[self.used].view(np.float32)
        self.used += 1
        floats[:] = FILL
        gap = GAP * int(np.prod(values.shape[2:])) if layout == "NCHW" else GAP
        axis = 0 if layout == "NCHW" else values.ndim - 2
        steps = np.array(values.strides) // 4
        if sliced:  # only the slice exists: its array would end with a gap
            outer = np.arange(values.ndim) <= axis
            inside = int(np.prod(values.shape[axis + 1 :]))
            steps[outer] = steps[outer] // inside * (inside + gap)
        span = int(np.dot(steps, np.array(values.shape) - 1)) + 1
        start = floats.size - span if self.at_end else 0
        placed = as_strided(floats[start : start + span], values.shape, steps * 4)
        placed[...] = values
        return placed

    def assert_only_written_in(self, *arrays):
        for array in arrays:
            array[...] = FILL
        assert all(np.all(b.view(np.float32) == FILL) for b in self.bytes[: self.used]), "a gap was written"


@pytest.fixture(scope="module", params=[True, False], ids=["at the end", "at the start"])
def fenced(request):
    return Fenced(request.param)


def roles():
    """Yields the array of each operand; a sum may be neither the output nor the residual that is added after the norm."""
    for before, after, out, total in itertools.product(
        (None, "before", "x"), (None, "after", "x", "before"), (None, "out", "x", "before", "after"), (None, "sum", "x", "before")
    ):  # fmt: skip
        present = {"x", before, after, out, total}
        borrowed = {"before", "after"} & {out, total, after}
        if total is not None and (before is None or total in (after, out)):
            continue
        if borrowed <= {before, after} and (total in (None, "sum") or total in (before, "x")):
            yield before, after, out, total, sorted(present - {None})


ROLES = list(roles())


def test_roles():
    """Everything that the contract allows is there, also the cases that failed once."""
    assert len(ROLES) > 100
    assert ("before", "after", "after", None) in [role[:4] for role in ROLES]


@pytest.mark.parametrize("call", FUSED.values(), ids=FUSED)
@every_layout
@pytest.mark.parametrize("sliced", [False, True], ids=["dense", "slice"])
@pytest.mark.parametrize("shapes", [SMALL, LARGE], ids=["small", "large"])
@in_part(4)
def test_operands(call, layout, sliced, shapes, fenced, share):
    """The bits are those of separate arrays; only outputs are written."""
    values = {name: portable(shapes[layout], i).astype(np.float32) for i, name in enumerate(("x", "before", "after"))}
    values |= {"out": np.zeros(shapes[layout], np.float32), "sum": np.zeros(shapes[layout], np.float32)}
    expected = {}
    turn = 2 * (sliced != (layout == "NHWC")) + (fenced.at_end != (shapes is LARGE))
    for before, after, out, total, present in every(share, ROLES, turn):
        given = {"pre_add": before, "post_add": after}
        if (before, after) not in expected:
            own = {k: values[v].copy() for k, v in given.items() if v}
            with normcy.num_threads(2):
                expected[before, after] = call(values["x"].copy(), layout, **own)
        fenced.used = 0
        arrays = {name: fenced.place(values[name], layout, sliced) for name in present}
        given |= {"out": out, "sum_out": total}
        with normcy.num_threads(2):
            y = call(arrays["x"], layout, **{k: arrays[v] for k, v in given.items() if v})
        assert out is None or y is arrays[out]
        assert same_bits(np.array(y), expected[before, after]), given
        if total:
            assert same_bits(np.array(arrays[total]), values["x"] + values[before])
        for name in set(present) - {out, total}:
            assert same_bits(np.array(arrays[name]), values[name]), name
        fenced.assert_only_written_in(*arrays.values())


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
@every_layout
@pytest.mark.parametrize("sliced", [False, True], ids=["dense", "slice"])
def test_results(method, layout, sliced, fenced):
    """Every method writes into an array of its own and in place; weights of x's shape may be slices, or x itself."""
    for shapes in (SMALL, LARGE):
        x = portable(shapes[layout], 1).astype(np.float32)
        kw = parameters(method, x, layout)
        expected = method.call(normcy, x, layout, **kw)
        for in_place in (False, True):
            fenced.used = 0
            given = fenced.place(x, layout, sliced)
            out = given if in_place else fenced.place(np.zeros_like(x), layout, sliced)
            assert method.call(normcy, given, layout, out=out, **kw) is out
            assert same_bits(np.array(out), expected)
            assert in_place or same_bits(np.array(given), x)
            fenced.assert_only_written_in(given, out)


@pytest.mark.parametrize("name", ["batch_train", "instance", "group", "layer2d"])
@every_layout
@pytest.mark.parametrize("sliced", [False, True], ids=["dense", "slice"])
@pytest.mark.parametrize("weight", ["own", "x", "other"])
def test_weights_of_the_shape_of_x(name, layout, sliced, weight, fenced):
    for shapes in (SMALL, LARGE):
        x, w = (portable(shapes[layout], seed).astype(np.float32) for seed in (1, 2))
        w = x if weight == "x" else w
        expected = FUSED[name](x.copy(), layout, weight=w.copy(), bias=w.copy(), pre_add=x.copy(), post_add=x.copy())
        fenced.used = 0
        given, out = fenced.place(x, layout, sliced), fenced.place(x, layout, sliced)
        own = given if weight == "x" else fenced.place(w, layout, sliced if weight == "own" else not sliced)
        y = FUSED[name](given, layout, weight=own, bias=own, pre_add=given, post_add=out, out=out)
        assert same_bits(np.array(y), expected)
        fenced.assert_only_written_in(given, out, own)
