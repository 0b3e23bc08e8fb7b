"""Tests an installed normcy: it has every instruction set, and agrees with its reference."""

import argparse
import os
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import numpy as np

import normcy

CALLS = {
    "batch_norm": (None, None, None, None, True),
    "instance_norm": (),
    "group_norm": (8,),
    "layer_norm": ((40, 40),),
    "layer_norm2d": (),
    "rms_norm": (40,),
    "adain": (np.ones((4, 32, 20, 40), np.float32),),
    "evonorm_s0": (8, None, None, np.ones(32, np.float32)),
    "weight_norm": (np.full(4, 300, np.float32),),
}
SET_ONE = "import {}, {}; torch.set_num_threads(1); print(normcy.get_num_threads())"
GET_BOTH = "import torch, normcy; print(torch.get_num_threads(), normcy.get_num_threads())"


def check_results(quiet: bool = False) -> None:
    x = np.random.default_rng(0).standard_normal((4, 32, 40, 40), dtype=np.float32) + 100
    for name, arguments in CALLS.items():
        y, expected = (getattr(module, name)(x, *arguments) for module in (normcy, normcy.reference))
        error = np.max(np.abs(y - expected) / np.maximum(1, np.abs(expected))) / 2.0**-24
        assert error <= 4, (name, error)
        quiet or print(f"{name:14} largest error {error:.2f} units of 2**-24")


def check_alone() -> None:
    installed = {d.metadata["Name"].lower() for d in distributions()} - {"pip", "setuptools", "wheel"}
    assert installed == {"numpy", "normcy"}, installed


def libraries() -> dict[str, Path]:
    """Returns the OpenMP libraries in this process, by the name of their folder."""
    paths = [Path(library["path"]) for library in normcy.get_config()["openmp_libraries"]]
    return {path.parent.name: path for path in paths}


def check_beside_torch() -> None:
    """Torch has an OpenMP library of its own, which the wheel uses instead of its own where torch is imported first."""
    import torch

    torch.set_num_threads(2)
    torch.relu(torch.ones(1 << 22))
    normcy.set_num_threads(3)
    assert set(libraries()) == {"normcy.libs", "lib"}, libraries()
    assert (torch.get_num_threads(), normcy.get_num_threads()) == (2, 3)
    check_results(quiet=True)
    child = os.fork()
    if not child:
        check_results(quiet=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    torch.relu(torch.ones(1 << 22))
    assert output(GET_BOTH, OMP_NUM_THREADS="1") == ["1", "1"]
    assert output(SET_ONE.format("torch", "normcy"), OMP_NUM_THREADS="2") == ["1"]
    assert output(SET_ONE.format("normcy", "torch"), OMP_NUM_THREADS="2") == [str(min(2, os.cpu_count()))]
    print("beside torch   right, in a forked child, too; OMP_NUM_THREADS limits both")


def output(program: str, **environment: str) -> list[str]:
    """Returns the words that a Python of its own prints, in a folder that has no normcy."""
    options = {"cwd": Path(__file__).parent, "env": {**os.environ, **environment}, "text": True}
    return subprocess.check_output([sys.executable, "-c", program], **options).split()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alone", action="store_true", help="nothing else is installed but NumPy")
    parser.add_argument("--openmp", action="store_true", help="the build has threads")
    parser.add_argument("--bundled", action="store_true", help="the wheel's own OpenMP library is in use, and no other")
    parser.add_argument("--torch", action="store_true", help="torch is in the same process")
    options = parser.parse_args()
    config = normcy.get_config()
    assert config["openmp"] == options.openmp, config
    levels = ({"baseline", "avx2", "avx512"}, {"neon"}, {"neon", "sve256"}, {"baseline"})
    assert set(config["isa_levels"]) in levels, config
    if options.alone:
        check_alone()
    if options.bundled:
        assert set(libraries()) == {"normcy.libs"}, libraries()
    check_results()
    if options.torch:
        check_beside_torch()


if __name__ == "__main__":
    main()
