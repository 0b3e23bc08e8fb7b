"""The caller's floating-point settings change no bit of any result, raise nothing, and are restored afterwards."""

import ctypes
import itertools
import platform
import struct
import threading

import numpy as np
import pytest
from calls import CALLS, Call, seen
from methods import sample
from pairs import every, in_part

import normcy

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or platform.machine() not in ("x86_64", "aarch64"),
    reason="needs the C library's functions for floating-point environments, as glibc has them",
)

X86 = platform.machine() == "x86_64"
MODES = {  # bits of MXCSR, or of FPCR, that are set
    "up": 0x4000 if X86 else 0x400000,
    "down": 0x2000 if X86 else 0x800000,
    "towards zero": 0x6000 if X86 else 0xC00000,
    "subnormals flushed": 0x8040 if X86 else 0x1000000,
}
TRAPS = 0x0680  # bits of MXCSR that are cleared: invalid operations, division by zero and overflow end the process
PLACE = 28 if X86 else 0  # position of that register in an fenv_t


class Mode:
    """Sets a floating-point mode of the calling thread in a with block."""

    def __init__(self, name):
        self.name, self.libm = name, ctypes.CDLL("libm.so.6")

    def environment(self):
        memory = ctypes.create_string_buffer(64)
        assert self.libm.fegetenv(memory) == 0
        return memory

    def control(self):
        return struct.unpack_from("I", self.environment(), PLACE)[0] & ~(0x3F if X86 else 0)

    def __enter__(self):
        changed, self.before = self.environment(), self.environment()
        control = self.control() & ~TRAPS if self.name == "traps" else self.control() | MODES[self.name]
        struct.pack_into("I", changed, PLACE, control)
        self.libm.fesetenv(changed)
        self.set = self.control()
        assert self.set == control
        return self

    def __exit__(self, *_):
        kept = self.control() == self.set
        self.libm.fesetenv(self.before)
        assert kept, "the mode was not put back"


every_mode = pytest.mark.parametrize("mode", [*MODES, *(["traps"] if X86 else [])])
# calls that start threads, or return no numbers, are left out
COMPUTING = [name for name in CALLS if name not in ("set_num_threads", "num_threads")]
CASES = [*itertools.product(range(6), (1, 1e-40, 1e30))]  # calls, with ordinary, subnormal and huge values


def outcome(name, seed, scale, change=None):
    """Returns the result of a call and its arrays; values are scaled to cause subnormals or overflows."""
    call = Call(name, seed)
    for key, value in call.kw.items():
        if isinstance(value, np.ndarray) and value.dtype == np.float32 and key in ("x", "v", "content", "g"):
            call.kw[key] = (value * np.float32(scale)).astype(np.float32)
    if change is None:
        result = call()
    else:
        with change:
            result = call()
    return seen(result), seen(call.own_arrays()), [a.tobytes() for a in call.written()]


@every_mode
@pytest.mark.parametrize("name", COMPUTING)
@in_part(5)
def test_modes_change_nothing(name, mode, share):
    for seed, scale in every(share, CASES, list(MODES).index(mode) if mode in MODES else len(MODES)):
        assert outcome(name, seed, scale, Mode(mode)) == outcome(name, seed, scale)


@pytest.mark.parametrize("name", COMPUTING)
@in_part(2)
def test_numpy_errors_are_not_the_callers(name, share):
    """np.seterr(all="raise") does not raise for valid results."""
    for seed, scale in every(share, CASES, 0):
        with np.errstate(all="ignore"):
            expected = outcome(name, seed, scale)
        assert outcome(name, seed, scale, np.errstate(all="raise")) == expected


@every_mode
def test_after_an_error(mode):
    """A call that raises restores the mode, too."""
    with Mode(mode), pytest.raises(ValueError, match="eps"):
        normcy.layer_norm(np.ones((2, 3), np.float32), 3, eps=float("nan"))


@every_mode
def test_large_arrays_and_threads(mode):
    """Worker threads have modes of their own, while the calling thread has this one."""
    x = (sample((8, 64, 40, 40)) * 1e-39).astype(np.float32)

    def results():
        mean, var = np.zeros(64, np.float32), np.ones(64, np.float32)
        with normcy.num_threads(3):
            y = normcy.batch_norm(x, mean, var, training=True, eps=1e-42)
            return [y.tobytes(), mean.tobytes(), var.tobytes(), normcy.group_norm(x, 8, eps=1e-42).tobytes()]

    expected, found = results(), []

    def called():
        with Mode(mode):
            found.extend(results())

    thread = threading.Thread(target=called)
    thread.start()
    thread.join()
    assert found == expected
