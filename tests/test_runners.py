"""Whoever runs the parts of a norm, in whatever order and on whatever threads: results have the same bits."""

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
from methods import every_layout, every_method, parameters, same_bits, sample

import normcy
from normcy import _native

pytestmark = pytest.mark.skipif(not _native.has_openmp(), reason="a build without OpenMP has one thread")

# Enough slots to take each through both passes, and so few that all threads work on one; four rows of each channel
SHAPES = [(8, 18, 48, 48), (2, 4, 180, 220)]


def backwards(parts, part):
    for i in reversed(range(parts)):
        part(i)


def shuffled(parts, part):
    order = [*range(parts)]
    random.Random(parts).shuffle(order)
    for i in order:
        part(i)


def on_threads(parts, part):
    with ThreadPoolExecutor(5) as pool:  # more than there are scratch areas, so that some wait for one
        assert len([*pool.map(part, range(parts))]) == parts


@pytest.fixture(params=[backwards, shuffled, on_threads])
def runner(request):
    """Returns a context in which parts are run otherwise, as the numbers of parts of each phase."""

    @contextmanager
    def running():
        told = []

        def run(parts, part):
            told.append(parts)
            request.param(parts, part)

        _native.use_runner(run)
        try:
            with normcy.num_threads(3):
                yield told
        finally:
            _native.use_runner(None)

    return running


@every_method
@every_layout
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_same_bits(method, layout, shape, runner):
    x = sample(shape, mean=3)
    kw = parameters(method, x, layout)
    with normcy.num_threads(1):
        expected = method.call(normcy, x, layout, **kw)
    with runner() as phases:
        assert same_bits(method.call(normcy, x, layout, **kw), expected)
    assert max(phases) > 1


def test_statistics(runner):
    """Running statistics, and those that are returned."""
    x = sample((3, 100, 400), mean=3)

    def states():
        kept = np.zeros(100, np.float32), np.ones(100, np.float32)
        results = normcy.batch_norm(x, *kept, training=True, return_stats=True)
        return [
            *results,
            *kept,
            *normcy.moments(x, (0, 2)),
            normcy.evonorm_b0(x, kept[1], None, None, x[0, :, 0], True),
        ]

    with normcy.num_threads(1):
        expected = states()
    with runner() as phases:
        assert all(map(same_bits, states(), expected))
    assert max(phases) > 1
