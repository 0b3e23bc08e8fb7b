"""Many threads at once, beside others' OpenMP, and where they cannot be started; limits: test_thread_limits.py."""

import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from compilers import COMPILERS, ROOT, attack
from methods import LAYOUTS, METHODS, check, parameters, same_bits, sample
from programs import openmp_library, run

import normcy
from normcy import _native

pytestmark = pytest.mark.skipif(not normcy.get_config()["openmp"], reason="a build without OpenMP has one thread")
linux = pytest.mark.skipif(sys.platform != "linux", reason="counts threads, and limits them, as Linux does")
SHARED = (8, 18, 24, 24)  # enough for more than one thread
CASES = [(method, layout) for method in METHODS for layout in LAYOUTS]


@pytest.mark.skipif(not COMPILERS, reason="needs gcc or clang")
@pytest.mark.parametrize(("flags", "rounds"), [([], 200_000), (["-fsanitize=thread", "-g"], 20_000)])
def test_each_part_once(tmp_path, flags, rounds):
    """Parts are claimed once, one step after the other, also by workers that come late; claims.c alone."""
    command = [attack(tmp_path, "shared_parts", ROOT / "src/runtime/claims.c", *flags), str(rounds)]
    subprocess.run(command, check=True, timeout=120)


def diary(seed, rounds):
    """Makes the calls of one thread, whose results depend on the seed alone."""
    x = sample(SHARED, seed=seed)
    layout, c = LAYOUTS[seed % 2], x.shape[(1, 3)[seed % 2]]
    mean, var, y, told = np.zeros(c, np.float32), np.ones(c, np.float32), np.empty_like(x), []
    layer = normcy.BatchNorm(c, layout=layout)
    for _ in range(rounds):
        normcy.batch_norm(x, mean, var, training=True, layout=layout, out=y)
        normcy.group_norm(y, 2, layout=layout, activation="silu", out=y)
        told += [y.copy(), mean.copy(), var.copy(), normcy.moments(x, (0, 2))[1], layer(x)]
    return [*told, layer.running_mean, layer.running_var]


def sixteen_threads(rounds):
    """Each works on a shared array and on its own, with its own number of threads; one sets the process's. Sixteen
    threads crowd each other, so that calls sometimes take one thread."""
    _native.judge_calls(True)
    shared = sample(SHARED)
    plain = [check(method, shared, layout) for method, layout in CASES]
    alone = [diary(seed, rounds) for seed in range(16)]
    start, over = threading.Barrier(17), threading.Event()

    def work(seed):
        start.wait(60)
        with normcy.num_threads(seed % 5 + 1) if seed % 5 else nullcontext():
            for i in range(rounds * len(CASES)):
                method, layout = CASES[(i + seed) % len(CASES)]
                y = method.call(normcy, shared, layout, **parameters(method, shared, layout))
                assert same_bits(y, plain[(i + seed) % len(CASES)]), method.name
            return diary(seed, rounds)

    def flip():
        start.wait(60)
        while not over.wait(0.001):
            for n in (1, 3, 4):
                normcy.set_num_threads(n)

    with ThreadPoolExecutor(17) as pool:
        flipping = pool.submit(flip)
        try:
            for seed, told in enumerate(pool.map(work, range(16))):
                assert all(map(same_bits, told, alone[seed])), seed
        finally:
            over.set()
            flipping.result()


@pytest.mark.parametrize("rounds", [1, pytest.param(40, marks=pytest.mark.torture)])
def test_sixteen_threads(rounds):
    run(f"import test_threads; test_threads.sixteen_threads({rounds})", timeout=60 * rounds)


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    return f"""
import ctypes
peer = ctypes.CDLL({str(openmp_library(tmp_path_factory.mktemp("peer")))!r})
told = []
@ctypes.CFUNCTYPE(None, ctypes.c_int)
def call(i):
    told.append((i, right() and right(), normcy.get_num_threads()))
"""


def test_inside_a_parallel_region(peer):
    """In a call from each thread of another library's region, normcy starts no threads of its own."""
    run(peer + """
for threads in (2, 3, 8):    # growing: those that a smaller region lets go of end when they get to it
    told.clear()
    peer.from_region(threads, call)
    assert sorted(told) == [(i, True, 1) for i in range(threads)], told
    assert tasks() <= threads + limit, tasks()
assert right()
""".replace("limit", str(2 * (os.cpu_count() or 1))))  # fmt: skip


def test_threads_that_python_has_not_made(peer):
    run(peer + """
normcy.set_num_threads(3)
for again in range(3):
    told.clear()
    peer.from_pthreads(12, call)
    assert sorted(told) == [(i, True, 3) for i in range(12)], told
    assert right()
""")  # fmt: skip


@linux
def test_a_smaller_team_lets_the_others_go():
    """GNU's OpenMP keeps as many workers as the last team had, so that num_threads limits those of the process."""
    run("""
normcy.set_num_threads(4)
assert right()
four = tasks()
normcy.set_num_threads(2)
assert right()
for again in range(200):    # they end when they get to it
    if tasks() == four - 2 or "libgomp" not in open("/proc/self/maps").read():
        break
    time.sleep(0.02)
else:
    raise AssertionError((four, tasks()))
""")


@pytest.mark.parametrize("imports", ["import torch", "import normcy, torch"])
def test_beside_torch(imports):
    """torch works in parallel before, after and during the calls; both may share one OpenMP."""
    pytest.importorskip("torch", reason="needs torch")
    run("""
import torch
normcy.set_num_threads(3)
big = torch.ones(512, 2048)
def work():
    return torch.nn.functional.layer_norm(big, (2048,)).abs().max() == 0
for threads in (2, 4, 1, 3):
    torch.set_num_threads(threads)
    for again in range(20):
        assert right() and work() and right()
other = threading.Thread(target=lambda: [work() for again in range(100)])
other.start()
assert all(right() for again in range(100))
other.join(30)
assert not other.is_alive()
assert child(right)
assert right() and work()
""", first=imports)  # fmt: skip


# A program that starts as many threads as it can.
CALLS = """
calls = [
    lambda: normcy.instance_norm(x),
    lambda: normcy.layer_norm2d(x, layout="NHWC"),
    lambda: normcy.batch_norm(x, None, None, training=True),
    lambda: normcy.batch_norm(x, None, None, training=True, layout="NHWC"),
    lambda: normcy.batch_norm(x, np.zeros(50, np.float32), np.ones(50, np.float32)),
    lambda: normcy.batch_norm(x, np.zeros(60, np.float32), np.ones(60, np.float32), layout="NHWC"),
    lambda: normcy.layer_norm(x, (50, 60)),
    lambda: normcy.layer_norm(x.reshape(2, -1), (96000,)),
]
with normcy.num_threads(1):
    expected = [call() for call in calls]
def all_right():
    return all((call().view("i4") == y.view("i4")).all() for again in range(3) for call, y in zip(calls, expected))
import resource
def room(megabytes):
    "Leaves that much address space."
    used = int(open("/proc/self/statm").read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + (megabytes << 20), resource.RLIM_INFINITY))
def gone(left):
    "Waits until only that many threads are left: they end a moment after they are told to."
    while tasks() > left:
        time.sleep(0.001)
def at_most(n):
    "As a user who is not root and has no other processes, at most n threads."
    if os.getuid() == 0:
        os.setuid(54321)
    resource.setrlimit(resource.RLIMIT_NPROC, (n, n))
"""
as_another = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="needs root, to be a user without processes"
)


@linux
@pytest.mark.parametrize("threads", [4, 5000])
@pytest.mark.parametrize("megabytes", [4, 12, 20, 100, 600])
def test_address_space_for_a_few_threads(threads, megabytes):
    """Each takes its stack of 8 MiB; if one could not be started, OpenMP would end the process."""
    run(CALLS + f"""
normcy.set_num_threads({threads})
room({megabytes})
assert all_right()
print(tasks())
""")  # fmt: skip


@linux
@as_another
@pytest.mark.parametrize("limit", [1, 2, 3, 6])
def test_limit_of_processes(limit):
    """A user's limit allows some threads, and as many are started."""
    assert run(CALLS + f"""
normcy.set_num_threads(8)
at_most({limit})
assert all_right()
print(tasks())
""", OPENBLAS_NUM_THREADS="1") == str(limit)  # fmt: skip


@linux
@as_another
def test_threads_that_grow_at_once():
    """Four threads each need three more, but only six can be started: none relies on those of another."""
    run(CALLS + """
normcy.set_num_threads(4)
for again in range(20):
    start = threading.Barrier(4)
    def work():
        start.wait(20)
        told.append(all_right())
    told, threads = [], [threading.Thread(target=work) for i in range(4)]
    if not again:
        at_most(7)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == [True] * 4
    gone(1)
""", OPENBLAS_NUM_THREADS="1")  # fmt: skip


@linux
@as_another
def test_another_library_shrinks_the_team(peer):
    """OpenMP ends workers when any library asks for fewer; normcy notices if they cannot be started again."""
    run(peer + CALLS + """
normcy.set_num_threads(8)
assert right() and tasks() >= 8
assert peer.region(3) == 3
gone(3)
at_most(4)
assert all_right()
assert tasks() == 4
""", OPENBLAS_NUM_THREADS="1")  # fmt: skip


@linux
def test_no_more_threads_than_tasks():
    """65536 threads are set for arrays of less than a megabyte; workers are kept, and not started again."""
    run(CALLS + """
normcy.set_num_threads(65536)
assert normcy.get_num_threads() == 1024
assert 1 < team() <= x.size // 4096
few = sample((3, 16384 * 3))
with normcy.num_threads(1):
    expected_few = normcy.layer_norm(few, few.shape[1])
before = tasks()
assert same_bits(normcy.layer_norm(few, few.shape[1]), expected_few) and tasks() == before
assert all_right()
assert tasks() <= before + x.size // 4096
""")  # fmt: skip


@linux
@pytest.mark.torture
def test_a_thousand_threads():
    run(CALLS + """
x = sample((64, 64, 64, 64))
with normcy.num_threads(1):
    plain = normcy.instance_norm(x)
normcy.set_num_threads(65536)
assert right() and right()
assert 1000 < tasks() <= 1024 + 64, tasks()
""", timeout=300)  # fmt: skip


@linux
def test_no_memory_for_scratch():
    """Threads need scratch memory for wide rows: without it there is a MemoryError, and nothing is written."""
    run(CALLS + """
wide = sample((800, 1 << 14))
y, stats = np.full_like(wide, 7), (np.zeros(1 << 14, np.float32), np.ones(1 << 14, np.float32))
def call():
    return normcy.batch_norm(wide, *stats, training=True, out=y)
from tunings import TUNINGS
_native.tuning.use_tuning(TUNINGS["small"])  # whose parts have the same 8 MiB of scratch on every machine
normcy.set_num_threads(4)
right()
room(3)
try:
    call()
except MemoryError as error:
    assert "nothing was written" in str(error), error
else:
    sys.exit("there was memory")
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
assert (y == 7).all() and not stats[0].any()
call()
assert abs(y - normcy.reference.batch_norm(wide, None, None, training=True)).max() < 1e-5
""", timeout=120)  # fmt: skip


@pytest.mark.torture
def test_without_the_global_lock():
    """Builds a free-threaded CPython, and runs these tests there."""
    script = Path(__file__).parents[1] / ".ci" / "free_threaded"
    if not script.exists() or not shutil.which("apt-get") or os.getuid() != 0:
        pytest.skip("needs a clone of the repository, and root on Debian")
    done = subprocess.run([script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=3600)
    assert done.returncode == 0, done.stdout[-5000:]


COUNTING = {
    "BatchNorm": lambda **kw: normcy.BatchNorm(8, **kw),
    "InstanceNorm": lambda **kw: normcy.InstanceNorm(8, track_running_stats=True, **kw),
    "BatchRenorm": lambda **kw: normcy.BatchRenorm(8, **kw),
    "IBN": lambda **kw: normcy.IBN(8, **kw),
}


@pytest.mark.parametrize("name", COUNTING)
@pytest.mark.parametrize("momentum", [None, 0.25])
def test_threads_that_train_one_layer(name, momentum):
    """Each call is counted once, and updates the statistics: with one batch over and over they become those of it."""
    layer, alone, calls = COUNTING[name](momentum=momentum), COUNTING[name](momentum=momentum), 100
    layer.limits = alone.limits = lambda: (1.0, 0.0)  # BatchRenorm's limits depend on the count
    x = sample((16, 8, 3), mean=2)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: [layer(x) for _ in range(calls)], range(4)))
    for _ in range(4 * calls):
        alone(x)
    for key, value in layer.state_dict().items():
        assert same_bits(value, alone.state_dict()[key]), key
    counts = [v for k, v in layer.state_dict().items() if k.endswith("num_batches_tracked")]
    assert [int(count) for count in counts] == [4 * calls]
