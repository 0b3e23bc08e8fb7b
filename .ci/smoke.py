"""Tests an installed normcy, alone with NumPy: it has every instruction set, and agrees with its reference."""

import sys
from importlib.metadata import distributions

import numpy as np

import normcy

installed = {d.metadata["Name"].lower() for d in distributions()} - {"pip", "setuptools", "wheel"}
assert installed == {"numpy", "normcy"}, installed
config = normcy.get_config()
assert config["openmp"] == ("--openmp" in sys.argv), config
assert set(config["isa_levels"]) in ({"baseline", "avx2", "avx512"}, {"neon"}, {"neon", "sve256"}, {"baseline"}), config

x = np.random.default_rng(0).standard_normal((4, 32, 40, 40), dtype=np.float32) + 100
for name, arguments in {
    "batch_norm": (None, None, None, None, True),
    "instance_norm": (),
    "group_norm": (8,),
    "layer_norm": ((40, 40),),
    "layer_norm2d": (),
    "rms_norm": (40,),
    "adain": (x[:, :, :20],),
    "evonorm_s0": (8, None, None, np.ones(32, np.float32)),
    "weight_norm": (np.full(4, 300, np.float32),),
}.items():
    y, expected = (getattr(m, name)(x, *arguments) for m in (normcy, normcy.reference))
    error = np.max(np.abs(y - expected) / np.maximum(1, np.abs(expected))) / 2.0**-24
    assert error <= 4, (name, error)
    print(f"{name:14} largest error {error:.2f} units of 2**-24")
