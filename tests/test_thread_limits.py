"""The environment, threadpoolctl, affinity and control groups limit how many threads a call takes."""

import os
import sys
from pathlib import Path

import pytest
from programs import run

import normcy

pytestmark = pytest.mark.skipif(not normcy.get_config()["openmp"], reason="a build without OpenMP has one thread")
linux = pytest.mark.skipif(sys.platform != "linux", reason="counts threads, and limits them, as Linux does")


@pytest.fixture(scope="module")
def usual():
    """The number of threads without any setting."""
    if sys.platform != "linux":
        pytest.skip("counts threads as Linux does")
    return int(run("print(normcy.get_num_threads(), tasks())").split()[0])


@pytest.mark.parametrize(("environment", "expected"), [
    ({"NORMCY_NUM_THREADS": "3"}, lambda n: 3),
    ({"NORMCY_NUM_THREADS": "5", "OMP_NUM_THREADS": "1"}, lambda n: 5),
    ({"OMP_NUM_THREADS": "1"}, lambda n: 1),
    ({"OMP_NUM_THREADS": "2,7"}, lambda n: min(n, 2)),
    ({"OMP_NUM_THREADS": "9999"}, lambda n: n),
    ({"OMP_NUM_THREADS": "0"}, lambda n: n),
    ({"OMP_NUM_THREADS": "many"}, lambda n: n),
    ({"OMP_THREAD_LIMIT": "1"}, lambda n: 1),
    ({"OMP_THREAD_LIMIT": "2", "NORMCY_NUM_THREADS": "5"}, lambda n: 2),
    ({"OMP_PROC_BIND": "true"}, lambda n: n),
    ({"OMP_PROC_BIND": "spread", "OMP_PLACES": "threads"}, lambda n: n),
    ({"OMP_PROC_BIND": "close", "NORMCY_NUM_THREADS": "5"}, lambda n: 5),
    ({"OMP_WAIT_POLICY": "active"}, lambda n: n),
    ({"OMP_NESTED": "true", "OMP_MAX_ACTIVE_LEVELS": "3"}, lambda n: n),
    ({"OMP_STACKSIZE": "128K"}, lambda n: n),
    ({"OMP_STACKSIZE": " 1 M "}, lambda n: n),
    ({"OMP_STACKSIZE": "a lot"}, lambda n: n),
    ({"OMP_STACKSIZE": "64 X"}, lambda n: n),
    ({"OMP_STACKSIZE": "99999999999999999999"}, lambda n: n),
    ({"OMP_STACKSIZE": "0"}, lambda n: n),
    ({"OMP_STACKSIZE": "-1"}, lambda n: n),
], ids=str)  # fmt: skip
def test_environment(environment, expected, usual):
    """As many threads as it says are reported, and run."""
    said, ran = map(int, run("print(normcy.get_num_threads(), team())", **environment).split())
    assert said == ran == expected(usual)


@linux
@pytest.mark.parametrize("size", ["16K", "32K", "127K", "1000000G", "17179869183G"])
def test_stacks_that_are_too_small_or_too_large(size):
    """If a kernel's variables do not fit a stack, or no system has such a stack, the calling thread works alone."""
    assert run("print(team())", OMP_STACKSIZE=size, NORMCY_NUM_THREADS="3") == "1"


@linux
def test_dynamic(usual):
    """OpenMP may start fewer threads than it is told to, and another number in the next call."""
    assert int(run("print(max(team() for again in range(20)))", OMP_DYNAMIC="true")) <= usual


@linux
def test_threadpoolctl():
    pytest.importorskip("threadpoolctl", reason="needs threadpoolctl")
    run("""
import threadpoolctl
with threadpoolctl.threadpool_limits(1):
    assert normcy.get_num_threads() == team() == 1
assert team() == normcy.get_num_threads()
with threadpoolctl.threadpool_limits(1, user_api="openmp"):
    assert normcy.get_num_threads() == 1
""")  # fmt: skip


@linux
def test_affinity():
    """The affinity is that of the process, before the import and after it, and that of one thread."""
    one = "cpus = os.sched_getaffinity(0); os.sched_setaffinity(0, {min(cpus)})\n"
    assert run("print(normcy.get_num_threads(), team())", first="import os; " + one) == "1 1"
    assert run(one + "print(normcy.get_num_threads(), team())") == "1 1"
    run("usual = normcy.get_num_threads()\ndef work():\n    " + one.replace("; ", "\n    ") + """
    told.append((normcy.get_num_threads(), team()))
told = []
thread = threading.Thread(target=work)
thread.start()
thread.join()
assert told == [(1, 1)], told
assert normcy.get_num_threads() == usual
""")  # fmt: skip


QUOTAS = {
    2: ("/sys/fs/cgroup", lambda group, n: {"cpu.max": f"{n}00000 100000"}),
    1: ("/sys/fs/cgroup/cpu", lambda group, n: {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": f"{n}00000"}),
}


@linux
@pytest.mark.parametrize("version", QUOTAS)
def test_control_group(version, usual):
    """A real control group has a quota of one CPU, and a process is put into it before it starts."""
    root, limits = QUOTAS[version]
    group = Path(root, f"normcy-{os.getpid()}")
    if not Path(root, "cgroup.procs").exists():
        pytest.skip(f"no control groups of version {version} here")
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group of version {version} can be made here: {error}")
    try:
        for name, text in limits(group, 1).items():
            (group / name).write_text(text)
        enter = f"open({str(group / 'cgroup.procs')!r}, 'w').write('0'); "
        assert run("print(normcy.get_num_threads(), team())", first=enter) == "1 1"
    except OSError as error:
        pytest.skip(f"no quota can be set in a control group of version {version} here: {error}")
    finally:
        group.rmdir()
