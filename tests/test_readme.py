"""The README's examples run without changes."""

from pathlib import Path

import numpy as np
import pytest
from methods import sample

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.skipif(not README.exists(), reason="needs the source tree")
def test_examples(capsys):
    """The first runs by itself, and then the fused one on its arrays and those of a block around it."""
    first, fused = (part.split("```")[0] for part in README.read_text().split("```python\n")[1:3])
    names = {}
    exec(compile(first, str(README), "exec"), names)
    assert float(capsys.readouterr().out) < 1e-6
    shapes = {
        "shortcut": (8, 64, 56, 56),
        "attended": (8, 128, 768),
        "tokens": (8, 128, 768),
        "gamma": 768,
        "beta": 768,
    }
    names |= {name: sample(shape, seed=seed) for seed, (name, shape) in enumerate(shapes.items())}
    attended, tokens = names["attended"].copy(), names["tokens"].copy()
    exec(compile(fused, str(README), "exec"), names)
    assert np.array_equal(names["tokens"], attended + tokens)
    assert np.all(names["x"] > -0.28)  # the smallest value of SiLU is -0.278
