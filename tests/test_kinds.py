"""Tests the stated bound on random data of every kind; `--results` sets the number of results of the long form."""

import numpy as np
import pytest
from kinds import KINDS, LENGTHS, LONG, Sweep, kinds


def check_sweep(*given, **how):
    sweep = Sweep()
    sweep.run(*given, **how)
    print(sweep.table())
    assert not sweep.passed


def test_stated_bound():
    check_sweep(1, (1, 2, 3, 8, 49, 257, 1024), values=4096)


@pytest.mark.torture
def test_stated_bound_at_length(request):
    check_sweep(request.config.getoption("--results"), LENGTHS + LONG, seed=1)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_kinds_lie_along_an_axis(axis):
    shape = [3, 4, 5]
    shape[axis] = 50
    found = dict(kinds(np.random.default_rng(0), tuple(shape), axis))
    assert set(found) == set(KINDS)
    assert all(x.shape == tuple(shape) and x.dtype == np.float32 and np.isfinite(x).all() for x in found.values())
    assert np.all(np.diff(found["sorted"], axis=axis) >= 0)
