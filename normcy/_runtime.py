"""Threads and configuration of the process."""

from __future__ import annotations

import os
import platform
import sys
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from normcy import _native
from normcy._types import Size
from normcy._version import __version__

if TYPE_CHECKING:
    from normcy._openmp import Library

__all__ = ["get_config", "get_include", "get_num_threads", "num_threads", "set_num_threads", "show_config"]


class Config(TypedDict):
    """The result of `get_config`."""

    version: str
    isa: str
    isa_levels: dict[str, bool]
    openmp: bool
    num_threads: int
    openmp_libraries: list[Library] | None
    wait_policy: str | None
    crowded: bool
    caches: dict[str, int]
    tuning: dict[str, int]
    numpy: str
    python: str
    machine: str
    cpu: str


def set_num_threads(n: Size) -> None:
    """Set how many threads every call of this process uses.

    Parameters
    ----------
    n : int
        From 1 to 65536; it may exceed the number of cores. A call takes no more threads than it has tasks for,
        than 1024, or than the system lets it start; small arrays take one.

    Raises
    ------
    TypeError, ValueError
        If ``n`` is not an integer, or not a possible number of threads.

    Warns
    -----
    RuntimeWarning
        If ``n`` is more than 1 in a child of ``fork()``: the number is set, but calls stay serial there (see
        `get_num_threads`). Processes that are started by "spawn" or "forkserver" have threads.

    Examples
    --------
    >>> import normcy
    >>> before = normcy.get_num_threads()
    >>> normcy.set_num_threads(2)
    >>> normcy.get_num_threads()
    2
    >>> normcy.set_num_threads(before)
    """
    count = _count(n)
    _native.set_num_threads(count)
    if count > 1 and _native.forked() and _native.has_openmp():
        warnings.warn(
            f"n: expected 1 in a child of fork(), where calls are serial since OpenMP may hang there, got {count}; "
            'start this process by multiprocessing\'s "spawn" or "forkserver" to have threads in it',
            RuntimeWarning,
            stacklevel=2,
        )


def get_num_threads() -> int:
    """How many threads a call from this thread would use for a large array.

    This is the number set by `num_threads` or `set_num_threads`; without one, that of the environment variable
    ``NORMCY_NUM_THREADS``; without that, the number of the OpenMP runtime (so ``OMP_NUM_THREADS`` and threadpoolctl
    have an effect), within the process's CPU affinity and control-group quota. ``OMP_THREAD_LIMIT`` limits all of them.
    While other programs use the CPUs, calls take one thread for a while (`get_config` says so).
    It is 1 inside another OpenMP region, in a build without OpenMP, and in a child of ``fork()``: OpenMP cannot be used
    there if any library has used it before the fork. A child that imports normcy only after the fork is not recognized.

    Returns
    -------
    int

    Examples
    --------
    >>> import normcy
    >>> normcy.get_num_threads() >= 1
    True
    """
    return _native.get_num_threads()


@contextmanager
def num_threads(n: Size) -> Iterator[None]:
    """Use ``n`` threads for the calls of this Python thread in a ``with`` block.

    In a child of ``fork()`` calls stay serial. Unlike `set_num_threads`, which configures a process, a block does not
    warn there, since parents and children run the same functions.

    Parameters
    ----------
    n : int
        From 1 to 65536.

    Raises
    ------
    TypeError, ValueError
        If ``n`` is not an integer, or not a possible number of threads.

    Examples
    --------
    >>> import normcy
    >>> with normcy.num_threads(1):
    ...     normcy.get_num_threads()
    1
    """
    before = _native.override_threads(_count(n))
    try:
        yield
    finally:
        _native.override_threads(before)


def _count(n: Any) -> int:
    try:
        return _native.integer(n, "n")
    except TypeError as error:
        raise TypeError(f"n: expected a positive int, got {type(n).__name__}") from error


def get_config() -> Config:
    """The features of this build and of the machine, as a dict.

    Returns
    -------
    dict
        ``version``, ``isa`` (the instruction set in use), ``isa_levels`` (for each instruction set in this build,
        whether this CPU can run it), ``openmp`` (whether this build has threads), ``num_threads``,
        ``openmp_libraries``, ``wait_policy``, ``crowded``, ``caches``, ``tuning``, ``numpy``, ``python``, ``machine``,
        ``cpu`` (the name of the CPU; where the system has none, its architecture).

        ``openmp_libraries`` has a dict with ``kind`` ("GNU", "LLVM" or "Intel") and ``path`` for each OpenMP library
        that this process has loaded, whoever uses it. One that is part of another library's file is not seen. It is
        None where neither Linux's list of a process's files nor threadpoolctl can tell. ``wait_policy`` is what the
        environment variable ``OMP_WAIT_POLICY`` says about threads that have nothing to do, None if it is not set.
        ``caches`` has the sizes in bytes that normcy counts on, and ``tuning`` the numbers that follow from them; they
        decide how fast calls are, and no bit of any result. ``crowded`` is whether calls take one thread at the moment,
        since others use the CPUs.

    Examples
    --------
    >>> import normcy
    >>> config = normcy.get_config()
    >>> config["isa_levels"][config["isa"]]
    True
    """
    from normcy._cpu import cpu_name
    from normcy._native import tuning
    from normcy._openmp import openmp_libraries

    return {
        "version": __version__,
        "isa": _native.current_isa(),
        "isa_levels": _native.isas(),
        "openmp": _native.has_openmp(),
        "num_threads": get_num_threads(),
        "openmp_libraries": openmp_libraries(),
        "wait_policy": os.environ.get("OMP_WAIT_POLICY"),
        "crowded": _native.is_crowded(),
        "caches": tuning.caches(),
        "tuning": tuning.tuning(),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpu": cpu_name(),
    }


def show_config() -> None:
    """Print what `get_config` returns.

    Examples
    --------
    >>> import normcy
    >>> normcy.show_config()  # doctest: +ELLIPSIS
    normcy ...
    """
    config = get_config()
    levels = ", ".join(name + ("" if runs else " (not on this CPU)") for name, runs in config["isa_levels"].items())
    print(f"normcy {config['version']} on {config['machine']}, Python {config['python']}, NumPy {config['numpy']}")
    print(f"  CPU               {_shown(config['cpu'])}")
    print(f"  instruction set   {config['isa']}  (built: {levels}; force one with NORMCY_ISA)")
    crowded = "  (one for a while, as others use the CPUs)" if config["crowded"] else ""
    print(f"  threads           {config['num_threads']}{crowded}")
    print(f"  OpenMP            {'yes' if config['openmp'] else 'no: one thread'}")
    print(f"  OpenMP libraries  {_listed(config['openmp_libraries'])}")
    print(f"  wait policy       {_shown(config['wait_policy'] or 'not set')}  (of idle threads: OMP_WAIT_POLICY)")
    sizes = ", ".join(f"{name[:2].upper()} {size >> 10} KiB" for name, size in config["caches"].items())
    print(f"  caches            {sizes}  (as far as a thread can count on them)")
    numbers = [f"{name}={value}" for name, value in config["tuning"].items()]
    print(textwrap.fill(", ".join(numbers), 80, initial_indent="  tuning            ", subsequent_indent=" " * 20))


def _shown(text: str) -> str:
    """Returns what the output can show; the environment and paths can have any bytes."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "ascii")  # there is no stdout if it was closed
        return text if text.isprintable() else ascii(text)[1:-1]
    except UnicodeError:
        return ascii(text)[1:-1]


def _listed(libraries: list[Library] | None) -> str:
    if libraries is None:
        return "not known; they are if threadpoolctl is installed"
    lines = [f"{_shown(library['path'])}  ({library['kind']})" for library in libraries] or ["none"]
    if len(lines) > 1:
        lines.append("each has threads of its own: give all the same number, as OMP_NUM_THREADS does")
    return f"\n{'':20}".join(lines)


def get_include() -> str:
    """Return the folder of ``normcy.h`` and ``normcy.pxd``, for C and Cython code that calls normcy without Python.

    It goes where a build has its folders of headers, ``include_dirs`` of an ``Extension``, and for Cython also into
    ``include_path`` of ``cythonize``.

    Returns
    -------
    str

    Examples
    --------
    >>> import os, normcy
    >>> sorted(os.listdir(normcy.get_include()))
    ['normcy.h', 'normcy.pxd']
    """
    return os.path.join(os.path.dirname(__file__), "include")
