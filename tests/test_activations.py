"""Tests of relu, silu and both gelus: their error over all of float32, and the same bits on every instruction set."""

import numpy as np
import pytest
from methods import ISAS, assert_close, same_bits

import normcy
from normcy.reference import activate

ACTIVATIONS = ["relu", "silu", "gelu", "gelu_tanh"]
every_activation = pytest.mark.parametrize("activation", ACTIVATIONS)


def apply(x, activation):
    """Applies the activation alone, by a batch norm that changes nothing."""
    one = np.ones(1, np.float32)
    return normcy.batch_norm(x.reshape(-1, 1), one * 0, one, eps=0, activation=activation).ravel()


def floats(bits):
    return np.asarray(bits, np.uint32).view(np.float32)


@every_activation
def test_error(activation, use_isa):
    """The error is at most 3 * 2**-24 * |x|, 0 for relu, for every exponent, and densely where the functions bend."""
    positive = np.concatenate([
        floats(np.arange(0, 0x7F800000, 40961)),
        np.linspace(0, 12, 300_000, dtype=np.float32),
        np.linspace(12, 110, 100_000, dtype=np.float32),
        floats([1, 0x7FFFFF, 0x800000, 0x7F7FFFFF]),
    ])  # fmt: skip
    x = np.concatenate([positive, -positive])
    expected = activate(x.astype(np.float64), activation)
    results = []
    for isa in ISAS:
        use_isa(isa)
        results.append(apply(x, activation))
        limit = 0 if activation == "relu" else 3 * 2.0**-24 * np.abs(x.astype(np.float64))
        assert_close(results[-1], expected, np.maximum(limit, 2.0**-149 if activation != "relu" else 0))
    assert all(same_bits(results[0], y) for y in results[1:])


@every_activation
def test_shape_of_the_curve(activation):
    """0 stays 0, large values change by one rounding at most, and nothing jumps where exp ends."""
    assert apply(np.zeros(1, np.float32), activation)[0] == 0
    large = np.concatenate([np.geomspace(20, 3e38, 10_000, dtype=np.float32), floats([0x7F7FFFFF])])
    assert np.all(np.abs(apply(large, activation).astype(np.float64) - large) <= 2.0**-23 * large.astype(np.float64))
    assert np.all(np.abs(apply(-large[large >= 100], activation)) < 1e-30)
    x = np.linspace(0, 40, 200_001, dtype=np.float32)
    assert np.all(np.diff(apply(x, activation)) >= -4e-6)


@every_activation
def test_not_finite(activation):
    """NaN and inf do not change; -inf becomes 0 for relu and, as in PyTorch, NaN for the others."""
    y = apply(np.array([np.nan, np.inf, -np.inf, 1], np.float32), activation)
    assert np.isnan(y[0])
    assert y[1] == np.inf
    assert y[2] == 0 if activation == "relu" else np.isnan(y[2])
    assert 0.8 < y[3] <= 1 or activation == "silu"


@every_activation
def test_against_torch(activation):
    torch = pytest.importorskip("torch", reason="needs torch to compare with")
    F = torch.nn.functional
    theirs = {"relu": F.relu, "silu": F.silu, "gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh")}
    x = np.linspace(-30, 30, 10_001, dtype=np.float32)
    np.testing.assert_allclose(apply(x, activation), theirs[activation](torch.from_numpy(x)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("wrong", ["ReLU", "tanh", "", 3, ["relu"]])
def test_wrong_name(wrong):
    with pytest.raises(ValueError, match='activation: expected None, "relu", "silu", "gelu", "gelu_tanh", got'):
        normcy.layer_norm(np.ones((2, 4), np.float32), 4, activation=wrong)
