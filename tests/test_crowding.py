"""While others use the CPUs, calls take one thread (src/runtime/crowding.h); times are made up here, and none counts."""

import subprocess
import sys

import pytest
from compilers import COMPILERS, ROOT, attack
from methods import every_layout, every_method, parameters, same_bits, sample
from programs import run

import normcy
from normcy import _native

MS = 1_000_000  # ns
openmp = pytest.mark.skipif(not normcy.get_config()["openmp"], reason="a build without OpenMP has one thread")
linux = pytest.mark.skipif(sys.platform != "linux", reason="counts threads as Linux does")


@pytest.mark.skipif(not COMPILERS, reason="needs gcc or clang")
@pytest.mark.parametrize("flags", [[], ["-fsanitize=undefined", "-fno-sanitize-recover"]], ids=str)
def test_verdicts_and_pauses(tmp_path, flags):
    subprocess.run([attack(tmp_path, "judged_calls", ROOT / "src/runtime/crowding.c", *flags)], check=True, timeout=60)


@pytest.fixture
def judged():
    """Calls are judged; afterwards they are not, and what was found is forgotten."""
    _native.judge_calls(True)
    yield
    _native.judge_calls(False)


@every_method
@every_layout
def test_same_bits(method, layout, judged):
    x = sample((8, 18, 48, 48), mean=3)
    kw = parameters(method, x, layout)
    with normcy.num_threads(3):
        expected = method.call(normcy, x, layout, **kw)
        assert _native.judge_team(1 << 30, 1000 * MS, 1, 0)
        assert same_bits(method.call(normcy, x, layout, **kw), expected)


@openmp
@linux
def test_a_pause_takes_one_thread():
    """No thread is started while there is a pause, which calls use up; then there is a team."""
    run("""
normcy.set_num_threads(3)
_native.judge_calls(True)
assert _native.judge_team(10 * x.size, 60_000_000, 5_000_000, 0)
before, calls = tasks(), 0
while _native.is_crowded():
    assert right() and tasks() == before
    calls += 1
assert calls == 50  # ten, lost five times
assert right() and tasks() == before + 2
""")  # fmt: skip


@openmp
@linux
def test_workers_live_on():
    """OpenMP does not end the workers of a team that rests, as a smaller team would make it do."""
    run("""
normcy.set_num_threads(3)
assert right()
before = tasks()
for again in range(5):
    _native.judge_calls(True)
    assert _native.judge_team(1 << 30, 1_000_000_000, 1, 0)
    assert right() and tasks() == before
    _native.judge_calls(False)
    assert not _native.is_crowded() and right() and tasks() == before
""")  # fmt: skip


@openmp
@linux
@pytest.mark.parametrize("size", [(64, 50, 60), (64, 50, 200)], ids=str)
def test_a_busy_cpu_is_noticed(size):
    """Sooner or later a call of three threads that share one CPU with another process is found to be bad."""
    run(f"""
import subprocess
os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}})
normcy.set_num_threads(3)
big, end = sample({size}), time.monotonic() + 40
other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
try:
    _native.judge_calls(True)
    while not _native.is_crowded():
        assert time.monotonic() < end
        normcy.instance_norm(big)
finally:
    other.kill()
    other.wait()
""")  # fmt: skip


@openmp
def test_a_runner_from_outside_is_not_asked_to_shrink(judged):
    """Threads that are not OpenMP's are others' to divide."""
    x, told = sample((8, 18, 48, 48)), []
    expected = normcy.instance_norm(x)

    def runner(parts, part):
        told.append(parts)
        for i in range(parts):
            part(i)

    _native.use_runner(runner)
    try:
        with normcy.num_threads(3):
            assert _native.judge_team(1 << 30, 1000 * MS, 1, 0)
            assert same_bits(normcy.instance_norm(x), expected)
    finally:
        _native.use_runner(None)
    assert max(told) > 1
