"""Compares every method, layout, shape, instruction set, tuning and thread count with the reference, and their bits."""

import itertools

import numpy as np
import pytest
from methods import ISAS, LAYOUTS, METHODS, check, every_layout, parameters, same_bits, sample
from pairs import pairs_of, product, spread
from tunings import TUNINGS, tuned

import normcy

SHAPES = [
    (3, 5),
    (2, 3, 7),
    (1, 1, 40),
    (2, 16, 1, 1),
    (5, 6, 7, 7),
    (2, 40, 9, 11),
    (3, 80, 6, 5),
    (3, 64, 14, 14),
    (2, 3, 50, 41),
    (1, 8, 96, 100),  # several chunks for each slot
    (2, 4, 3, 4, 5),
    (33, 768),
    (40, 24, 30, 2),
    (1, 12, 2, 3, 2, 5),
]
LARGE = [(2, 3, 350, 360), (70, 30, 21, 19), (3, 257, 33, 31), (2, 300, 12, 23), (2, 320, 15, 21), (2, 700, 23, 12)]
NAMES = {method.name: method for method in METHODS}


def shape_in(layout, shape):
    return shape if layout == "NCHW" else (shape[0], *shape[2:], shape[1])


def legal(method, shape):
    """Returns whether the method's slots have enough values for its statistics, and groups have the given size."""
    enough = len(shape) >= method.min_rank and np.prod(shape[2:]) >= method.least_values
    return enough and shape[1] % method.group == 0


ROWS = [(method.name, shape) for method in METHODS for shape in SHAPES if legal(method, shape)]
LARGE_ROWS = [(method.name, shape) for method in METHODS for shape in LARGE if legal(method, shape)]
PAIRS = spread(ROWS, LAYOUTS, ISAS, TUNINGS, (1, 2, 3))
LARGE_PAIRS = spread(LARGE_ROWS, LAYOUTS, ISAS, TUNINGS, (2, 3, 7))


def test_pairs():
    """In the part of the grid that runs without `make torture`, every two values meet that do in the whole grid."""
    whole = product(ROWS, LAYOUTS, ISAS, TUNINGS, (1, 2, 3))
    assert set().union(*map(pairs_of, PAIRS)) == set().union(*map(pairs_of, whole))
    assert len(PAIRS) < len(whole) / 15


def run(name, shape, layout, others, use_isa, mean):
    """The best instruction set with one thread and the machine's tuning is within the bound; all others have its bits."""
    method, x = NAMES[name], sample(shape_in(layout, shape), mean=mean)
    with normcy.num_threads(1):
        expected = check(method, x, layout)
    kw = parameters(method, x, layout)
    for isa, tuning, threads in others:
        use_isa(isa)
        with normcy.num_threads(threads), tuned(TUNINGS[tuning]):
            assert same_bits(method.call(normcy, x, layout, **kw), expected), (isa, tuning, threads)


@pytest.mark.parametrize(("name", "shape", "layout", "isa", "tuning", "threads"), PAIRS, ids=str)
def test_reference(name, shape, layout, isa, tuning, threads, use_isa):
    run(name, shape, layout, [(isa, tuning, threads)], use_isa, 0.5)


@pytest.mark.parametrize(("name", "shape", "layout", "isa", "tuning", "threads"), LARGE_PAIRS, ids=str)
def test_large_enough_for_threads(name, shape, layout, isa, tuning, threads, use_isa):
    run(name, shape, layout, [(isa, tuning, threads)], use_isa, -2)


@pytest.mark.torture
@pytest.mark.parametrize(("name", "shape"), ROWS + LARGE_ROWS, ids=str)
@every_layout
def test_whole_grid(name, shape, layout, use_isa):
    others = itertools.product(ISAS, TUNINGS, (1, 2, 3, 7))
    run(name, shape, layout, others, use_isa, -2 if shape in LARGE else 0.5)


@every_layout
@pytest.mark.parametrize(
    "name",
    [
        "batch_train",
        "instance",
        "layer_last",
        "layer2d",
        "rms_last",
        "evonorm_s0",
        "evonorm_b0",
        "batch_add_relu",
        "instance_silu",
    ],
)
def test_lengths(name, layout, use_isa):
    """Rows and columns have lengths of 0 to 600, with every remainder of the vectors and of the blocks."""
    method = next(m for m in METHODS if m.name == name)
    for length in [*range(130), *range(130, 600, 7), 255, 256, 257, 511, 512, 513, 599, 600]:
        for shape in [(2, 3, length), (2, length, 3)]:
            if 0 < shape[2 if layout == "NCHW" else 1] < method.least_values or (name == "evonorm_s0" and 0 in shape):
                continue
            x = sample(shape, mean=1, seed=length)
            expected, kw = check(method, x, layout), parameters(method, x, layout)
            for isa in ISAS:
                use_isa(isa)
                assert same_bits(method.call(normcy, x, layout, **kw), expected), (shape, isa)
