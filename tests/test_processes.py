"""Children of fork, forkserver and spawn, interrupts, other interpreters, and the end of the process."""

import multiprocessing
import os
import sys
import warnings

import numpy as np
import pytest
from methods import same_bits, sample
from programs import openmp_library, run

import normcy

openmp = normcy.get_config()["openmp"]
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
START_METHODS = [
    pytest.param(m, marks=pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"))
    for m in multiprocessing.get_all_start_methods()
]
LARGE = (64, 50, 60)  # enough for more than one thread


def in_child(x):
    return normcy.instance_norm(x), normcy.get_num_threads()


def fork_in_child(x):
    """Returns the output of a child forked by this process after it has used its threads."""
    with normcy.num_threads(2):
        normcy.instance_norm(x)
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        y, threads = in_child(x)
        os.write(into, bytes([threads]) + y.tobytes()[:1000])
        os._exit(0)
    told = os.read(out, 2000)
    os.waitpid(pid, 0)
    return np.frombuffer(told[1:], np.float32), told[0]


@pytest.mark.parametrize("start_method", START_METHODS)
def test_processes(start_method):
    """A child of fork computes serially and does not hang; other children are ordinary; the parent goes on."""
    x = sample(LARGE)
    with normcy.num_threads(2):
        expected = normcy.instance_norm(x)
        with multiprocessing.get_context(start_method).Pool(2) as pool:
            for y, threads in pool.map_async(in_child, [x] * 4, chunksize=1).get(60):
                assert same_bits(y, expected)
                assert threads == 1 or start_method != "fork"
        assert same_bits(normcy.instance_norm(x), expected)
        assert normcy.get_num_threads() == 2 or not openmp


@forks
@pytest.mark.parametrize("start_method", START_METHODS)
def test_a_child_that_forks(start_method):
    x = sample(LARGE)
    with multiprocessing.get_context(start_method).Pool(1) as pool:
        y, threads = pool.apply_async(fork_in_child, [x]).get(60)
    assert threads == 1
    assert same_bits(y, normcy.instance_norm(x).ravel()[:250])


@forks
def test_fork_of_a_fork():
    run("""
normcy.set_num_threads(3)
usual = normcy.get_num_threads()  # 1 in a build without OpenMP
assert right()
def work():
    return normcy.get_num_threads() == 1 and right()
assert child(lambda: work() and child(lambda: work() and child(work)))
assert right() and normcy.get_num_threads() == usual
""")  # fmt: skip


@forks
@pytest.mark.skipif(not openmp, reason="a build without OpenMP is serial everywhere")
def test_threads_set_in_a_forked_child():
    """There is a warning at the line that sets them, since nothing else would tell; one thread runs."""
    assert run("""
import warnings
def warned(setting):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        setting()
    return [(w.category, os.path.basename(w.filename), str(w.message)) for w in caught]
def several():
    normcy.set_num_threads(np.int64(3))
def in_a_block():
    with normcy.num_threads(3):
        assert normcy.get_num_threads() == 1 and right()
def work():
    ((category, file, message),) = warned(several)
    assert category is RuntimeWarning and file == "<string>", (category, file)
    assert message.startswith("n: expected 1 in a child of fork(), ") and "got 3; start this process by" in message, message
    assert '"spawn" or "forkserver"' in message and normcy.get_num_threads() == 1 and right()
    assert not warned(lambda: normcy.set_num_threads(1)) and not warned(in_a_block)
    return True
assert not warned(several) and normcy.get_num_threads() == 3
assert child(work) and child(lambda: child(work))
assert not warned(several) and right()
print("end")
""") == "end"  # fmt: skip


@forks
def test_fork_before_any_call():
    assert run("assert child(right) and right() and child(right)\nprint('end')") == "end"


@forks
@pytest.mark.parametrize("seconds", [2, pytest.param(120, marks=pytest.mark.torture)])
def test_fork_while_others_are_in_a_call(seconds):
    """The thread was made by Python; other threads use results and their kept memory at that moment."""
    run(f"""
normcy.set_num_threads(2)
big = sample((4, 64, 64, 64))
expected = normcy.group_norm(big, 8)
over, told = threading.Event(), []
def calls():
    while not over.is_set():
        told.append(same_bits(normcy.group_norm(big, 8), expected) and right())
def work():
    return all(right() and same_bits(normcy.group_norm(big, 8), expected) for again in range(3))
def forks():
    until = time.monotonic() + {seconds}
    while time.monotonic() < until:
        told.append(child(work))
threads = [threading.Thread(target=calls) for i in range(3)]
forking = threading.Thread(target=forks)
for thread in (*threads, forking):
    thread.start()
forking.join()
over.set()
for thread in threads:
    thread.join()
assert len(told) > 3 and all(told) and work()
""", timeout=60 + 2 * seconds)  # fmt: skip


@forks
def test_fork_after_another_library_used_openmp(tmp_path):
    """The child's OpenMP believes that it has its parent's workers, whichever library started them."""
    run(f"""
import ctypes
peer = ctypes.CDLL({str(openmp_library(tmp_path))!r})
assert peer.region(3) == 3
assert child(lambda: right() and normcy.get_num_threads() == 1)
assert right()
""")  # fmt: skip


@forks
@pytest.mark.parametrize("imports", ["import torch", "import normcy, torch"])
def test_fork_after_torch(imports):
    pytest.importorskip("torch", reason="needs torch")
    run("""
import torch
torch.set_num_threads(3)
def work():
    return float(torch.nn.functional.layer_norm(torch.ones(512, 2048), (2048,)).abs().max()) == 0
assert work() and child(right) and work() and right() and child(right) and work()
other = threading.Thread(target=lambda: told.append(child(right) and work()))
told = []
other.start()
assert all(right() and work() for again in range(20))
other.join()
assert told == [True]
""", first=imports)  # fmt: skip


def set_threads(n):
    """Returns the messages of warnings in a process, and the number of threads that it uses."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        normcy.set_num_threads(n)
    return [str(w.message) for w in caught], normcy.get_num_threads()


@pytest.mark.skipif(not openmp, reason="a build without OpenMP is serial everywhere")
@pytest.mark.parametrize("start_method", START_METHODS)
def test_threads_set_in_a_worker(start_method):
    """The remedy that the warning names works."""
    with multiprocessing.get_context(start_method).Pool(1) as pool:
        messages, threads = pool.apply_async(set_threads, [2]).get(60)
    assert threads == (1 if start_method == "fork" else 2)
    assert len(messages) == (start_method == "fork")


class Normalized:
    """A torch dataset whose items are normalized by the process that reads them."""

    def __len__(self):
        return 12

    def __getitem__(self, i):
        return normcy.instance_norm(sample(LARGE, seed=i))


@pytest.mark.parametrize("start_method", START_METHODS)
def test_data_loader(start_method):
    torch = pytest.importorskip("torch", reason="needs torch")
    with normcy.num_threads(2):
        expected = [normcy.instance_norm(sample(LARGE, seed=i)) for i in range(12)]
    torch.ones(1 << 20).sum()
    loader = torch.utils.data.DataLoader(
        Normalized(), batch_size=2, num_workers=2, multiprocessing_context=start_method, timeout=60
    )
    for i, batch in enumerate(loader):
        assert same_bits(batch.numpy(), np.stack(expected[2 * i : 2 * i + 2]))


@pytest.mark.parametrize("backend", ["loky", "multiprocessing", "threading"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_joblib(backend):
    joblib = pytest.importorskip("joblib", reason="needs joblib")
    x = sample(LARGE)
    expected = normcy.instance_norm(x)
    work = joblib.Parallel(n_jobs=2, backend=backend, timeout=60)
    for again in range(2):
        for y, threads in work(joblib.delayed(in_child)(x) for i in range(6)):
            assert same_bits(y, expected), again
            assert threads >= 1


def test_interrupt():
    """SIGINT in a long call is raised when it returns: its result is complete, and the process goes on."""
    run("""
big = sample((48, 1 << 20))
y, returned = np.empty_like(big), False
def interrupt():
    while not called:
        time.sleep(0.001)
    time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGINT)
def call():
    normcy.layer_norm(big, big.shape[1], activation="gelu", out=y)
normcy.set_num_threads(1)
called = False
thread = threading.Thread(target=interrupt)
thread.start()
try:
    called = True
    call()
    returned = True
    time.sleep(20)
except KeyboardInterrupt:
    assert not returned
else:
    sys.exit("no interrupt came")
thread.join()
before = y.copy()
y.fill(7)
call()
assert same_bits(y, before) and right()
""")  # fmt: skip


def test_interrupt_of_recalibrate():
    run("""
layer = normcy.BatchNorm(50)
layer(x)
before = {name: value.copy() for name, value in layer.state_dict().items()}
def forward(batch):
    seen.append(batch)
    if len(seen) == 2:
        os.kill(os.getpid(), signal.SIGINT)
    layer(batch)
for again in range(2):
    seen = []
    try:
        normcy.recalibrate([layer], forward, [x, x, x])
    except KeyboardInterrupt:
        pass
    else:
        sys.exit("no interrupt came")
    assert layer.training and all(same_bits(layer.state_dict()[name], before[name]) for name in before)
normcy.recalibrate([layer], layer, [x])
mean = normcy.reference.moments(x, (0, 2))[0]
assert abs(layer.running_mean - mean).max() < 1e-6
""")  # fmt: skip


INTERPRETERS = """
try:
    import _interpreters as interpreters  # 3.13
except ImportError:
    import _xxsubinterpreters as interpreters
other = interpreters.create({arguments})
code = '''
try:
    import numpy as np, normcy
    x = np.arange(120000, dtype=np.float32).reshape(3, -1)
    assert abs(normcy.layer_norm(x, x.shape[1]) - normcy.reference.layer_norm(x, x.shape[1])).max() < 1e-6
except ImportError:
    pass
'''
try:
    problem = interpreters.run_string(other, code)
except interpreters.RunFailedError as error:  # until 3.12; later it is returned
    problem = error
assert problem is None, problem
interpreters.destroy(other)
"""


LEGACY = "'legacy'" if sys.version_info >= (3, 13) else "isolated=False"


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="needs CPython's subinterpreters")
@pytest.mark.parametrize("arguments", ["", LEGACY])
def test_subinterpreter(arguments):
    """There the import is refused, or all is right; the main interpreter goes on, also if it imports normcy first."""
    code = INTERPRETERS.format(arguments=arguments)
    run(code + "assert right()")
    run("assert right()", first=code)


@pytest.mark.parametrize("ending", ["", "sys.exit(0)", "raise SystemExit"])
def test_at_exit(ending):
    """A handler at exit calls normcy while a daemon thread goes on calling."""
    told = run("""
import atexit
normcy.set_num_threads(2)
def calls():
    while True:
        right()
for i in range(3):
    threading.Thread(target=calls, daemon=True).start()
atexit.register(lambda: print(right() and right()))
assert right()
""" + ending)  # fmt: skip
    assert told == "True"


class Late:
    """Calls normcy when the interpreter drops it, as late as possible."""

    def __init__(self, call):
        self.call = call

    def __del__(self):
        self.call()


def test_at_the_very_end():
    run("""
import test_processes
normcy.late = test_processes.Late(right)
sys.late = test_processes.Late(right)
right()
""")  # fmt: skip


@forks
def test_exit_of_a_child():
    """It ends by os._exit, by sys.exit and by returning, with calls before."""
    assert run("""
normcy.set_num_threads(2)
right()
for end in (lambda: os._exit(3), lambda: sys.exit(3)):
    pid = os.fork()
    if pid == 0:
        signal.alarm(40)
        right()
        end()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
    assert right()
print("end", flush=True)
if os.fork():
    os.wait()
""") == "end"  # fmt: skip
