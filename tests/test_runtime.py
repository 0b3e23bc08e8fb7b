"""The number of threads, instruction sets, environment and configuration."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from methods import ISAS

import normcy
from normcy import _cpu

openmp = pytest.mark.skipif(not normcy.get_config()["openmp"], reason="a build without OpenMP has one thread")


def run(code, **env):
    """Runs a new interpreter; returns its last line, or that of the error."""
    root = Path(normcy.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(root), **env}, capture_output=True, text=True, timeout=120
    )  # fmt: skip
    return (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()[-1]


@openmp
def test_number_of_threads():
    before = normcy.get_num_threads()
    with normcy.num_threads(7):
        assert normcy.get_num_threads() == 7
        with normcy.num_threads(1):
            assert normcy.get_num_threads() == 1
        assert normcy.get_num_threads() == 7
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(normcy.get_num_threads).result() == before, "num_threads is the calling thread's own"
    assert normcy.get_num_threads() == before


def test_number_of_threads_comes_back_after_an_error():
    before = normcy.get_num_threads()
    with pytest.raises(RuntimeError), normcy.num_threads(5):
        raise RuntimeError
    assert normcy.get_num_threads() == before


@pytest.mark.parametrize("n", [0, -1, 10**9])
def test_impossible_number_of_threads(n):
    for call in (normcy.set_num_threads, lambda n: normcy.num_threads(n).__enter__()):
        with pytest.raises(ValueError, match="n: expected a number of threads from 1 to 65536"):
            call(n)


@pytest.mark.parametrize("n", ["2", 1.5, None, True])
def test_number_of_threads_of_the_wrong_kind(n):
    with pytest.raises(TypeError, match="n: expected a positive int"):
        normcy.set_num_threads(n)


@openmp
def test_number_set_goes_before_the_environment():
    ask = "import normcy; normcy.set_num_threads(9); print(normcy.get_num_threads())"
    assert run(ask, NORMCY_NUM_THREADS="5") == "9"


@pytest.mark.parametrize("value", ["0", "two", "-1", "1.5", " "])
def test_environment_nonsense(value):
    assert f"ImportError: NORMCY_NUM_THREADS={value}: expected a number" in run(
        "import normcy", NORMCY_NUM_THREADS=value
    )


@pytest.mark.parametrize("isa", ISAS)
def test_isa_by_environment(isa):
    assert run("import normcy; print(normcy.get_config()['isa'])", NORMCY_ISA=isa) == isa


def test_isa_nonsense():
    message = run("import normcy", NORMCY_ISA="sse9")
    assert (
        message == f"ImportError: NORMCY_ISA=sse9: this build has no kernels for it; it can be one of {', '.join(ISAS)}"
    )


def test_not_built(tmp_path):
    """In a source tree without a build, the import says what to run."""
    package = tmp_path / "normcy"
    package.mkdir()
    own = Path(normcy.__file__).parent
    for source in [*own.glob("*.py"), *own.glob("*/__init__.py")]:
        copy = package / source.relative_to(own)
        copy.parent.mkdir(exist_ok=True)
        copy.write_text(source.read_text())
    # -S: no site-packages, where an editable install would provide its own build
    command = [sys.executable, "-S", "-c", "import normcy"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "run `make build` or `pip install -e .`" in done.stderr.splitlines()[-1]


def test_cpu_quota(tmp_path, monkeypatch):
    """Limits of the group and of its parents apply, in both versions of control groups."""
    from normcy import _quota

    def text(path):
        return files.get(str(path), "")

    monkeypatch.setattr(_quota, "_read", text)
    files = {"/proc/self/cgroup": "0::/a/b"}
    assert _quota.cpu_quota() == 0
    files["/sys/fs/cgroup/a/b/cpu.max"] = "max 100000"
    files["/sys/fs/cgroup/a/cpu.max"] = "150000 100000"
    assert _quota.cpu_quota() == 2
    files = {"/proc/self/cgroup": "4:cpu,cpuacct:/x"}
    files["/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us"] = "-1"
    files["/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us"] = "100000"
    assert _quota.cpu_quota() == 0
    files["/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us"] = "400000"
    files["/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us"] = "100000"
    assert _quota.cpu_quota() == 4


def test_config(capsys):
    config = normcy.get_config()
    assert config["version"] == normcy.__version__
    assert config["isa"] in config["isa_levels"]
    assert config["crowded"] is False  # tests have no pauses
    normcy.show_config()
    printed = capsys.readouterr().out
    assert all(isa in printed for isa in config["isa_levels"])


@pytest.mark.parametrize(
    ("system", "known", "name"),
    [
        ("linux", "processor : 0\nmodel name\t: A CPU @ 3 GHz\nmodel name : another\n", "A CPU @ 3 GHz"),
        ("linux", "processor : 0\nBogoMIPS : 50\n", "arm"),  # as on 64-bit Arm
        ("linux", None, "arm"),
        ("darwin", "Apple M9\n", "Apple M9"),
        ("darwin", None, "arm"),
    ],
)
def test_name_of_the_cpu(tmp_path, monkeypatch, capsys, system, known, name):
    """It is what Linux or macOS say, or else the architecture."""

    def run(*arguments, **options):
        if known is None:
            raise FileNotFoundError
        return SimpleNamespace(stdout=known)

    if known is not None:
        (tmp_path / "cpuinfo").write_text(known)
    monkeypatch.setattr(_cpu, "_CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(_cpu, "sys", SimpleNamespace(platform=system))
    monkeypatch.setattr(_cpu, "subprocess", SimpleNamespace(run=run, SubprocessError=subprocess.SubprocessError))
    monkeypatch.setattr(_cpu, "platform", SimpleNamespace(processor=lambda: "", machine=lambda: "arm"))
    assert normcy.get_config()["cpu"] == name
    normcy.show_config()
    assert f"CPU               {name}\n" in capsys.readouterr().out


MAPS = """\
7f10-7f11 r--p 00000000 fe:00 19 /usr/lib/libgomp.so.1.0.0
7f11-7f12 r-xp 00001000 fe:00 19 /usr/lib/libgomp.so.1.0.0
7f12-7f13 r-xp 00001000 fe:00 20 /a b/torch/lib/libgomp-a34b3233.so.1
7f13-7f14 r-xp 00000000 fe:00 21 /opt/libiomp5.so (deleted)
7f14-7f15 r-xp 00000000 fe:00 22 /opt/libomp-14.so.5
7f15-7f16 r-xp 00000000 fe:00 23 /opt/libomptarget.so
7f16-7f17 r-xp 00000000 fe:00 24 /opt/libgomp-plugin-nvptx.so.1
7f17-7f18 rw-p 00000000 00:00 0
7f18-7f19 rw-p 00000000 00:00 0 [stack]
"""


def test_openmp_libraries(monkeypatch, capsys):
    """Those in memory are named, once each, with the wheels' names; libraries that only sound like them are not."""
    monkeypatch.setattr(Path, "read_bytes", lambda path: MAPS.encode())
    assert normcy.get_config()["openmp_libraries"] == [
        {"kind": "GNU", "path": "/a b/torch/lib/libgomp-a34b3233.so.1"},
        {"kind": "Intel", "path": "/opt/libiomp5.so"},
        {"kind": "LLVM", "path": "/opt/libomp-14.so.5"},
        {"kind": "GNU", "path": "/usr/lib/libgomp.so.1.0.0"},
    ]
    normcy.show_config()
    assert "each has threads of its own: give all the same number" in capsys.readouterr().out


@pytest.mark.parametrize("threadpoolctl", [None, SimpleNamespace(threadpool_info=lambda: [{"filepath": "/x/libomp.dylib"}, {"filepath": "/x/libopenblas.dylib"}])], ids=["missing", "there"])  # fmt: skip
def test_openmp_libraries_where_no_file_lists_them(monkeypatch, capsys, threadpoolctl):
    """threadpoolctl knows them, too; without it the answer is that nothing is known."""
    monkeypatch.setattr(Path, "read_bytes", lambda path: (_ for _ in ()).throw(FileNotFoundError))
    monkeypatch.setitem(sys.modules, "threadpoolctl", threadpoolctl)
    expected = [{"kind": "LLVM", "path": "/x/libomp.dylib"}] if threadpoolctl else None
    assert normcy.get_config()["openmp_libraries"] == expected
    normcy.show_config()
    assert ("not known" in capsys.readouterr().out) == (expected is None)


@openmp
def test_openmp_libraries_are_those_of_threadpoolctl():
    """One of them is that of this build."""
    pools = pytest.importorskip("threadpoolctl", reason="needs threadpoolctl").threadpool_info()
    known = {os.path.realpath(pool["filepath"]) for pool in pools if pool["user_api"] == "openmp"}
    assert {library["path"] for library in normcy.get_config()["openmp_libraries"]} == known != set()


def test_wait_policy():
    ask = "import normcy; normcy.show_config(); print(normcy.get_config()['wait_policy'])"
    assert run(ask, OMP_WAIT_POLICY="passive") == "passive"
    assert run("import os; del os.environ['OMP_WAIT_POLICY']; " + ask, OMP_WAIT_POLICY="active") == "None"


def test_imports_only_numpy():
    """An import needs nothing but NumPy and the standard library."""
    code = "import sys, numpy; before = set(sys.modules); import normcy; print([m for m in set(sys.modules) - before if m.split('.')[0] in ('rich', 'matplotlib', 'scipy', 'torch')])"
    assert run(code) == "[]"


def test_signatures_of_the_reference():
    """Every function has a twin with the same parameters and defaults."""
    import inspect

    for name in normcy.reference.__all__:
        ours, twin = (inspect.signature(getattr(m, name)).parameters.values() for m in (normcy, normcy.reference))
        assert [(p.name, p.kind, p.default) for p in ours] == [(p.name, p.kind, p.default) for p in twin], name
    assert set(normcy.reference.__all__) <= set(normcy.__all__)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_output_that_nobody_takes():
    """The command line ends with a word and a status, and no traceback."""
    command = [sys.executable, "-m", "normcy", "info"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr.splitlines()) == (2, ["normcy: error: [Errno 28] No space left on device"])
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_environment_of_any_bytes():
    env = {**os.environb, b"OMP_WAIT_POLICY": b"bad\xff\n", b"PYTHONIOENCODING": b"utf-8"}
    done = subprocess.run([sys.executable, "-m", "normcy", "info"], env=env, capture_output=True)
    assert done.returncode == 0
    assert b"bad\\udcff\\n  (of idle threads" in done.stdout
