"""Tests of the proven bound on data made to exceed it: the worst that hill climbing found, and new climbs."""

import numpy as np
import pytest
from bounds import proven
from climb import highest, lengths_for, read_cases, share_of
from methods import METHODS, every_layout
from slots import WITH_SLOTS

import normcy

CASES = list(read_cases())
every_method = pytest.mark.parametrize("method", WITH_SLOTS, ids=lambda m: m.name)


@pytest.mark.parametrize(
    ("name", "method", "layout", "case"),
    CASES,
    ids=[f"{name}-{m.name}-{layout}-{case.x.shape[1]}" for name, m, layout, case in CASES],
)
def test_worst_cases(name, method, layout, case):
    assert share_of(case, method, layout) <= 1


@pytest.mark.parametrize("num_groups", [1, 2])
def test_first_channel_of_a_wide_group_is_far_away(num_groups):
    """Its mean is no good shift for the others: cancellation grows with the square of their number."""
    wide, random = 1 << 18, np.random.default_rng(10)
    x = np.empty((1, 3, wide), np.float32)
    x[...] = random.standard_normal((3, 1)) * 1e-4
    x[:, :, :: wide // num_groups] += random.uniform(10, 100)
    y = normcy.group_norm(x, num_groups, eps=1e-30, layout="NHWC")
    expected = normcy.reference.group_norm(x, num_groups, eps=1e-30, layout="NHWC")
    units = abs(y - expected) / (2.0**-24 * np.maximum(1, abs(expected)))
    assert units.max() <= 4.01


def check_climb(method, layout, length, generations, samples=1):
    share = highest(method, layout, length, generations, samples=samples)[1]
    assert share <= 1, f"{method.name}, {layout}, slots of {length}: {share:.3g} times the bound"


@every_method
@every_layout
@pytest.mark.parametrize("length", [8, 300])
def test_short_climbs(method, layout, length):
    check_climb(method, layout, length, 40)


@pytest.mark.torture
@every_method
@every_layout
def test_climbs(method, layout):
    for length in lengths_for(method):
        check_climb(method, layout, length, 400)
    if method.slots in ("", "batch_train") and not method.per_sample:
        for length in (4, 100, 900):
            check_climb(method, layout, length, 400, samples=2)


def test_bounds_of_each_geometry():
    """Rows that are summed in float32 have the larger bound, whatever the method calls them."""
    methods = {m.name: m for m in METHODS}
    long, short, longest = (
        np.empty((2, 3, 300), np.float32),
        np.empty((2, 300, 3), np.float32),
        np.empty((2, 3, 20000), np.float32),
    )
    for name, x, layout, units in [
        ("batch_train", long, "NCHW", 16.69),
        ("batch_train", short, "NCHW", 4.01),
        ("batch_train", long, "NHWC", 4.01),
        ("batch_train", longest, "NCHW", 4.01),  # a slot of 40,000 values
        ("instance", longest, "NCHW", 16.69),
        ("layer_chw", longest, "NCHW", 5.01),
        ("group_of_4", np.empty((2, 8, 100), np.float32), "NCHW", 16.69),
        ("batch_eval", long, "NCHW", 4.01),
        ("group_1", short, "NCHW", 16.69),  # channels of a group follow each other
        ("layer2d", long, "NHWC", 17.69),
        ("layer2d", short, "NCHW", 5.01),
        ("layer2d", short[..., :1], "NCHW", 17.69),
        ("rms_last", long, "NCHW", 5.5),
        ("weight_norm", long, "NCHW", 2.01),
        ("adain", long, "NCHW", 29.38),
    ]:
        assert proven(methods[name], x, layout) == pytest.approx(units, abs=0.01), (name, x.shape, layout)
