"""Makes as many calls as the argument says, of all kinds, and prints by how many bytes the process has grown."""

import resource
import sys

import numpy as np

import normcy

x = np.ones((2, 4, 8), np.float32)
view, out, big = x.copy()[:, ::-1], np.empty_like(x), np.ones((4, 64, 40), np.float32)
mean, var, weight = np.zeros(4, np.float32), np.ones(4, np.float32), np.ones(4, np.float32)
layer, gathered = normcy.BatchNorm(4), normcy.Moments(4)
CALLS = 11


def calls():
    normcy.layer_norm(x, 8)
    normcy.layer_norm(x, 8, out=out)
    normcy.batch_norm(view, mean, var, weight, training=True, return_stats=True)
    normcy.group_norm(x, 2, weight, layout="NCHW", out=view)
    normcy.rms_norm(big, 40, post_add=big, activation="silu")
    layer(x, out)
    gathered.update(x)
    normcy.moments(view, (0, 2))
    for wrong in (x.T, 3, x.astype(np.float64)):
        try:
            normcy.instance_norm(x, weight=wrong, out=out)
        except (TypeError, ValueError):
            continue
        raise AssertionError(wrong)


def used():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * resource.getpagesize()


for _ in range(2000):
    calls()
before = used()
for _ in range(int(sys.argv[1]) // CALLS):
    calls()
print(used() - before)
