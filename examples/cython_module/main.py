"""normcy's engine from Cython, in a prange: prange_norms.pyx returns the same bits as normcy.batch_norm.

`make examples` copies this folder to build/examples, builds prange_norms.pyx there, and runs this file.
"""

import numpy as np
import prange_norms

import normcy


def main():
    rng = np.random.default_rng(0)
    x, residual = rng.standard_normal((2, 8, 64, 56 * 56), dtype=np.float32)
    weight, bias = rng.standard_normal((2, 64), dtype=np.float32)
    block = {"pre_add": residual, "activation": "relu", "return_stats": True}
    expected, means, _ = normcy.batch_norm(x, None, None, weight, bias, training=True, **block)
    for threads in (1, 2, 5):
        sums, y, mean = residual.copy(), np.empty_like(x), np.empty(64)
        prange_norms.add_and_normalize(x, sums, weight, bias, y, mean, threads)
        assert y.tobytes() == expected.tobytes()
        assert sums.tobytes() == (x + residual).tobytes()
        assert mean.astype(np.float32).tobytes() == means.tobytes()
        print(f"with {threads} threads: the same bits as normcy.batch_norm, also of its sum and means")
    try:
        prange_norms.add_and_normalize(x, residual, weight, bias, residual, mean, 2)
    except ValueError as error:
        print(f"ValueError: {error}")
    else:
        raise AssertionError("an output that overlaps the sum was accepted")


if __name__ == "__main__":
    main()
