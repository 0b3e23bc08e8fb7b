"""Paths that only large arrays take, each on about the smallest array that takes it.

Results are within the bound, and have the same bits on any instruction set and number of threads. The conditions are in
schedule.pyx, with the numbers of tuning.pyx for one machine whatever the test runs on; in chunks.pyx, apply_panel_tpl.h
and apply_tile_tpl.h.
"""

import itertools

import numpy as np
import pytest
from methods import ISAS, METHODS, check, parameters, same_bits, sample
from tunings import MEASURED, TUNINGS, tuned

import normcy

NAMED = {method.name: method for method in METHODS}


@pytest.fixture(autouse=True)
def numbers_of_one_machine():
    with tuned(MEASURED):
        yield


def case(name, *shape):
    """A method and a shape with channels first, or with channels last if the name says so."""
    name, _, last = name.partition(" ")
    return pytest.param(NAMED[name], "NHWC" if last else "NCHW", shape, id=f"{name}{last}-{'x'.join(map(str, shape))}")


def cases(*all_):
    return pytest.mark.parametrize(("method", "layout", "shape"), all_)


def same_everywhere(method, layout, shape, use_isa, threads=(1, 2, 3)):
    """Checks that the result is right and always the same; returns x, its parameters, and the result."""
    x = sample(shape, mean=0.5)
    kw = parameters(method, x, layout)
    with normcy.num_threads(1):
        expected = check(method, x, layout, **kw)
    for isa, n in itertools.product(ISAS, threads):
        use_isa(isa)
        with normcy.num_threads(n):
            assert same_bits(method.call(normcy, x, layout, **kw), expected), (isa, n)
    return x, kw, expected


@cases(
    case("layer_last", 4160, 1024),
    case("rms_last", 4160, 1024),
    case("instance", 52, 80, 1024),
    case("instance", 2, 41, 52003),
    case("group_of_4", 33, 80, 1601),
    case("batch_train", 13, 20, 16400),
    case("batch_add_relu", 41, 50, 2064),
    case("conditional", 52, 80, 1024),
)
def test_streaming_stores_of_rows(method, layout, shape, use_isa):
    """nontemporal_floats: 3,145,728 values and more, rows of whole vectors or of 2,048 values and more."""
    same_everywhere(method, layout, shape, use_isa)


@cases(
    case("batch_train last", 66001, 64),
    case("batch_add_relu last", 66001, 64),
    case("instance last", 300, 225, 64),
    case("group_of_4 last", 60, 890, 80),
    case("layer2d", 270, 64, 16, 16),
)
def test_streaming_stores_of_columns(method, layout, shape, use_isa):
    """nontemporal_floats: 3,145,728 values and more, rows of whole vectors, at which y is aligned."""
    same_everywhere(method, layout, shape, use_isa)


@cases(case("layer_last", 2100, 1024), case("batch_eval last", 33600, 64))
def test_streaming_stores_of_one_thread(method, layout, shape, use_isa):
    """nontemporal_floats: 2,097,152 values are enough for one thread; two or more take half as many again."""
    same_everywhere(method, layout, shape, use_isa)


@cases(case("layer_last", 4160, 1024), case("batch_train", 13, 20, 16400), case("batch_train last", 66001, 64))
def test_streaming_stores_anywhere(method, layout, shape, use_isa):
    """y begins at any float of a cache line: rows are rotated to where y is aligned, or written through the caches."""
    x, kw, expected = same_everywhere(method, layout, shape, use_isa, threads=())
    memory = np.empty(x.size + 32, np.float32)
    start = -memory.ctypes.data % 64 // 4
    for isa, offset in itertools.product(ISAS, (0, 1, 7, 15)):
        use_isa(isa)
        memory[:] = 7
        out = memory[start + offset : start + offset + x.size].reshape(shape)
        with normcy.num_threads(1):
            assert method.call(normcy, x, layout, out=out, **kw) is out
        assert same_bits(out, expected), (isa, offset)
        out[...] = 7
        assert np.all(memory == 7)


@cases(case("add_layer", 4160, 1024), case("add_layer", 16500, 257), case("add_layer", 520, 8208))
def test_sums_that_nobody_asked_for(method, layout, shape, use_isa):
    """A sum that is not returned is kept in L1 for slots of up to 4,096 values; else y holds it until it is read."""
    x, kw, expected = same_everywhere(method, layout, shape, use_isa)
    addend, total = method.of_samples(x, layout)["pre_add"], np.empty_like(x)
    with normcy.num_threads(1):
        y = method.call(normcy, x, layout, sum_out=total, **kw)
        assert same_bits(y, expected)
        assert same_bits(total, x + addend)
        assert same_bits(method.call(normcy, x, layout, out=total, **kw), expected)


def test_sums_on_the_stack(use_isa):
    """Whatever the caches are, a sum is kept on the stack only where its slot fits there."""
    with tuned(TUNINGS["large"]):
        same_everywhere(NAMED["add_layer"], "NCHW", (5, 8192), use_isa)
        same_everywhere(NAMED["add_layer"], "NCHW", (5, 30_000), use_isa)


@cases(
    *(case(name, 40, n) for name in ("batch_train", "batch_eval") for n in (1024, 1025, 1040, 1500, 2049, 3000)),
    *(case(name, 800, 1500) for name in ("batch_train", "batch_eval", "renorm_train", "weight_norm")),
    *(case(f"{name} last", 3, 40, 1500) for name in ("instance", "group_of_10", "adain", "conditional", "evonorm_b0", "batch_add_relu")),
    *(case(name, 3, 40, 1500) for name in ("layer2d", "layer2d_gelu_tanh")),
    case("batch_train", 2900, 1504),
)  # fmt: skip
def test_more_than_1024_columns(method, layout, shape, use_isa):
    """Sums, and in arrays in cache (coefficient_columns) coefficients, are processed in tiles of 1,024 columns."""
    same_everywhere(method, layout, shape, use_isa)


@cases(
    *(case(name, n, length) for name in ("layer_last", "rms_last", "add_layer") for n, length in ((300, 1025), (7, 1500), (43, 5000), (9, 66000))),
    case("layer_chw", 30, 3, 700),
)  # fmt: skip
def test_long_weights(method, layout, shape, use_isa):
    """long_weight_floats: tiles of eight rows or more share a weight and a bias of more than 1,024 values."""
    same_everywhere(method, layout, shape, use_isa)


@cases(
    case("layer_last", 3, 1_050_003),
    case("rms_last", 1, 1_100_000),
    case("instance", 1, 2, 1_050_003),
    case("group_some", 1, 4, 530_001),
    case("batch_train", 2, 2, 1_050_003),
)
def test_slots_of_more_than_64_chunks_of_rows(method, layout, shape, use_isa):
    """NORMCY_MAX_CHUNKS: in a contiguous slot of more than 64 * 16,384 values, chunks are longer."""
    same_everywhere(method, layout, shape, use_isa)


@cases(
    case("batch_train last", 140_003, 16),
    case("batch_train last", 700_003, 3),
    case("batch_train last", 16_500, 129),
    case("instance last", 1, 140_003, 16),
    case("group_of_4 last", 1, 140_003, 16),
    case("layer2d", 1, 16_500, 129),
)
def test_slots_of_more_than_64_chunks_of_columns(method, layout, shape, use_isa):
    """NORMCY_MAX_CHUNKS: in columns that would have more than 64 chunks, these are longer than 32,768 values, or 256 rows."""
    same_everywhere(method, layout, shape, use_isa)


@cases(
    case("layer_last", 3, 100_003),
    case("add_layer", 3, 100_003),
    case("layer_chw", 3, 4, 25_001),
    case("instance", 1, 5, 60_001),
    case("instance_silu", 1, 5, 60_001),
    case("group_some", 1, 6, 30_001),
    case("batch_train", 4, 3, 50_001),
    case("adain", 1, 3, 60_001),
    case("conditional", 2, 2, 60_001),
    case("evonorm_b0", 1, 3, 60_001),
    case("evonorm_s0", 1, 6, 30_001),
    case("renorm_train", 4, 3, 50_001),
)
def test_few_large_slots_of_rows(method, layout, shape, use_isa):
    """PHASED rows: two or three threads share the chunks of each slot, if there are fewer than two slots for each."""
    same_everywhere(method, layout, shape, use_isa)


@cases(
    *(case(f"{name} last", 3, 5000, 40) for name in ("instance", "group_of_4", "group_of_40", "instance_silu", "adain", "conditional", "evonorm_s0", "evonorm_b0", "evonorm_b0_train", "ibn")),
    *(case(name, 2, 800, 300) for name in ("layer2d", "layer2d_gelu_tanh")),
    *(case(f"{name} last", 3, 40_000, 3) for name in ("instance", "group_1", "batch_train")),
)  # fmt: skip
def test_several_large_panels_of_columns(method, layout, shape, use_isa):
    """PHASED columns: all threads share panels of more than 98,304 values, one after the other."""
    same_everywhere(method, layout, shape, use_isa)
