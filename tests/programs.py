"""Runs programs in interpreters of their own, and builds a C library that uses OpenMP beside normcy."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

import normcy

HERE = Path(__file__).parent
PATH = os.pathsep.join([str(Path(normcy.__file__).parents[1]), str(HERE)])

# Every program has an array that is large enough for threads, its result by one thread, and counts of threads.
PRELUDE = """
import os, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)    # a shell in the background has its children ignore it
import numpy as np
{first}
import normcy
from normcy import _native
from methods import sample, same_bits
_native.judge_calls(False)  # as in conftest.py
x = sample((64, 50, 60))
with normcy.num_threads(1):
    plain = normcy.instance_norm(x)
def right():
    return same_bits(normcy.instance_norm(x), plain)
def tasks():
    return len(os.listdir("/proc/self/task"))
def team():
    "How many threads a call takes: the calling one, and those that it starts."
    before = tasks()
    assert right()
    return tasks() - before + 1
def child(work):
    "A fork that does the work; True if it ends well."
    pid = os.fork()
    if pid == 0:
        signal.alarm(40)
        os._exit(0 if work() else 1)
    return os.waitpid(pid, 0)[1] == 0
"""


def run(code, *, timeout=60, first="", **environment):
    """Returns the output of a program. One that hangs fails with the traceback of each of its threads."""
    program = subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", PRELUDE.format(first=first) + dedent(code)],
        env={**os.environ, "PYTHONPATH": PATH, **environment}, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        out, err = program.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(program.pid, signal.SIGABRT)  # also its children, which hold the pipes
        out, err = program.communicate()
        pytest.fail(f"hangs for {timeout} s:\n{out}{err}")
    assert program.returncode == 0, f"exit status {program.returncode}:\n{out}{err}"
    return out.strip()


def openmp_library(folder):
    """Builds openmp_peer.c as a library and returns its path; skips the test if it cannot be built."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if not compiler:
        pytest.skip("needs a C compiler")
    library = folder / "openmp_peer.so"
    command = [compiler, "-O1", "-fopenmp", "-shared", "-fPIC", str(HERE / "attacks/openmp_peer.c"), "-o", str(library)]
    built = subprocess.run(command, capture_output=True, text=True)
    if built.returncode:
        pytest.skip(f"the compiler has no OpenMP: {built.stderr.splitlines()[-1]}")
    return library
