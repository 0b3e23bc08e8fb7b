"""Runs one parameter of each benchmark class as asv does, without asv, and without a look at times."""

import importlib.util
import inspect
import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest

import normcy
from normcy import _native

ROOT = Path(__file__).parents[1]
MODULES = ("bench_norms", "bench_overhead", "bench_libraries")
KINDS = ("time_", "timeraw_", "track_")

if not (ROOT / "benchmarks").exists():
    pytest.skip("needs the source tree", allow_module_level=True)
sys.path.insert(0, str(ROOT))


def benchmarks():
    """Returns every method that asv would find, with its class."""
    for module in MODULES:
        for name, cls in inspect.getmembers(importlib.import_module(f"benchmarks.{module}"), inspect.isclass):
            for method in dir(cls):
                if method.startswith(KINDS) and not name.startswith("_"):
                    yield pytest.param(cls, method, id=f"{name}.{method}")


@pytest.fixture
def threads(monkeypatch):
    """Benchmarks set the threads of the process; here they set those of this thread, which is undone."""
    monkeypatch.setattr(normcy, "set_num_threads", _native.override_threads)
    yield
    _native.override_threads(None)


def smallest(cls):
    """Returns one parameter of each kind: a case of few floats, one thread, and the first of the others."""
    if not hasattr(cls, "params"):
        return ()
    axes = cls.params if isinstance(cls.params[0], tuple) else (cls.params,)
    small = ("WaveNet weight", "LLM decode rms", "ResNet-50 batch 8x2048x7x7", "layer_norm 4x64", "BERT-base layer")
    return tuple(next((p for p in axis if str(p).startswith(small)), axis[0]) for axis in axes)


@pytest.mark.parametrize(("cls", "method"), list(benchmarks()))
def test_benchmark(cls, method, threads, monkeypatch):
    """It runs after its setup; a number that it tracks is finite and has a unit."""
    common = importlib.import_module("benchmarks.common")
    monkeypatch.setattr(common, "REST_SECONDS", 0)
    params, bench = smallest(cls), cls()
    if hasattr(bench, "setup"):
        bench.setup(*params)
    try:
        result = getattr(bench, method)(*params)
    except NotImplementedError:
        pytest.skip("cannot be measured on this system")
    if method.startswith("track_"):
        assert getattr(bench, method).unit
        assert abs(result) < 1e9
    elif method.startswith("timeraw_"):
        statement, setup = (result, "") if isinstance(result, str) else result
        subprocess.run([sys.executable, "-c", f"{setup}\n{statement}"], check=True, cwd=ROOT)


def test_busy(threads, capsys, monkeypatch):
    """Its table has a row for each case, and its processes end."""
    busy = importlib.import_module("benchmarks.busy")
    monkeypatch.setattr(busy, "START_SECONDS", 0)
    busy.show(1, seconds=0)
    told = capsys.readouterr().out
    assert "1 busy process" in told
    assert told.count("instance") == 2
    assert f"of {len(busy.CASES)} cases" in told
    assert not multiprocessing.active_children()


@pytest.fixture
def cliffs(threads, monkeypatch):
    """The scan of random calls, with calls that take no time."""
    module = importlib.import_module("benchmarks.cliffs")
    for name, value in {"MOST_FLOATS": 1 << 12, "SECONDS": 0, "ROUNDS": 1, "ROUNDS_AGAIN": 1}.items():
        monkeypatch.setattr(module, name, value)
    if importlib.util.find_spec("torch"):  # its threads are OpenMP's, and so normcy's
        monkeypatch.setattr("torch.set_num_threads", lambda number: None)
    return module


def test_cliffs(cliffs, capsys, monkeypatch):
    """Every norm is drawn, and takes what is drawn; with a limit of 0, all calls are slower."""
    assert {cliffs.draw(1, number).method for number in range(100)} == set(cliffs.NORMS)
    monkeypatch.setattr(sys, "argv", ["cliffs", "--calls", "100", "--limit", "0", "--show", "5", "--check"])
    with pytest.raises(SystemExit) as end:
        cliffs.main()
    assert end.value.code == 1
    assert "100 of 100 calls are slower" in capsys.readouterr().out


def test_cliffs_are_of_equal_results(cliffs, monkeypatch):
    own = cliffs.in_normcy
    monkeypatch.setitem(cliffs.WAYS, "normcy", lambda *given: own(*given)._replace(result=lambda y: y + 1))
    with pytest.raises(SystemExit, match="normcy and numpy differ"):
        cliffs.ways_of(cliffs.draw(1, 0), ["numpy", "normcy"], 1)


def test_a_library_that_is_missing_is_skipped(monkeypatch, threads):
    """NotImplementedError tells asv that a benchmark cannot run here."""
    libraries = importlib.import_module("benchmarks.bench_libraries")
    monkeypatch.setitem(libraries.PEERS, "torch", libraries.PEERS["torch"]._replace(packages=("no_such_package",)))
    with pytest.raises(NotImplementedError):
        libraries.Libraries().setup("torch", libraries.Libraries.params[1][0])


def test_numpy_is_enough():
    """The benchmarks can be imported with old commits and without the packages of `normcy compare`."""
    names = ", ".join(f"benchmarks.{module}" for module in MODULES)
    program = f"import sys, {names}; sys.exit(any(name in sys.modules for name in ('rich', 'matplotlib', 'asv')))"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
def test_peak_memory():
    """Memory that is allocated and freed within a call counts, in C too, to a few pages."""
    program = """
import numpy as np
from benchmarks.common import peak_memory
sizes = (0, 100 << 10, 8 << 20)
for _ in range(3):  # the kernel counts pages in lots: those that a new process is still short of come first
    found = [peak_memory(lambda: np.ones(size, np.uint8)) for size in sizes]
assert all(abs(a - b) < 64 << 10 for a, b in zip(found, sizes)), found
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)  # apart from the memory of other tests
