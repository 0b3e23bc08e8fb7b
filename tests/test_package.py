"""The files that are shipped, their requirements, and the effects of an import."""

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

import normcy

ROOT = Path(__file__).parents[1]

IMPORT = """
import os, sys, threading, numpy, importlib.metadata
environment, threads = dict(os.environ), threading.active_count()
events = []
sys.addaudithook(lambda name, arguments: events.append((name, arguments)))
import normcy
events, seen = list(events), events
assert dict(os.environ) == environment
assert threading.active_count() == threads
modules = tuple(os.path.dirname(module.__file__) for module in (normcy, numpy, os))
for name, arguments in events:
    assert name.split(".")[0] not in ("socket", "subprocess", "shutil", "tempfile", "urllib", "ctypes"), name
    assert name not in ("os.mkdir", "os.remove", "os.rename", "os.putenv", "os.fork", "os.exec"), name
    if name == "open":
        path, mode, flags = arguments
        assert not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT), path
        assert str(path).startswith(modules) and str(path).endswith((".py", ".pyc")), path
print(sorted({name for name, _ in events}))
"""


def test_import_touches_no_file():
    """An import reads modules, its own, NumPy's and the standard library's, and writes, sets and starts nothing."""
    done = subprocess.run([sys.executable, "-B", "-c", IMPORT], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "'import'" in done.stdout  # the hook has worked


@pytest.fixture
def source(tmp_path):
    """Returns a folder with the package's Python files and without a core, as a clone has them."""
    package = tmp_path / "clone" / "normcy"
    package.mkdir(parents=True)
    for file in [*(ROOT / "normcy").glob("*.py"), *(ROOT / "normcy").glob("*/__init__.py")]:
        copy = package / file.relative_to(ROOT / "normcy")
        copy.parent.mkdir(exist_ok=True)
        copy.write_text(file.read_text())
    return package.parent


def import_error(source, *more, program="import normcy"):
    """Returns the last line of a failed import in that folder; ``more`` are the other folders on sys.path."""
    # -S: no site-packages, where an editable install would provide its own core
    command = [sys.executable, "-S", "-c", program]
    path = os.pathsep.join(map(str, more))
    done = subprocess.run(command, cwd=source, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    return done.stderr.splitlines()[-1]


def core(folder, suffix, content=b""):
    """Returns a file with the name of a compiled module."""
    (folder / "normcy/_native").mkdir(parents=True, exist_ok=True)
    path = folder / f"normcy/_native/arrays{suffix}"
    path.write_bytes(content)
    return path


def test_import_without_a_core(source):
    """The message helps those who have the repository and those who have not; no index has normcy."""
    line = import_error(source)
    assert line.startswith("ImportError: normcy: expected a compiled core for Python ")
    assert f"in {source / 'normcy'}, got none; in a clone" in line
    assert "run `make build` or `pip install -e .`" in line
    assert "run `python -m pip install --force-reinstall <the wheel or source archive>`" in line
    assert "install normcy" not in line


@pytest.mark.parametrize("program", ["import normcy", "import normcy.reference", "from normcy import layer_norm"])
def test_import_from_a_folder_that_shadows_the_installed_package(source, tmp_path, program):
    """After `pip install .`, Python in the clone imports the clone: only another folder helps."""
    (tmp_path / "empty").mkdir()
    installed = core(tmp_path / "site", EXTENSION_SUFFIXES[0]).parents[1]
    line = import_error(source, tmp_path / "empty", tmp_path / "missing", installed.parent, program=program)
    assert f"shadows the package that is installed as {installed}: run Python" in line
    assert f"in another folder; or build this one: in {source}, run `make build` or `pip install -e .`" in line
    assert "force-reinstall" not in line


def test_a_script_beside_the_source_shadows_the_installed_package(source, tmp_path):
    installed = core(tmp_path / "site", EXTENSION_SUFFIXES[0]).parents[1]
    (source / "script.py").write_text("import normcy")
    command = [sys.executable, "-S", source / "script.py"]
    environment = {**os.environ, "PYTHONPATH": str(installed.parent)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert f"shadows the package that is installed as {installed}: " in done.stderr.splitlines()[-1]


def test_import_with_the_core_of_another_python(source, tmp_path):
    """It says which Python runs and which the core is for; another such package on sys.path is no remedy."""
    running = EXTENSION_SUFFIXES[0].split(".")[1]
    core(source, ".cpython-37m-x86_64-linux-gnu.so")
    core(tmp_path / "site", ".cpython-37m-darwin.so")
    line = import_error(source, tmp_path / "site")
    assert (
        f"expected a compiled core for Python {sys.version.split()[0].rstrip('+')} ({running}) in {source / 'normcy'}"
        in line
    )
    assert "got arrays.cpython-37m-x86_64-linux-gnu.so, which is for another Python or platform; in a clone" in line


def test_import_with_a_core_that_cannot_be_loaded(source):
    """The system's loader names the file and its reason."""
    path = core(source, EXTENSION_SUFFIXES[0], b"no library")
    assert import_error(source).startswith(f"ImportError: {path}: ") or sys.platform != "linux"


def test_reasons_of_the_core_come_through():
    """They are not replaced: the core exists, and says itself why it refuses."""
    done = subprocess.run(
        [sys.executable, "-c", "import normcy"], cwd=ROOT, env={**os.environ, "NORMCY_ISA": "mmx"}, capture_output=True, text=True
    )  # fmt: skip
    assert done.stderr.splitlines()[-1].startswith("ImportError: NORMCY_ISA=mmx: this build has no kernels for it")


def requirements():
    """Returns every requirement of pyproject.toml, with the comment beside it."""
    text = (ROOT / "pyproject.toml").read_text()
    part = re.sub(r"(?s)\nkeywords = \[.*?\]", "", text[: text.index("[project.scripts]")])
    lines = [line for line in part.splitlines() if re.match(r'\s+"[a-z]', line)]
    return [re.match(r'\s+"([^"]+)",?(?:\s+# (.*))?$', line).groups() for line in lines if "::" not in line]


def test_requirements_have_ranges_and_reasons():
    found = requirements()
    assert {re.split("[><=]", name)[0] for name, _ in found} >= {"numpy", "cython", "setuptools", "pytest", "asv"}
    for requirement, reason in found:
        if requirement.startswith("normcy["):
            continue
        assert re.fullmatch(r"[a-z][a-z0-9-]*(>=[\d.]+(,<\d+)?|==[\d.]+)", requirement), requirement
        assert reason, f"{requirement}: a comment beside it says why"


def test_run_time_needs_numpy_only():
    from importlib.metadata import requires

    always = [r for r in requires("normcy") if "extra ==" not in r]
    assert [re.match(r"[a-z]+", r)[0] for r in always] == ["numpy"]


def test_wheels_are_for_the_pythons_that_the_classifiers_name():
    text = (ROOT / "pyproject.toml").read_text()
    named = re.findall(r'"Programming Language :: Python :: 3\.(\d+)"', text)
    assert named == re.findall(r'"cp3(\d+)-\*"', text)
    assert f'requires-python = ">=3.{named[0]}"' in text


@pytest.mark.skipif(not normcy.get_config()["openmp"], reason="this build has no OpenMP")
def test_openmp_of_an_old_gcc_is_enough():
    """The images that wheels are made in have the libgomp of GCC 8, where normcy is compiled by a newer GCC."""
    modules = [
        path for path in Path(normcy.__file__).parent.rglob("*.so") if "libgomp" in path.read_bytes().decode("latin-1")
    ]
    names = {name for path in modules for name in re.findall(rb"\0G?OMP_(\d\.\d)\b", path.read_bytes())}
    assert names <= {b"1.0", b"2.0", b"3.0", b"3.1", b"4.0"}, names
    assert bool(names) == bool(modules)


def test_setup_refuses_windows():
    """The message stands at the end, as pip shows it."""
    if not (ROOT / "setup.py").exists():
        pytest.skip("needs the source tree")
    pytest.importorskip("Cython")
    program = (
        "import sys, sysconfig, runpy, numpy, setuptools, Cython.Build; sysconfig.get_config_vars(); "
        "sys.platform = 'win32'; runpy.run_path('setup.py')"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("normcy does not support Windows: its threads and memory need POSIX")


WEB = "https://github.com/normcy/normcy/"


@pytest.mark.skipif(not (ROOT / "README.md").exists(), reason="needs the source tree")
def test_links_of_the_readme_work_on_pypi():
    """PyPI shows the README elsewhere, so that every link and picture has a whole address; files it names exist."""
    text = re.sub(r"(?s)```.*?```|`[^`\n]*`", "", (ROOT / "README.md").read_text())
    found = re.findall(r"\]\(\s*<?([^)\s>]+)|^\[[^\]]+\]:\s*(\S+)|\b(?:src|href)=[\"']([^\"']+)", text, re.MULTILINE)
    targets = [inline or reference or html for inline, reference, html in found]
    assert targets
    assert [target for target in targets if not target.startswith("https://")] == []
    raw = "https://raw.githubusercontent.com/normcy/normcy/main/"
    for target in targets:
        named = re.match(rf"(?:{WEB}(?:blob|tree|raw)/main/|{raw})([^#?]*)", target)
        assert not named or (ROOT / named[1]).exists(), target


@pytest.mark.skipif(not (ROOT / ".github").exists(), reason="needs the repository")
def test_workflows_run_make_targets_that_exist():
    makefile = (ROOT / "Makefile").read_text()
    commands = [
        command
        for path in sorted((ROOT / ".github/workflows").glob("*.yml"))
        for command in re.findall(r"run: (.*)", path.read_text())
    ]
    assert commands
    for command in commands:
        target = re.fullmatch(r"make ([a-z-]+)( \w+=.*)?", command)
        assert command == "bash .ci/run" or f"\n{target[1]}:" in makefile, command


@pytest.fixture(scope="module")
def built(request, tmp_path_factory):
    """Builds the source distribution, and the wheel from it alone, if --dist does not name their folder."""
    if request.config.option.dist:
        return request.config.option.dist
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--outdir", folder, ROOT], check=True, capture_output=True)
    return folder


def tracked():
    """Returns the files of the repository, except those that only the repository uses."""
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("needs the repository")
    return {name for name in done.stdout.split("\n") if name and not name.startswith((".ci", ".git"))}


@pytest.mark.torture
def test_source_distribution(built):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    made = {name for name in names if name.startswith("normcy.egg-info/")} | {"PKG-INFO", "setup.cfg"}
    assert names - made == tracked()


@pytest.mark.torture
def test_wheel(built):
    (path,) = built.glob("*.whl")
    names = {name for name in zipfile.ZipFile(path).namelist() if ".dist-info/" not in name}
    modules = {name for name in names if name.endswith(".so")}
    sources = {path.relative_to(ROOT / "src").with_suffix("") for path in (ROOT / "src").rglob("*.pyx")}
    assert {Path(name.partition(".")[0]) for name in modules} == sources
    assert names - modules == {name for name in tracked() if name.startswith("normcy/")}


USE = """
import numpy as np, normcy
print(np.__version__, normcy.__file__)
x = np.random.default_rng(0).standard_normal((2, 3, 400), np.float32)
assert abs(normcy.instance_norm(x) - normcy.reference.instance_norm(x)).max() < 1e-6
"""
LOWEST = {name: version for name, _ in requirements() for name, _, version in [name.partition(">=")]}


@pytest.mark.torture
@pytest.mark.skipif(sys.version_info >= (3, 13), reason="the oldest NumPy is older than this Python")
def test_lowest_versions(tmp_path):
    """The lowest versions that pyproject.toml allows build and run normcy."""
    pins = tmp_path / "pins.txt"
    pins.write_text("".join(f"{n}=={LOWEST[n].split(',')[0]}\n" for n in ("numpy", "cython", "setuptools")))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", tmp_path, "--constraint", pins, ROOT]
    # pip's isolated builds take no constraints otherwise
    subprocess.run(pip, check=True, env={**os.environ, "PIP_CONSTRAINT": str(pins)})
    program = [sys.executable, "-P", "-c", USE]
    done = subprocess.run(program, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True)
    assert done.stdout.split() == ["2.0.0", str(tmp_path / "normcy/__init__.py")], done.stderr
