"""Every method x layout x shape x level x thread count against the float64 reference, and equal to the bit."""

import numpy as np
import pytest
from methods import LEVELS, METHODS, Method, check, every_layout, every_method, parameters, same_bits, sample

import normcy

SHAPES = [
    (3, 5),
    (2, 3, 7),
    (1, 1, 40),
    (2, 16, 1, 1),
    (5, 6, 7, 7),
    (2, 40, 9, 11),
    (3, 64, 14, 14),
    (2, 3, 50, 41),
    (1, 8, 96, 100),  # several chunks a slot
    (2, 4, 3, 4, 5),
    (33, 768),
    (40, 24, 30, 2),
    (1, 12, 2, 3, 2, 5),
]


def shape_in(layout, shape):
    return shape if layout == "NCHW" else (shape[0], *shape[2:], shape[1])


def legal(method, shape):
    """Whether a slot of the method has the values that its statistics need."""
    return len(shape) >= method.min_rank and np.prod(shape[2:]) >= method.least_values


@every_layout
@pytest.mark.parametrize(
    ("method", "shape"),
    [(m, shape) for m in METHODS for shape in SHAPES if legal(m, shape)],
    ids=lambda v: v.name if isinstance(v, Method) else str(v),
)
def test_reference(method, layout, shape, use_level):
    x = sample(shape_in(layout, shape), mean=0.5)
    results = []
    for level in LEVELS:
        use_level(level)
        for threads in (1, 2, 3):
            with normcy.num_threads(threads):
                results.append(check(method, x, layout))
    assert all(same_bits(results[0], y) for y in results[1:])


@every_method
@every_layout
@pytest.mark.parametrize(
    "shape", [(2, 3, 350, 360), (70, 30, 21, 19), (3, 257, 33, 31), (2, 300, 12, 23), (2, 700, 23, 12)], ids=str
)
def test_large_enough_for_threads(method, layout, shape, use_level):
    x = sample(shape_in(layout, shape), mean=-2)
    with normcy.num_threads(1):
        expected = check(method, x, layout)
    for level in LEVELS:
        use_level(level)
        for threads in (1, 2, 3, 7):
            with normcy.num_threads(threads):
                assert same_bits(method.call(normcy, x, layout, **parameters(method, x, layout)), expected)


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
def test_lengths(name, layout, use_level):
    """Row and column lengths 0 to 600 and every remainder, of the vectors and of the blocks."""
    method = next(m for m in METHODS if m.name == name)
    for length in [*range(130), *range(130, 600, 7), 255, 256, 257, 511, 512, 513, 599, 600]:
        for shape in [(2, 3, length), (2, length, 3)]:
            if 0 < shape[2 if layout == "NCHW" else 1] < method.least_values or (name == "evonorm_s0" and 0 in shape):
                continue
            x = sample(shape, mean=1, seed=length)
            results = []
            for level in LEVELS:
                use_level(level)
                results.append(check(method, x, layout))
            assert all(same_bits(results[0], y) for y in results[1:]), shape
