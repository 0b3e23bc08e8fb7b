"""The C kernels alone: the same bits from every compiler, optimization level and architecture at hand."""

import platform
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLAGS = [
    "-std=gnu11",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-Wall",
    "-Wextra",
    "-Werror",
    f"-I{ROOT / 'src'}",
]

pytestmark = pytest.mark.skipif(not (ROOT / "src").exists(), reason="needs the source tree")


def levels_by_architecture():
    """The table of setup.py, without running its setup()."""
    source = (ROOT / "setup.py").read_text()
    table = source[source.index("LEVELS = {") : source.index("BASE_FLAGS")]
    scope = {}
    exec(table, scope)
    return scope["LEVELS"]


def hashes(folder, compiler, optimize, architecture, runner=()):
    """Lines "level hash" of the kernels built so."""
    objects = []
    for level, own in levels_by_architecture().get(architecture, {"baseline": []}).items():
        objects.append(folder / f"{compiler}-{optimize}-{level}.o")
        subprocess.run(
            [compiler, optimize, *FLAGS, *own, "-c", ROOT / f"src/level_{level}.c", "-o", objects[-1]], check=True
        )
    program = folder / f"{compiler}-{optimize}"
    static = ["-static"] if runner else []
    sources = [ROOT / "tests/kernels/bits.c", ROOT / "src/dispatch.c"]
    subprocess.run([compiler, optimize, *FLAGS, *static, *sources, *objects, "-lm", "-o", program], check=True)
    return subprocess.run([*runner, program], check=True, capture_output=True, text=True).stdout.splitlines()


def test_same_bits_from_every_compiler(tmp_path):
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    builds = [(c, o, machine, ()) for c in ("gcc", "clang") if shutil.which(c) for o in ("-O1", "-O2", "-O3")]
    with ThreadPoolExecutor(2) as pool:
        lines = [line for found in pool.map(lambda b: hashes(tmp_path, *b), builds) for line in found]
    assert lines
    assert len({line.split()[1] for line in lines}) == 1, lines


@pytest.mark.skipif(
    not (shutil.which("aarch64-linux-gnu-gcc") and shutil.which("qemu-aarch64")),
    reason="needs Debian's gcc-aarch64-linux-gnu and qemu-user",
)
def test_same_bits_on_arm(tmp_path):
    native = hashes(tmp_path, "gcc", "-O2", "x86_64")
    arm = hashes(tmp_path, "aarch64-linux-gnu-gcc", "-O3", "aarch64", ["qemu-aarch64"])
    assert arm[0].split()[0] == "neon"
    assert {line.split()[1] for line in native} == {line.split()[1] for line in arm}


def test_fast_math_is_refused(tmp_path):
    """A user's CFLAGS may ask for it; the kernels say no."""
    compiler = next(c for c in ("gcc", "clang") if shutil.which(c))
    done = subprocess.run(
        [compiler, "-ffast-math", *FLAGS, "-c", ROOT / "src/level_baseline.c", "-o", tmp_path / "x.o"],
        capture_output=True,
        text=True,
    )
    assert done.returncode
    assert "build it without -ffast-math" in done.stderr
