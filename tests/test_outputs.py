"""Results without ``out=``: the memory of large ones is kept for the next, and no two live ones share any."""

import gc
import multiprocessing
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from compilers import COMPILERS, ROOT, attack

import normcy

LARGE = (4, 64, 48, 48)  # 2.25 MiB


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal(LARGE, np.float32)


def test_memory_comes_back(x):
    """After two results are dropped, the next two get their memory, without new pages."""
    seen = [normcy.instance_norm(x) for _ in range(2)]
    places = {y.ctypes.data for y in seen}
    del seen
    gc.collect()
    again = [normcy.instance_norm(x) for _ in range(2)]
    assert {y.ctypes.data for y in again} == places


def test_living_results_are_apart(x):
    expected = normcy.instance_norm(x, out=np.empty_like(x))
    results = []
    for i in range(12):
        results.append(normcy.instance_norm(x[: 1 + i % 4]))
        if i % 3 == 2:
            del results[i % len(results)]
    for y in results:
        assert np.array_equal(y, expected[: len(y)])
        y.fill(0)
    assert not any(y.any() for y in results)


def test_results_are_arrays_like_any(x):
    """They own their data, and can be resized, to sizes that are kept and to others, and dropped."""
    for shape in ((3, 5), (8, 64, 48, 48), (4, 64, 48, 49), (0,)):
        y = normcy.instance_norm(x)
        assert y.flags.owndata
        assert y.base is None
        kept = y.ravel()[:15].copy()
        y.resize(shape, refcheck=False)
        assert np.array_equal(y.ravel()[:15], kept[: y.size])
        del y
        assert np.array_equal(normcy.instance_norm(x).ravel()[:15], kept)


def test_others_allocate_as_before(x):
    before = np.empty(LARGE, np.float32)
    normcy.instance_norm(x)
    after = np.empty(LARGE, np.float32)
    name = np._core.multiarray.get_handler_name
    assert name(after) == name(before) != name(normcy.instance_norm(x)) == "normcy"


def _in_child(x, queue):
    queue.put(float(normcy.instance_norm(x).sum()))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_children(x):
    """A forked child has copies of the kept memory."""
    y = normcy.instance_norm(x)
    expected = float(y.sum())
    del y
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(x, queue))
    child.start()
    assert queue.get(timeout=60) == normcy.instance_norm(x).sum() == expected
    child.join()


def ask(**environment):
    """Returns whether two large results after each other have the same address."""
    code = """
import numpy as np, normcy
x = np.ones((8, 64, 64, 64), np.float32)
y = normcy.instance_norm(x)
place = y.ctypes.data
y[0, 0, 0, 0] = 7
del y
blocker = np.empty(x.size + 5, np.float32)
print(normcy.instance_norm(x).ctypes.data == place)
"""
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, timeout=120
    )


def test_how_much_is_kept():
    assert ask().stdout == "True\n"
    assert ask(NORMCY_KEEP_OUTPUTS="9").stdout == "True\n"


@pytest.mark.parametrize("value", ["-1", "x", "1.5", "²", "1048576"])
def test_wrong_amount(value):
    assert (
        f"ImportError: NORMCY_KEEP_OUTPUTS={value}: expected a number of MiB" in ask(NORMCY_KEEP_OUTPUTS=value).stderr
    )


@pytest.mark.skipif(not COMPILERS, reason="needs gcc or clang")
def test_what_is_kept(tmp_path):
    """outputs.c alone is tested for its budget, its number of blocks, and their sizes."""
    noted = "-Dfree=noted_free", "-Drealloc=noted_realloc"
    built = attack(
        tmp_path, "kept_outputs", ROOT / "src/runtime/outputs.c", *noted, "-Wno-implicit-function-declaration"
    )
    assert subprocess.run([built]).returncode == 0


SANITIZED = ["-fsanitize=thread", "-g"]


def hammered(folder, rounds, flags, source):
    """Runs a program whose four threads take and free blocks of outputs.c; returns its output and its exit status."""
    built = attack(folder, "shared_outputs", source, *flags)
    free_addresses = ["setarch", "-R"] if flags and shutil.which("setarch") else []
    return subprocess.run([*free_addresses, built, str(rounds)], capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def thread_sanitizer(tmp_path_factory):
    """Returns its flags, if it is available."""
    folder = tmp_path_factory.mktemp("sanitizer")
    (folder / "nothing.c").write_text("int main(void) { return 0; }")
    built = [COMPILERS[0], *SANITIZED, folder / "nothing.c", "-o", folder / "nothing"]
    if subprocess.run(built, capture_output=True).returncode or subprocess.run([folder / "nothing"]).returncode:
        pytest.skip("needs a compiler with ThreadSanitizer")
    return SANITIZED


@pytest.mark.skipif(not COMPILERS, reason="needs gcc or clang")
class TestWithoutTheGlobalLock:
    """Threads take and drop results at once, as they may in a Python without the GIL: outputs.c has its own lock."""

    def test_blocks_are_apart(self, tmp_path):
        done = hammered(tmp_path, 1_000_000, [], ROOT / "src/runtime/outputs.c")
        assert (done.returncode, done.stdout) == (0, "3999988\n"), done.stdout + done.stderr

    def test_no_races(self, tmp_path, thread_sanitizer):
        done = hammered(tmp_path, 5000, thread_sanitizer, ROOT / "src/runtime/outputs.c")
        assert (done.returncode, done.stdout) == (0, "19988\n"), done.stdout + done.stderr

    def test_races_are_seen(self, tmp_path, thread_sanitizer):
        """Without its lock outputs.c has races; otherwise the test above would see nothing."""
        text, lock = (ROOT / "src/runtime/outputs.c").read_text(), "__atomic_test_and_set(&busy, __ATOMIC_ACQUIRE)"
        assert text.count(lock) == 2
        (tmp_path / "lockless.c").write_text(text.replace(lock, "0"))
        done = hammered(tmp_path, 5000, thread_sanitizer, tmp_path / "lockless.c")
        assert done.returncode
        assert "data race" in done.stderr
