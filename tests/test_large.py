"""Arrays of more than 2**31 elements: every index is 64 bits wide."""

import numpy as np
import pytest
from methods import every_layout, same_bits, sample

import normcy

ELEMENTS = 2**31 + 2**12


def available():
    """Returns the bytes of free memory, if the system says so."""
    try:
        with open("/proc/meminfo") as f:
            return next(int(line.split()[1]) * 1024 for line in f if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return 0


needs_memory = pytest.mark.skipif(available() < 12 * 2**30, reason="needs 12 GiB of free memory")


@needs_memory
def test_more_than_int32_elements():
    """It runs in place, with values only where a 32-bit index would be wrong: the last rows and columns."""
    x = np.zeros(ELEMENTS, np.float32)  # pages of zeros take no memory until they are written
    row = np.arange(4096, dtype=np.float32)
    rows = x.reshape(-1, 4096)
    rows[-1] = row
    mean, var = normcy.moments(x, 0)
    np.testing.assert_allclose(mean, row.sum(dtype=np.float64) / ELEMENTS, rtol=1e-12)
    np.testing.assert_allclose(var, (row.astype(np.float64) ** 2).sum() / ELEMENTS - mean**2, rtol=1e-8)
    mean, var = normcy.moments(rows, 0)
    np.testing.assert_allclose(mean, row.astype(np.float64) / len(rows), rtol=1e-12)
    mean, _ = normcy.moments(x.reshape(2, -1), 1)
    np.testing.assert_allclose(mean, [0, 2 * row.sum(dtype=np.float64) / ELEMENTS], rtol=1e-12)
    expected = normcy.rms_norm(row, 4096)
    assert normcy.rms_norm(rows, 4096, out=rows) is rows
    assert np.array_equal(rows[-1], expected)
    assert not rows[-2].any()
    rows[-1] = row
    normcy.batch_norm(rows, np.ones(4096, np.float32), np.ones(4096, np.float32), eps=0, out=rows)
    assert np.array_equal(rows[-1], row - 1)
    assert np.all(rows[-2] == -1)
    assert np.all(rows[0] == -1)


SAMPLE = 4096
PER_SAMPLE = {
    "batch": lambda x, c, **kw: normcy.batch_norm(x, np.ones(c, np.float32), np.full(c, 3, np.float32), **kw),
    "instance": lambda x, c, **kw: normcy.instance_norm(x, **kw),
    "group": lambda x, c, **kw: normcy.group_norm(x, 2, **kw),
    "layer2d": lambda x, c, **kw: normcy.layer_norm2d(x, **kw),
    "instance gelu": lambda x, c, **kw: normcy.instance_norm(x, activation="gelu", **kw),
    "adain": lambda x, c, **kw: normcy.adain(x, (np.full((len(x), c), 2, np.float32),) * 2, **kw),
    "conditional": lambda x, c, **kw: normcy.conditional_instance_norm(
        x, np.ones(len(x), np.uint8), *np.ones((2, 2, c), np.float32), **kw
    ),
    "evonorm_s0": lambda x, c, **kw: normcy.evonorm_s0(x, 2, None, None, np.ones(c, np.float32), **kw),
    "evonorm_b0": lambda x, c, **kw: normcy.evonorm_b0(x, *[np.ones(c, np.float32)] * 4, **kw),
    "renorm": lambda x, c, **kw: normcy.batch_renorm(x, np.ones(c, np.float32), np.full(c, 3, np.float32), **kw),
}


@needs_memory
@pytest.mark.torture
@every_layout
@pytest.mark.parametrize("channels", [8, 512])
def test_last_sample_of_many(layout, channels):
    """It runs in place: the last of more than 2**31 values have the result that they have alone."""
    shape = (channels, SAMPLE // channels) if layout == "NCHW" else (SAMPLE // channels, channels)
    x = np.zeros(ELEMENTS, np.float32).reshape(-1, *shape)
    last = sample(shape, mean=1)[None]
    for name, call in PER_SAMPLE.items():
        x[-1:] = last
        expected = call(last, channels, layout=layout)
        assert call(x, channels, layout=layout, out=x) is x
        assert same_bits(x[-1:], expected), name
