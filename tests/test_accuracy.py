"""The errors that normcy compare shows."""

import numpy as np
import pytest

from normcy._compare.accuracy import Reference
from normcy._compare.cases import Case, Job, arrays


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_infinite_errors(value):
    """A NaN or inf in place of a number is an infinite error, not a large one; in place of itself it is none."""
    case = Case("small", "layer", (4, 6), "-")
    data = arrays(Job(case, None))
    reference = Reference(case, data)
    y = reference.y.astype(np.float32)
    y[1, 2] = value
    assert reference.errors(y) == (np.inf, np.inf)
    data["x"][1, 2] = np.nan
    reference = Reference(case, data)
    assert reference.errors(reference.y.astype(np.float32)).units <= 1
