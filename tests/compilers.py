"""Programs of tests/kernels/, linked with the C kernels of every level, by any compiler and with any flags."""

import platform
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
MACHINE = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
FLAGS = ["-std=gnu11", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
FLAGS += ["-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'src'}"]


def levels_by_architecture():
    """The table of setup.py, without running its setup()."""
    source = (ROOT / "setup.py").read_text()
    table = source[source.index("LEVELS = {") : source.index("BASE_FLAGS")]
    scope = {}
    exec(table, scope)
    return scope["LEVELS"]


def build(folder, program, compiler, *flags, architecture=MACHINE, link=()):
    """The path of tests/kernels/`program`.c built so."""
    built = folder / "-".join([program, compiler, *flags])
    objects = []
    for level, own in levels_by_architecture().get(architecture, {"baseline": []}).items():
        objects.append(built.with_name(f"{built.name}-{level}.o"))
        compile_ = [compiler, *FLAGS, *flags, *own, "-c", ROOT / f"src/level_{level}.c", "-o", objects[-1]]
        subprocess.run(compile_, check=True)
    sources = [ROOT / f"tests/kernels/{program}.c", ROOT / "src/dispatch.c"]
    subprocess.run([compiler, *FLAGS, *flags, *link, *sources, *objects, "-lm", "-o", built], check=True)
    return built


def output(*command):
    """Lines of what a program prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
