"""The C kernels alone: they have the same bits with every compiler, optimization level and architecture at hand."""

import itertools
import shutil
import subprocess
from pathlib import Path

import bits
import pytest
from compilers import COMPILERS, FLAGS, ROOT, build, output

pytestmark = pytest.mark.skipif(not COMPILERS, reason="needs gcc or clang")


def has_fuzzer():
    if "clang" not in COMPILERS:
        return False
    return any(Path(output("clang", "-print-runtime-dir")[0]).glob("libclang_rt.fuzzer-*.a"))


ARM = {"compiler": "aarch64-linux-gnu-gcc", "architecture": "aarch64", "link": ["-static"]}
QEMU = ["qemu-aarch64", "-cpu"]
SVE256 = [*QEMU, "max,sve-default-vector-length=32"]  # bytes
needs_arm = pytest.mark.skipif(
    not (shutil.which(ARM["compiler"]) and shutil.which("qemu-aarch64")),
    reason="needs Debian's gcc-aarch64-linux-gnu and qemu-user",
)
needs_valgrind = pytest.mark.skipif(not shutil.which("valgrind"), reason="needs valgrind")
needs_fuzzer = pytest.mark.skipif(not has_fuzzer(), reason="needs clang and its libFuzzer (Debian's libclang-rt-dev)")
# A fuzzer's own checks are function calls, since clang takes ten minutes to compile them inline
FUZZER = ["-O1", "-g", "-fsanitize=fuzzer,address", "-mllvm", "-asan-instrumentation-with-call-threshold=0"]


def check_hashes(lines):
    """Compares the output of programs that print "instruction-set hash" with the stored hash."""
    assert lines
    assert {line.split()[1] for line in lines} == set(bits.stored()["kernels"]), lines


QUICK = {"gcc": "-O1", "clang": "-O2"}  # -O3 is what setup.py asks for: test_reproducibility.py runs that
OTHERS = [
    pair for pair in itertools.product(COMPILERS, ["-O0", "-O1", "-O2", "-O3", "-Os"]) if pair not in QUICK.items()
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Returns the folder for programs with the same kernels."""
    return tmp_path_factory.mktemp("kernels")


@pytest.mark.parametrize("compiler", COMPILERS)
def test_same_bits(folder, compiler):
    check_hashes(output(build(folder, "bits", [QUICK[compiler], "-g"], compiler)))


@pytest.mark.torture
@pytest.mark.parametrize(("compiler", "optimize"), OTHERS)
def test_same_bits_however_optimized(tmp_path, compiler, optimize):
    check_hashes(output(build(tmp_path, "bits", [optimize], compiler)))


@needs_arm
@pytest.mark.parametrize("optimize", ["-O1", pytest.param("-O3", marks=pytest.mark.torture)])
def test_same_bits_on_arm(tmp_path, optimize):
    """-O3 is what setup.py asks for; a cross compiler takes a minute for it."""
    lines = output(*SVE256, build(tmp_path, "bits", [optimize], **ARM))
    assert [line.split()[0] for line in lines] == ["neon", "sve256"]
    check_hashes(lines)


@needs_arm
@pytest.mark.parametrize("cpu", ["cortex-a72", "max,sve-default-vector-length=16", "max,sve-default-vector-length=64"])
def test_sve_of_no_other_length(folder, cpu):
    """Without SVE, or with registers of another length than the kernels need, only NEON is left."""
    (line,) = output(*QEMU, cpu, build(folder, "fuzz", ["-O1", "-DALONE"], **ARM), 10)
    assert line.split()[0] == "neon"


@needs_arm
@pytest.mark.parametrize(("optimize", "inputs"), [("-O1", 1000), pytest.param("-O3", 20000, marks=pytest.mark.torture)])
def test_memory_on_arm(folder, optimize, inputs):
    """No byte is touched behind arrays, and the instruction sets agree."""
    guarded = [*ARM["link"], "-Wl,--wrap=malloc,--wrap=free", ROOT / "tests/kernels/guarded_malloc.c"]
    program = build(folder, "fuzz", [optimize, "-DALONE"], **{**ARM, "link": guarded})
    lines = output(*SVE256, program, inputs)
    assert [line.split()[0] for line in lines] == ["neon", "sve256"]
    assert len({line.split()[1] for line in lines}) == 1


@needs_arm
@pytest.mark.torture
def test_same_bits_on_arm_of_any_values(tmp_path):
    """Inputs have any shape, option and bit pattern, also NaN; on x86-64 the instruction sets are compared, too."""
    here = output(build(tmp_path, "fuzz", ["-O3", "-DALONE"]), 20000)
    arm = output(*SVE256, build(tmp_path, "fuzz", ["-O3", "-DALONE"], **ARM), 20000)
    assert len({line.split()[1] for line in here + arm}) == 1


@pytest.fixture(scope="module")
def alone(folder):
    """Builds the program of fuzz.c that makes up its own inputs."""
    return build(folder, "fuzz", [QUICK[COMPILERS[0]], "-g", "-DALONE"])


def test_isas_agree(alone):
    """They agree on shapes, options and values of any kind, and nothing is written beside rows."""
    assert len({line.split()[1] for line in output(alone, 5000)}) == 1


@needs_valgrind
@pytest.mark.parametrize("inputs", [500, pytest.param(20000, marks=pytest.mark.torture)])
def test_memory(alone, inputs):
    """Nothing is read or written beside arrays, nor read before it was written."""
    assert output("valgrind", "-q", "--error-exitcode=9", "--leak-check=full", alone, inputs)


@pytest.mark.torture
def test_undefined_behaviour(tmp_path):
    checks = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    assert output(build(tmp_path, "fuzz", ["-O1", "-g", "-DALONE", *checks]), 100000)


def fuzz(folder, *limits):
    """Builds libFuzzer's target in a folder where it leaves an input that fails."""
    program = build(folder, "fuzz", FUZZER, "clang")
    output(program, f"-artifact_prefix={folder}/", "-max_len=256", "-len_control=0", "-seed=1", *limits)


@needs_fuzzer
@pytest.mark.torture
def test_fuzz(tmp_path):
    """Its inputs reach new code, in memory that AddressSanitizer watches."""
    fuzz(tmp_path, "-max_total_time=300")


def test_fast_math_is_refused(tmp_path):
    """A user's CFLAGS may have it, but the kernels do not compile then."""
    command = [COMPILERS[0], "-ffast-math", *FLAGS, "-c", ROOT / "src/kernels/isa/baseline.c", "-o", tmp_path / "x.o"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode
    assert "build it without -ffast-math" in done.stderr
