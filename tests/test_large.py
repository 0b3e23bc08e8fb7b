"""Arrays of more than 2**31 elements: every index is 64 bits wide."""

import numpy as np
import pytest

import normcy

ELEMENTS = 2**31 + 2**12


def available():
    """Bytes of free memory, where the system says so."""
    try:
        with open("/proc/meminfo") as f:
            return next(int(line.split()[1]) * 1024 for line in f if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return 0


needs_memory = pytest.mark.skipif(available() < 12 * 2**30, reason="needs 12 GiB of free memory")


@needs_memory
def test_more_than_int32_elements():
    """In place, with values only where a 32-bit index would go wrong: the last rows and columns."""
    x = np.zeros(ELEMENTS, np.float32)  # pages of zeros cost nothing until they are written
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
