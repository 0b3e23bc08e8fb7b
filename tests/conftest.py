from pathlib import Path

import pytest
from hypothesis import settings
from methods import sample

from normcy import _native

for profile, examples in ("fast", 25), ("torture", 1000):
    settings.register_profile(profile, max_examples=examples, derandomize=True, database=None, deadline=None)

_native.judge_calls(False)  # tests get the threads that they ask for, also on a machine that others use


def pytest_addoption(parser):
    parser.addoption("--arrays", type=int, default=1000, help="how many arrays the random test makes")
    parser.addoption("--dist", type=Path, help="a folder with a source archive and the wheel from it, built before")
    parser.addoption("--results", type=float, default=3e8, help="how many results the sweep of kinds of data takes")


def pytest_configure(config):
    settings.load_profile("torture" if config.option.markexpr == "torture" else "fast")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Makes a run of the torture tests run the property tests, too, with more examples."""
    for item in items:
        if config.option.markexpr == "torture" and getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker(pytest.mark.torture)


@pytest.fixture
def use_isa():
    """Switches the instruction set; after the test the best one is back."""
    yield _native.use_isa
    _native.use_isa("")


@pytest.fixture
def resnet18(tmp_path, monkeypatch):
    """Enters a folder with a file that names arrays as torchvision's ResNet does; returns the arrays of its first norm."""
    files = pytest.importorskip("safetensors.numpy")
    keys = "weight", "bias", "running_mean", "running_var"
    arrays = dict(zip(keys, [*(sample(64, seed=seed) for seed in range(3)), sample(64, seed=3) ** 2], strict=True))
    named = {f"bn1.{key}": array for key, array in arrays.items()}
    files.save_file(named | {"layer1.0.bn1.weight": sample(64, seed=4)}, tmp_path / "resnet18.safetensors")
    monkeypatch.chdir(tmp_path)
    return arrays
