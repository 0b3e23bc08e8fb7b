"""normcy's engine from Cython, by its prange: prange_norms.pyx gives the bits of normcy.batch_norm with its operands.

`make examples` builds prange_norms.pyx in a copy of this folder, and runs this there.
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
        print(f"{threads} threads of prange: the bits of normcy.batch_norm, its sum and its means")
    try:
        prange_norms.add_and_normalize(x, residual, weight, bias, residual, mean, 2)
    except ValueError as error:
        print(f"refused: {error}")
    else:
        raise AssertionError("an output that is the sum's memory")


if __name__ == "__main__":
    main()
