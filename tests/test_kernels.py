"""The C kernels alone: the same bits from every compiler, optimization level and architecture at hand."""

import itertools
import shutil
import subprocess

import bits
import pytest
from compilers import COMPILERS, FLAGS, ROOT, build, output

pytestmark = pytest.mark.skipif(not COMPILERS, reason="needs gcc or clang")

needs_arm = pytest.mark.skipif(
    not (shutil.which("aarch64-linux-gnu-gcc") and shutil.which("qemu-aarch64")),
    reason="needs Debian's gcc-aarch64-linux-gnu and qemu-user",
)


def check_hashes(lines):
    """Of programs that print "level hash": the stored one."""
    assert lines
    assert {line.split()[1] for line in lines} == set(bits.stored()["kernels"]), lines


@pytest.mark.parametrize("compiler", COMPILERS)
def test_same_bits(tmp_path, compiler):
    check_hashes(output(build(tmp_path, "bits", compiler, "-O3")))


@pytest.mark.torture
@pytest.mark.parametrize(("compiler", "optimize"), [*itertools.product(COMPILERS, ["-O0", "-O1", "-O2", "-Os"])])
def test_same_bits_however_optimized(tmp_path, compiler, optimize):
    check_hashes(output(build(tmp_path, "bits", compiler, optimize)))


@needs_arm
def test_same_bits_on_arm(tmp_path):
    program = build(tmp_path, "bits", "aarch64-linux-gnu-gcc", "-O3", architecture="aarch64", link=["-static"])
    lines = output("qemu-aarch64", program)
    assert lines[0].split()[0] == "neon"
    check_hashes(lines)


def test_fast_math_is_refused(tmp_path):
    """A user's CFLAGS may ask for it; the kernels say no."""
    command = [COMPILERS[0], "-ffast-math", *FLAGS, "-c", ROOT / "src/level_baseline.c", "-o", tmp_path / "x.o"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode
    assert "build it without -ffast-math" in done.stderr
