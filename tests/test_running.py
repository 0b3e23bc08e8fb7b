"""Running statistics of every function that keeps them: compared with float64, and equal to the bit everywhere."""

import itertools

import numpy as np
import pytest
from methods import ISAS, every_layout, fixed, same_bits, sample
from pairs import every, in_part

import normcy

CALLS = {
    "batch": lambda m, x, a, b, **kw: m.batch_norm(x, a, b, training=True, **kw),
    "batch_biased": lambda m, x, a, b, **kw: m.batch_norm(x, a, b, training=True, unbiased_running_var=False, **kw),
    "instance": lambda m, x, a, b, **kw: m.instance_norm(x, a, b, **kw),
    "evonorm_b0": lambda m, x, a, b, **kw: m.evonorm_b0(x, b, None, None, a.astype(np.float32), True, **kw),
    "batch_renorm": lambda m, x, a, b, **kw: m.batch_renorm(x, a, b, training=True, r_max=3, d_max=5, **kw),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
SHAPES = [(6, 5, 7, 9), (3, 64, 21, 20), (2, 3, 300, 310), (40, 24, 6, 7)]
MOMENTA = [0.1, 1.0, -0.5]
RUNS = [*itertools.product(ISAS, (1, 2, 3))]


@every_call
@every_layout
@pytest.mark.parametrize("mean", [0, 1, 1e4])
@pytest.mark.parametrize("momentum", MOMENTA)
@in_part(4)
def test_values_and_bits(call, layout, mean, momentum, use_isa, share):
    """They are within 2 * 2**-24 of max(|mean|, std), of the variance, and of the deviation."""
    for i, shape in enumerate(SHAPES):
        x = sample(shape if layout == "NCHW" else (shape[0], *shape[2:], shape[1]), mean=mean)
        start = fixed(shape[1], 1), fixed(shape[1], 2, 0.5, 1.5)
        exact = [v.astype(np.float64) for v in start]
        call(normcy.reference, x, *exact, layout=layout, momentum=momentum)
        results = []
        for isa, threads in [RUNS[0], *every(share, RUNS, i + MOMENTA.index(momentum))]:
            use_isa(isa)
            with normcy.num_threads(threads):
                mine = [v.copy() for v in start]
                call(normcy, x, *mine, layout=layout, momentum=momentum)
                results.append(mine)
        for k, least in enumerate((1 + mean, 1)):
            limit = 2 * 2.0**-24 * (np.maximum(np.abs(exact[k]), abs(momentum) * least) + np.abs(start[k]))
            assert np.all(np.abs(results[0][k] - exact[k]) <= limit)
            assert all(same_bits(mine[k], results[0][k]) for mine in results[1:])


@every_call
@every_layout
def test_any_stride(call, layout):
    """Running arrays may be views; the bits are those of contiguous ones."""
    x = sample((4, 6, 5, 6))
    plain = fixed(6, 1), fixed(6, 2, 0.5, 1.5)
    wide = [np.repeat(v, 3)[::-1] for v in plain]
    call(normcy, x, *[w[1::3][::-1] for w in wide], layout=layout)
    call(normcy, x, *plain, layout=layout)
    for view, v in zip(wide, plain, strict=True):
        assert same_bits(np.ascontiguousarray(view[1::3][::-1]), v)


@every_call
def test_nothing_moves_when_a_call_fails(call):
    x = sample((4, 6, 5))
    start = fixed(6, 1), fixed(6, 2, 0.5, 1.5)
    mine = [v.copy() for v in start]
    for wrong in ({"layout": "CHWN"}, {"momentum": "x"}, {"out": np.empty((4, 6), np.float32)}):
        with pytest.raises((TypeError, ValueError)):
            call(normcy, x, *mine, **{"layout": "NCHW", **wrong})
    assert all(same_bits(a, b) for a, b in zip(mine, start, strict=True))
