"""Builds programs of tests/kernels/ with the C kernels of each instruction set, by any compiler with any flags."""

import os
import platform
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
MACHINE = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
FLAGS = ["-std=gnu11", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
FLAGS += ["-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'src'}"]


def isas_by_architecture():
    """Reads the table of setup.py without running its setup()."""
    source = (ROOT / "setup.py").read_text()
    table = source[source.index("ISAS = {") : source.index("BASE_FLAGS")]
    scope = {}
    exec(table, scope)
    return scope["ISAS"]


def build(folder, program, flags, compiler=None, architecture=MACHINE, link=()):
    """Builds tests/kernels/`program`.c and returns its path; kernels that are in the folder are not built again."""
    compiler = compiler or COMPILERS[0]
    built = folder / "-".join([program, compiler, *flags])

    def compiled(isa, own):
        of_kernels = [flag for flag in flags if not flag.startswith("-D")]  # the other flags are for the program only
        object_ = folder / "-".join([compiler, *of_kernels, f"{isa}.o"])
        if not object_.exists():
            command = [compiler, *FLAGS, *of_kernels, *own, "-c", ROOT / f"src/kernels/isa/{isa}.c", "-o", object_]
            subprocess.run(command, check=True)
        return object_

    isas = isas_by_architecture().get(architecture, {"baseline": []})
    with ThreadPoolExecutor(2) as pool:
        objects = [*pool.map(compiled, isas, isas.values())]
    sources = [ROOT / f"tests/kernels/{program}.c", ROOT / "src/kernels/isa/dispatch.c"]
    subprocess.run([compiler, *FLAGS, *flags, *link, *sources, *objects, "-lm", "-o", built], check=True)
    return built


def attack(folder, program, source, *flags):
    """Builds tests/attacks/`program`.c with one file of src/, or with a changed copy of it; returns its path."""
    built = folder / program
    if os.environ.get("NORMCY_COVERAGE") == "1":  # what it runs of that file counts, as in setup.py
        flags = [*flags, "--coverage", "-fprofile-update=atomic"]
    command = [COMPILERS[0], "-std=gnu11", "-O1", *flags, f"-I{ROOT / 'src'}", "-pthread"]
    subprocess.run([*command, ROOT / f"tests/attacks/{program}.c", source, "-o", built], check=True)
    return built


def output(*command):
    """Returns the lines that a program prints; if it fails, the error has its output."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, f"{done.returncode}: {done.stderr[-4000:]}"
    return done.stdout.splitlines()
