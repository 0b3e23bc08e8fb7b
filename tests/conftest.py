import pytest

from normcy import _native


@pytest.fixture
def use_level():
    """Switch the instruction set; the best one is back after the test."""
    yield _native.use_level
    _native.use_level("")
