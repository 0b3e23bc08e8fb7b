"""Computes and reads bits.txt, which has hashes of every method's results, for each layout, activation and input.

Run as a program (`make bits`) it writes that file anew. A change that alters the file alters what users get, and has to
say so in the CHANGELOG, with the digest that the program prints.
"""

import hashlib
import sys
import tempfile
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from compilers import build, output
from methods import LAYOUTS, METHODS, Method, channels, fixed, parameters, portable

import normcy

FILE = Path(__file__).with_name("bits.txt")
ACTIVATIONS = (None, "relu", "silu", "gelu", "gelu_tanh")
HEAD = "# Hashes of results, a column for each input of tests/bits.py; - where a method does not take it. By `make bits`.\n"


@dataclass(frozen=True)
class Input:
    shape: tuple[int, ...]  # channels first
    mean: float = 0.0  # in standard deviations
    scale: float = 1.0

    def array(self, layout):
        return _array(self, layout)


@cache
def _array(given, layout):
    shape = given.shape if layout == "NCHW" else (given.shape[0], *given.shape[2:], given.shape[1])
    x = ((portable(shape, 5) + given.mean) * given.scale).astype(np.float32)
    x.flags.writeable = False
    return x


INPUTS = (
    Input((33, 768)),
    Input((2, 3, 7), mean=1),
    Input((5, 6, 7, 7), mean=1e4),
    Input((2, 40, 9, 11), scale=2.0**-130),  # computed again, scaled
    Input((3, 64, 14, 14), scale=2.0**120),
    Input((1, 8, 96, 100), mean=1e6),
    Input((2, 4, 3, 4, 5), mean=-3),
    Input((3, 80, 6, 5), mean=20),
    Input((2, 3, 350, 160)),  # the following are large enough for threads
    Input((70, 30, 21, 19), mean=-2),
    Input((2, 300, 12, 23)),
    Input((2, 320, 15, 21), mean=1),
)


def _with_running(m, x, layout, name, **kw):
    """Returns all outputs of a training step: the result, statistics, and running statistics."""
    c = channels(x, layout)
    mean, spread = fixed(c, c), fixed(c, c + 1, 0.5, 1.5)
    kw = {"layout": layout, **kw}
    if name == "evonorm_b0":
        return m.evonorm_b0(x, spread, None, None, fixed(c, c + 2), True, **kw), spread
    if name == "batch_renorm":
        return m.batch_renorm(x, mean, spread, training=True, r_max=1.5, d_max=0.5, **kw), mean, spread
    training = {"training": True} if name == "batch_norm" else {}
    return *getattr(m, name)(x, mean, spread, **training, return_stats=True, **kw), mean, spread


def _statistics(m, x, layout, name, **kw):
    argument = {"group_norm": (1,), "layer_norm": (x.shape[-1],), "rms_norm": (x.shape[-1],), "layer_norm2d": ()}[name]
    return getattr(m, name)(x, *argument, return_stats=True, **kw)


def _sum(m, x, layout, **kw):
    """Returns the sum before a norm, which is a result too."""
    total = np.empty_like(x)
    addend = np.flip(x, 0).copy()
    return m.layer_norm2d(x, layout=layout, pre_add=addend, sum_out=total, **kw), total


def _moments(m, x, layout):
    gathered = m.Moments.of(x, layout)
    return *m.moments(x, tuple(range(1, x.ndim))), gathered.mean, gathered.var(1)


def _long_slots(m, x, layout):
    """Returns slots of 32,768 values, and of more chunks than are merged, which repeat x."""
    return m.layer_norm(np.resize(x, (2, 32768)), 32768), m.batch_norm(
        np.resize(x, (1, 1, 1100000)), None, None, training=True
    )


def _recalibrated(m, x, layout):
    layer = m.BatchNorm(channels(x, layout), layout=layout)
    m.recalibrate([layer], layer, [x, x[:2]])
    return layer.running_mean, layer.running_var


RESULTS = [
    *(Method(f"{name} running", partial(_with_running, name=name), "none", per_sample=False, min_rank=3, least_values=2)
      for name in ("batch_norm", "instance_norm", "batch_renorm", "evonorm_b0")),
    *(Method(f"{name} statistics", partial(_statistics, name=name), "none", min_rank=3)
      for name in ("group_norm", "layer_norm", "rms_norm")),
    Method("layer_norm2d sum", _sum, "none", per_sample=False),
    Method("moments", _moments, "none", per_sample=False),
    Method("long slots", _long_slots, "none", per_sample=False),
    Method("recalibrate", _recalibrated, "none", per_sample=False),
]  # fmt: skip


def takes_activation(method):
    return method.name == "conditional" or (method in METHODS and method.weights != "none" and not method.slots)


def cases():
    """(method, layout, activation) of every line of the file."""
    for method in (*METHODS, *RESULTS):
        for layout in LAYOUTS:
            for activation in ACTIVATIONS if takes_activation(method) else (None,):
                yield method, layout, activation


def fits(method, given):
    enough = len(given.shape) >= method.min_rank and np.prod(given.shape[2:]) >= method.least_values
    return enough and given.shape[1] % method.group == 0


def keywords(method, x, layout, activation):
    return parameters(method, x, layout) | ({"activation": activation} if activation else {})


def arrays(results):
    return results if isinstance(results, tuple) else (results,)


def digest(results):
    """Returns a hash of the bits of one or several arrays; all NaN count as one, since their bits are not promised."""
    found = hashlib.sha256()
    for array in arrays(results):
        assert not np.isnan(array).any()
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:12]


def line(method, layout, activation):
    return f"{method.name}, {layout}, {activation}"


def computed():
    """Computes the lines of the file."""
    for method, layout, activation in cases():
        hashes = []
        for given in INPUTS:
            x = given.array(layout)
            kw = keywords(method, x, layout, activation)
            hashes.append(digest(method.call(normcy, x, layout, **kw)) if fits(method, given) else "-")
        yield f"{line(method, layout, activation)}: {' '.join(hashes)}\n"


def stored():
    """Reads the file: {line: hashes}."""
    rows = (row.split(": ") for row in FILE.read_text().splitlines() if not row.startswith("#"))
    return {name: hashes.split() for name, hashes in rows}


def digest_of_file():
    return hashlib.sha256(FILE.read_bytes()).hexdigest()[:12]


def kernel_hash():
    """Returns the hash of the C kernels alone, by any compiler at hand; it is the same for every instruction set."""
    with tempfile.TemporaryDirectory() as folder:
        lines = output(build(Path(folder), "bits", ["-O3"]))
    (found,) = {row.split()[1] for row in lines}
    return f"kernels: {found}\n"


if __name__ == "__main__":
    FILE.write_text(HEAD + "".join([*computed(), kernel_hash()]))
    sys.stdout.write(f"the CHANGELOG is to say, under Bits: `{digest_of_file()}`\n")
