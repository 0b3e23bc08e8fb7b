"""Memory: none beside arrays is touched, none leaks, and if there is not enough, nothing has changed."""

import ctypes
import mmap
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from compilers import COMPILERS
from methods import ISAS, METHODS, every_layout, every_method, parameters, same_bits, sample
from pairs import every

import normcy

HERE = Path(__file__).parent
PAGE, PROT_NONE = mmap.PAGESIZE, 0


class Guarded:
    """normcy on copies of arrays that begin or end at a protected page."""

    def __init__(self, at_end, arrays=12, pages=16):
        libc = ctypes.CDLL(None, use_errno=True)
        self.memory = [mmap.mmap(-1, (pages + 2) * PAGE) for _ in range(arrays)]
        self.bytes = [np.frombuffer(m, np.uint8)[PAGE : (pages + 1) * PAGE] for m in self.memory]
        for inside in self.bytes:
            for forbidden in (inside.ctypes.data - PAGE, inside.ctypes.data + inside.nbytes):
                assert libc.mprotect(ctypes.c_void_p(forbidden), ctypes.c_size_t(PAGE), PROT_NONE) == 0
        self.at_end, self.used = at_end, 0

    def copy(self, value):
        if not isinstance(value, np.ndarray) or value.dtype != np.float32:
            return value
        inside = self.bytes[self.used]
        self.used += 1
        start = inside.nbytes - value.nbytes if self.at_end else 0
        copied = inside[start : start + value.nbytes].view(np.float32).reshape(value.shape)
        copied[...] = value
        return copied

    def __getattr__(self, name):
        function = getattr(normcy, name)

        def call(*arguments, **keywords):
            self.used = 0
            copies = [self.copy(a) for a in arguments]
            y = function(*copies, **{key: self.copy(value) for key, value in keywords.items()})
            return np.array(y)

        return call


@pytest.fixture(scope="module", params=[True, False], ids=["at the end", "at the start"])
def guarded(request):
    return Guarded(request.param)


def python(code, **environment):
    """Starts a new interpreter that can import these tests."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(HERE)]), **environment}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)


def test_guard():
    """One float beside an array, on either side, ends the process; otherwise the next test would not see anything."""
    for at_end, beside in ((True, 4), (False, -4)):
        code = f"""
import ctypes, numpy as np
from test_memory import Guarded
x = Guarded({at_end}).copy(np.zeros(1, np.float32))
print(x[0], flush=True)
ctypes.c_float.from_address(x.ctypes.data + {beside}).value
"""
        done = python(code)
        assert (done.returncode, done.stdout) == (-signal.SIGSEGV, "0.0\n"), done.stderr


def fits(method, shape, layout):
    channels = shape[1 if layout == "NCHW" else -1]
    positions = np.prod(shape[1:]) // max(channels, 1)
    enough = positions >= method.least_values and shape[0] * positions > 1 and channels > 1
    return len(shape) >= method.min_rank and (enough or (0 in shape and channels > 1))


def guarded_lengths(method, layout, size, guarded, use_isa, lengths, isas):
    for length in lengths:
        for shape in [(1, 3, length), (1, length, 3), (3, length)]:
            if not fits(method, shape, layout):
                continue
            x = sample(shape, seed=length) * np.float32(size)
            kw = parameters(method, x, layout)
            expected = method.call(normcy, x, layout, **kw)
            for isa in isas or [ISAS[length % len(ISAS)]]:
                use_isa(isa)
                assert same_bits(method.call(guarded, x, layout, **kw), expected)
                assert same_bits(method.call(guarded, x, layout, out=np.empty_like(x), **kw), expected)


@every_method
@every_layout
@pytest.mark.parametrize("size", [1, 1e30])
def test_nothing_beside_arrays_is_touched(method, layout, size, guarded, use_isa):
    """Values of 1e30 are computed again, scaled; each instruction set takes its turn."""
    lengths = [*range(100), *range(100, 600, 7), 255, 256, 257, 511, 512, 513, 600, 1023, 1025]
    turn = METHODS.index(method) + (layout == "NHWC") + (size > 1) + guarded.at_end
    guarded_lengths(method, layout, size, guarded, use_isa, every(4, lengths, turn), None)


@pytest.mark.torture
@every_method
@every_layout
@pytest.mark.parametrize("size", [1, 1e30])
def test_nothing_beside_arrays_is_touched_at_any_length(method, layout, size, guarded, use_isa):
    guarded_lengths(method, layout, size, guarded, use_isa, range(601), ISAS)


def program(name, *arguments, **environment):
    """Returns the number that a program of tests/attacks/ prints."""
    path = os.pathsep.join([*sys.path, str(HERE)])
    command = [sys.executable, HERE / "attacks" / name, *map(str, arguments)]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return int(done.stdout)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux to tell the memory in use")
@pytest.mark.parametrize("calls", [200_000, pytest.param(1_000_000, marks=pytest.mark.torture)])
def test_calls_do_not_grow(calls):
    """This includes calls that raise."""
    assert program("growth.py", calls) < 65536


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc" or not COMPILERS, reason="needs glibc and a compiler")
@pytest.mark.parametrize("whose", ["core", pytest.param("core, whole", marks=pytest.mark.torture)])
def test_each_allocation_of_the_core_fails(tmp_path, whose):
    library = tmp_path / "failing_malloc.so"
    source = HERE / "attacks/failing_malloc.c"
    subprocess.run([COMPILERS[0], "-shared", "-fPIC", "-O1", source, "-o", library], check=True)
    assert program("failing_malloc.py", whose, LD_PRELOAD=str(library)) > 150


def test_each_allocation_of_python_fails():
    """The objects and arrays around the core fail, if at all, before the first write."""
    pytest.importorskip("_testcapi", reason="needs CPython's own test module")
    assert program("failing_malloc.py", "python") > 1000


LIMITED = """
import resource, numpy as np, normcy
x = np.ones((64, 8, 256, 256), np.float32)      # 128 MiB
mean, var, before = np.zeros(8, np.float32), np.ones(8, np.float32), x[:, :, ::2]
normcy.set_num_threads(1)
with open("/proc/self/statm") as f:
    used = int(f.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (32 << 20),) * 2)
for call in (
    lambda: normcy.batch_norm(x, mean, var, training=True),                 # y
    lambda: normcy.batch_norm(before, mean, var, training=True, out=before),  # a copy of a view
    lambda: normcy.layer_norm2d(x, pre_add=x, out=x, post_add=x),             # the sum, aside
):
    try:
        call()
    except MemoryError:
        assert all(np.all(one == 1) for one in x) and not mean.any() and np.all(var == 1)
    else:
        raise AssertionError
assert normcy.batch_norm(x, mean, var, training=True, out=x) is x
assert not any(one.any() for one in x) and np.all(mean == np.float32(0.1))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux to tell the memory in use")
def test_no_room_for_arrays():
    """With a limit on memory, calls that need another array raise, and calls that need none run."""
    assert (done := python(LIMITED)).returncode == 0, done.stderr
