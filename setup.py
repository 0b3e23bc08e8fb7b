"""Builds normcy's one extension module: Cython on top, C kernels compiled once for each instruction set below.

NORMCY_OPENMP=0 builds without OpenMP; otherwise it is used where a small program proves that it works.
"""

import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ENGINE = [f"src/engine/{name}.c" for name in ("outputs", "process", "queue", "threads")]
SOURCES = ["src/_native.pyx", "src/kernels/isa/dispatch.c", *ENGINE]
HEADERS = sorted(str(p) for pattern in ("*.h", "*.pxi") for p in Path("src").rglob(pattern))

# What keeps the bits the same (no contraction), and what lets plain float64 loops vectorize without changing them.
FLAGS = ["-std=gnu11", "-O3", "-g0", "-fno-fast-math", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
FLAGS += ["-fvisibility=hidden"]

# Loops over vectors are a few instructions long: across two lines of code, or not unrolled, some took twice as long.
KERNEL_FLAGS = ["-falign-loops=64", "-funroll-loops"]

# Instruction sets by architecture: stub and the flags that it alone gets, no more than its kernels need.
ISAS = {
    "x86_64": {"baseline": [], "avx2": ["-mavx2", "-mfma"], "avx512": ["-mavx512f"]},
    "aarch64": {"neon": []},
}
BASE_FLAGS = {"x86_64": ["-march=x86-64", "-mtune=generic"]}  # after the user's CFLAGS, so that -march=native yields

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


def architecture() -> str:
    machine = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)


class BuildNative(build_ext):
    """Compiles the stub of each instruction set with flags of its own and links the objects into the extension."""

    def build_extension(self, ext: Extension) -> None:
        self.check_compiler()
        arch = architecture()
        base = FLAGS + BASE_FLAGS.get(arch, [])
        openmp = self.openmp_flags()
        ext.extra_compile_args = base + openmp
        ext.extra_link_args = openmp
        ext.extra_objects = []
        for isa, own in ISAS.get(arch, {"baseline": []}).items():
            flags = base + KERNEL_FLAGS + own
            ext.extra_objects += self.compiler.compile(
                [f"src/kernels/isa/{isa}.c"],
                output_dir=self.build_temp,
                include_dirs=["src"],
                depends=HEADERS,
                extra_postargs=flags,
            )
        super().build_extension(ext)

    def check_compiler(self) -> None:
        command = getattr(self.compiler, "compiler", None)
        if not command:
            raise SystemExit("normcy needs gcc or clang: its kernels use GNU vector extensions, which MSVC lacks.")
        if not shutil.which(command[0]):
            raise SystemExit(
                f"normcy needs a C compiler, and `{command[0]}` was not found. Install one (Debian: apt install gcc; "
                "macOS: xcode-select --install) or name yours in the environment variable CC."
            )

    def openmp_flags(self) -> list[str]:
        """-fopenmp, if a program built with it compiles, links and runs."""
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


setup(
    cmdclass={"build_ext": BuildNative},
    ext_modules=[
        Extension(
            "normcy._native",
            SOURCES,
            include_dirs=["src", np.get_include()],
            define_macros=[(name, "NPY_2_0_API_VERSION") for name in ("NPY_NO_DEPRECATED_API", "NPY_TARGET_VERSION")],
            depends=HEADERS,
        )
    ],
)
