"""normcy's engine from C, on pthreads: module.c returns the same bits as normcy.rms_norm, and normcy's error messages.

`make examples` copies this folder to build/examples, builds module.c there, and runs this file.
"""

import numpy as np
import pthread_norms

import normcy


def main():
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((2048, 768), dtype=np.float32), rng.standard_normal(768, dtype=np.float32)
    expected = normcy.rms_norm(x, 768, weight, eps=1e-6)
    for threads in (1, 2, 5):
        y = np.empty_like(x)
        pthread_norms.rms_norm(x, weight, y, threads)
        assert y.tobytes() == expected.tobytes()
        print(f"with {threads} pthreads: the same bits as normcy.rms_norm")
    try:
        pthread_norms.rms_norm(x[:-1], weight, x[1:], 2)
    except ValueError as error:
        print(f"ValueError: {error}")
    else:
        raise AssertionError("an output that overlaps its input was accepted")


if __name__ == "__main__":
    main()
