"""Builds the compiled core with sanitizers, and runs the tests that find the most on that build."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from compilers import ROOT

pytestmark = pytest.mark.torture

ARCHER = sorted(Path("/usr/lib").glob("llvm-*/lib/libarcher.so"))  # reports OpenMP's synchronization
COMPUTING = [
    f"tests/test_{name}.py"
    for name in ("grid", "paths", "arrays", "operands", "extremes", "numerics", "random", "fused", "styles", "running", "moments", "outputs", "layers",
                 "reproducibility", "bad_input", "odd_input")
]  # fmt: skip
THREADED = ["tests/test_grid.py", "tests/test_paths.py", "tests/test_reproducibility.py", "tests/test_threads.py"]
THREADED += ["-k", "large or isas_and_threads or sixteen"]
needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")
needs_archer = pytest.mark.skipif(
    not (ARCHER and shutil.which("clang") and shutil.which("gcc") and shutil.which("setarch")),
    reason="needs clang with its OpenMP (Debian's libomp-dev), gcc for its runtime, and setarch",
)


def library(name):
    """Returns the path of one of gcc's runtime libraries."""
    return subprocess.run(
        ["gcc", f"-print-file-name={name}"], check=True, capture_output=True, text=True
    ).stdout.strip()


def build(folder, flags, **environment):
    """Builds normcy with these flags in a folder, from a copy of the sources."""
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("src", "normcy"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder / "built", source]
    environment = {**os.environ, "CFLAGS": f"-O1 -g {flags}", "LDFLAGS": flags, **environment}
    subprocess.run(install, check=True, env=environment)
    return folder / "built"


def run_tests(built, arguments, preload, wrapper=(), **environment):
    """Runs the tests on that build alone, since they would otherwise import the installed one."""
    # A sanitizer writes to the file descriptor before it ends the process, so that pytest must not capture that.
    python = [sys.executable, "-P", "-m", "pytest", "--capture=sys", "-p", "no:cacheprovider", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(built), "PYTHONMALLOC": "malloc", **environment}
    where = [*wrapper, "env", f"LD_PRELOAD={' '.join(preload)}"]
    ask = [sys.executable, "-P", "-c", "import normcy; print(normcy.__file__)"]
    said = subprocess.run([*where, *ask], env=environment, capture_output=True, text=True)
    assert str(built) in said.stdout, said.stderr
    done = subprocess.run([*where, *python], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    assert "passed" in done.stdout or "100%" in done.stdout


@needs_gcc
def test_address_and_undefined_behaviour(tmp_path):
    """It finds reads and writes beside arrays, use after free, and what C leaves undefined."""
    built = build(tmp_path, "-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer")
    # Python never frees some of its memory: leaks are found by valgrind, and by a million calls
    options = "detect_leaks=0:allocator_may_return_null=1"
    run_tests(built, COMPUTING, [library("libasan.so"), library("libubsan.so")], ASAN_OPTIONS=options)


@needs_archer
def test_races(tmp_path):
    """It finds threads that access the same memory without synchronization, within a call and between calls."""
    # setup.py tests OpenMP with a program that gets the same flags, but whose runtime is not instrumented
    built = build(
        tmp_path, "-fsanitize=thread", CC="clang", LDSHARED="clang -shared", TSAN_OPTIONS="report_bugs=0:exitcode=0"
    )
    run_tests(
        built,
        THREADED,
        [library("libtsan.so")],
        ["setarch", "-R"],  # ThreadSanitizer needs fixed addresses
        TSAN_OPTIONS="ignore_noninstrumented_modules=1:exitcode=66",
        OMP_TOOL_LIBRARIES=str(ARCHER[-1]),
        LD_LIBRARY_PATH=str(ARCHER[-1].parent),
    )
