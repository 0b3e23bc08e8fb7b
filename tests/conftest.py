import pytest

from normcy import _native


def pytest_addoption(parser):
    parser.addoption("--arrays", type=int, default=1000, help="how many arrays the random test makes")


@pytest.fixture
def use_level():
    """Switch the instruction set; the best one is back after the test."""
    yield _native.use_level
    _native.use_level("")
