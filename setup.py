"""Builds normcy's extension modules from Cython, and from C kernels that are compiled once for each instruction set.

NORMCY_OPENMP=0 builds without OpenMP; otherwise it is used if a small test program works with it. NORMCY_COVERAGE=1 has
the modules count how often each line of C and Cython runs (`make coverage`).
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError
from setuptools.modified import newer_group

# C code that has state is linked into one module only, since each module would have a state of its own.
C_SOURCES = {
    "_engine/isa": ["src/kernels/isa/dispatch.c"],  # and the kernels
    "_engine/tuning": ["src/runtime/caches.c"],
    "_engine/parallel": ["src/runtime/threads.c", "src/runtime/claims.c", "src/runtime/crowding.c"],
    "_native/outputs": ["src/runtime/outputs.c"],
    "_native/threads": ["src/runtime/process.c"],
}
KERNELS = "normcy._engine.isa"
KERNEL_FILES = sorted(map(str, Path("src/kernels").rglob("*.[ch]")))
HEADERS = [*sorted(map(str, Path("src/runtime").glob("*.h"))), "src/kernels/kernels.h", "src/kernels/numerics.h"]
HEADERS += ["normcy/include/normcy.h"]

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "cdivision": True,
    "initializedcheck": False,
    "freethreading_compatible": True,
    "embedsignature": False,
    "auto_pickle": False,
}

# No contraction keeps the bits the same; the other options let plain float64 loops vectorize without changing them.
FLAGS = ["-std=gnu11", "-O3", "-g0", "-fno-fast-math", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
FLAGS += ["-fvisibility=hidden"]

# Threads share the counters. Without optimization each line keeps its own.
COVERAGE = os.environ.get("NORMCY_COVERAGE") == "1"
if COVERAGE:
    FLAGS += ["-O0", "--coverage", "-fprofile-update=atomic"]

# Loops over vectors are a few instructions long; some took twice as long across two lines of code, or not unrolled.
KERNEL_FLAGS = ["-falign-loops=64", "-funroll-loops"]

# Instruction sets by architecture: each stub and its own flags, which are no more than its kernels need.
ISAS = {
    "x86_64": {"baseline": [], "avx2": ["-mavx2", "-mfma"], "avx512": ["-mavx512f"]},
    "aarch64": {"neon": [], "sve256": ["-march=armv8-a+sve", "-msve-vector-bits=256"]},
}
BASE_FLAGS = {"x86_64": ["-march=x86-64", "-mtune=generic"]}  # after the user's CFLAGS, to override -march=native
OPTIONAL = ["sve256"]  # left out if the system does not say how long registers are, or the compiler is too old

OPENMP_PROBE = """
#include <omp.h>
#include <stdio.h>
int main(void) {
    int n = 0;
    #pragma omp parallel reduction(+ : n)
    n += 1;
    printf("%d threads", n);
    return n < 1;
}
"""


WINDOWS = (
    "normcy does not support Windows: its threads and memory need POSIX, and its kernels gcc or clang. "
    "In WSL it installs as on Linux (docs/installation.md)."
)


def architecture() -> str:
    machine = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)


class BuildNative(build_ext):
    """Compiles the kernels of every instruction set with their own flags, and links them into one module."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def build_extensions(self) -> None:
        self.check_compiler()
        self.openmp = self.openmp_flags()
        # Objects of a build with other options, as without OpenMP, are newer than their sources and yet of no use.
        stamp, options = Path(self.build_temp, "options"), f"{FLAGS} {self.openmp} {self.compiler.compiler}"
        if not stamp.exists() or stamp.read_text() != options:
            self.force = True
        super().build_extensions()
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(options)

    def build_extension(self, ext: Extension) -> None:
        arch = architecture()
        base = FLAGS + BASE_FLAGS.get(arch, [])
        ext.extra_compile_args = base + self.openmp
        ext.extra_link_args = self.openmp + ["--coverage"] * COVERAGE
        if ext.name == KERNELS:
            ext.depends = [*ext.depends, *KERNEL_FILES]
            if self.force or newer_group([*ext.sources, *ext.depends], self.get_ext_fullpath(ext.name), "newer"):
                isas = ISAS.get(arch, {"baseline": []}).items()
                kernels = [self.kernels_of(isa, base + KERNEL_FLAGS + own) for isa, own in isas]
                ext.extra_objects = [built for built in kernels if built]
        super().build_extension(ext)

    def kernels_of(self, isa: str, flags: list[str]) -> str | None:
        """Returns the object file of an instruction set's kernels, which is compiled if a source is newer.

        Returns None if the instruction set is optional and cannot be built.
        """
        if isa in OPTIONAL and sys.platform != "linux":
            return None
        source = f"src/kernels/isa/{isa}.c"
        (built,) = self.compiler.object_filenames([source], output_dir=self.build_temp)
        if self.force or newer_group(KERNEL_FILES, built):
            try:
                self.compiler.compile([source], output_dir=self.build_temp, include_dirs=["src"], extra_postargs=flags)
            except CompileError:
                if isa not in OPTIONAL:
                    raise
                print(f"normcy: this compiler cannot make the kernels for {isa}; building without them")
                return None
        return built

    def check_compiler(self) -> None:
        command = self.compiler.compiler[0]
        if not shutil.which(command):
            raise SystemExit(
                f"normcy needs a C compiler, and `{command}` was not found. Install one (Debian: apt install gcc; "
                "macOS: xcode-select --install) or name yours in the environment variable CC."
            )

    def openmp_flags(self) -> list[str]:
        """Returns -fopenmp, if a program built with it compiles, links and runs."""
        if os.environ.get("NORMCY_OPENMP") == "0":
            return []
        with tempfile.TemporaryDirectory() as folder:
            source, program = Path(folder, "probe.c"), Path(folder, "probe")
            source.write_text(OPENMP_PROBE)
            try:
                command = [*self.compiler.compiler, "-fopenmp", str(source), "-o", str(program)]
                subprocess.run(command, check=True, capture_output=True)
                subprocess.run([str(program)], check=True, capture_output=True, timeout=60)
            except (OSError, subprocess.SubprocessError):
                print("normcy: OpenMP does not work with this compiler; building for one thread")
                return []
        return ["-fopenmp"]


def modules() -> list[Extension]:
    """Returns an extension for each .pyx file, named by its path below src/."""
    found = []
    for path in sorted(Path("src/normcy").glob("*/*.pyx")):
        name = path.relative_to("src").with_suffix("")
        found.append(
            Extension(
                ".".join(name.parts),
                [str(path), *C_SOURCES.get("/".join(name.parts[1:]), [])],
                include_dirs=["src", "normcy/include", np.get_include()],
                define_macros=[
                    (macro, "NPY_2_0_API_VERSION") for macro in ("NPY_NO_DEPRECATED_API", "NPY_TARGET_VERSION")
                ],
                depends=HEADERS,
            )
        )
    return found


def make_c() -> list[Extension]:
    """Returns the extensions with the C that Cython makes; for coverage, its lines are named after lines of Cython."""
    options = {"compiler_directives": DIRECTIVES, "build_dir": "build/cython", "emit_linenums": COVERAGE}
    made = cythonize(modules(), include_path=["src"], **options)
    for path in {Path(name) for ext in made for name in ext.sources if COVERAGE and name.startswith("build")}:
        # Cython leaves out src/, and a directive would count on into what other sections add to the module.
        text = re.sub(r'(?m)^(#line \d+ ")normcy/', r"\1src/normcy/", path.read_text())
        path.write_text(re.sub(r"(?m)^/\* #### Code section: .*", '\\g<0>\n#line 1 "cython_utility"', text))
    return made


if sys.platform == "win32":
    raise SystemExit(WINDOWS)
setup(cmdclass={"build_ext": BuildNative}, ext_modules=make_c())
