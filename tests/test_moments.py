"""Moments: the same statistics for every split and order of merging; and the momentum of repeated updates."""

import copy
import itertools
import json
import pickle

import numpy as np
import pytest
from methods import every_layout, same_bits, sample

import normcy
from normcy import Moments


def exact(x):
    """Returns mean and biased variance of each channel (axis 1) in extended precision, in two passes."""
    z = np.moveaxis(x, 1, -1).reshape(-1, x.shape[1]).astype(np.longdouble)
    mean = z.mean(0)
    return mean.astype(np.float64), ((z - mean) ** 2).mean(0).astype(np.float64)


def agrees(found, x):
    """Checks what the docstring promises: the mean to 1e-12 of max(|mean|, std), the variance to 1e-8."""
    mean, var = exact(x)
    assert found.count == x.size // x.shape[1]
    assert np.all(np.abs(found.mean - mean) <= 1e-12 * np.maximum(np.abs(mean), np.sqrt(var)))
    assert np.all(np.abs(found.var() - var) <= 1e-8 * var)


def spread(shape, ratio, seed=0):
    """Returns channels of std 1, 1e-3 and 1e3 whose mean is `ratio` standard deviations."""
    std = np.array([1, 1e-3, 1e3]).reshape(1, 3, *(1,) * (len(shape) - 2))
    return ((np.random.default_rng(seed).standard_normal(shape) + ratio) * std).astype(np.float32)


def pieces(x, g, count):
    """Cuts x along samples at random places; some parts are empty."""
    cuts = np.sort(g.integers(0, len(x) + 1, count - 1))
    return np.split(x, cuts)


def merged_by_tree(parts, g):
    """Merges random pairs until one is left."""
    parts = list(parts)
    while len(parts) > 1:
        a, b = (parts.pop(int(g.integers(len(parts)))) for _ in range(2))
        parts.append(a + b)
    return parts[0]


@pytest.mark.parametrize("ratio", [0.0, 1.0, -1e3, 1e6])
@pytest.mark.parametrize("seed", range(5))
def test_splits_orders_and_trees(ratio, seed):
    g = np.random.default_rng(seed)
    x = spread((600, 3, 4), ratio, seed)
    parts = [Moments.of(piece) for piece in pieces(x, g, int(g.integers(2, 200)))]
    agrees(Moments.of(x), x)
    agrees(sum(parts), x)
    agrees(sum([parts[i] for i in g.permutation(len(parts))]), x)
    agrees(merged_by_tree(parts, g), x)
    running = Moments(3)
    for piece in pieces(x, g, 50):
        assert running.update(piece) is running
    agrees(running, x)


@pytest.mark.parametrize("sorted_first", [False, True], ids=["random", "sorted"])
def test_ten_thousand_pieces_at_a_million_standard_deviations(sorted_first):
    """Sorted values change the mean at every merge, which is the worst case of rounding."""
    x = spread((20_000, 3, 1), 1e6)
    if sorted_first:
        x = np.sort(x, axis=0)
    agrees(sum(Moments.of(piece) for piece in np.split(x, 10_000)), x)


def test_single_values():
    """Parts of one value have no variance of their own: all of it lies between them."""
    x = spread((300, 3), 10.0)
    agrees(sum(Moments.of(x[i : i + 1]) for i in range(300)), x)


@every_layout
@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 6), (2, 3, 4, 5), (2, 3, 4, 2, 3)], ids=str)
def test_layouts_and_views(layout, shape):
    x = sample(shape, mean=2)
    last = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    given = x if layout == "NCHW" else last
    found = Moments.of(given, layout=layout)
    agrees(found, x)
    agrees(Moments(3).update(given, layout=layout), x)
    agrees(Moments.of(np.moveaxis(last, -1, 1)), x)
    agrees(Moments.of(x[::-1, :, ...]), x)


def test_variance():
    x = sample((7, 3))
    found = Moments.of(x)
    for correction in (0, 1, 2.5):
        expected = exact(x)[1] * 7 / (7 - correction)
        np.testing.assert_allclose(found.var(correction), expected, rtol=1e-12)
        np.testing.assert_allclose(found.std(correction), np.sqrt(expected), rtol=1e-12)
    with pytest.raises(TypeError, match="correction: expected a number, got str"):
        found.var("1")


def test_empty_ones_are_neutral():
    x = spread((8, 3), 5.0)
    found = Moments.of(x)
    for other in (Moments(3), Moments.of(x[:0]), Moments.of(np.empty((4, 3, 0), np.float32))):
        assert other.count == 0
        assert np.isnan(other.mean).all()
        assert np.isnan(other.var()).all()
        for whole in (found + other, other + found, sum([other, found, other])):
            assert whole.count == 8
            assert same_bits(whole.mean, found.mean)
            assert same_bits(whole.var(), found.var())
    assert (Moments(3) + Moments(3)).count == 0


def test_one_value():
    one = Moments.of(np.full((1, 3), 7, np.float32))
    assert (one.mean == 7).all()
    assert (one.var() == 0).all()
    assert np.isnan(one.var(1)).all()


def test_adding_changes_neither():
    a, b = Moments.of(sample((4, 3))), Moments.of(sample((5, 3), seed=1))
    before = [pickle.dumps(v) for v in (a, b)]
    total = a + b
    alone = sum([a])
    total.update(sample((2, 3), seed=2))
    alone.update(sample((2, 3), seed=2))
    a.mean[:] = 99
    a.state()["mean"][:] = 99
    assert [pickle.dumps(v) for v in (a, b)] == before
    assert a.merge(b) is a
    assert a.count == 9


def test_merging_with_itself():
    x = spread((9, 3), 3.0)
    found = Moments.of(x)
    found.merge(found)
    agrees(found, np.concatenate([x, x]))


def test_nan_and_infinity_stay_in_their_channel():
    """Pitfall 10."""
    x = sample((40, 4, 3), mean=1)
    x[3, 0, 1], x[30, 2, 0] = np.nan, np.inf
    for found in (Moments.of(x), sum(Moments.of(piece) for piece in np.split(x, 8))):
        assert np.isnan(found.var()[[0, 2]]).all()
        assert not np.isfinite(found.mean[[0, 2]]).any()
        clean = x[:, [1, 3]]
        mean, var = exact(clean)
        np.testing.assert_allclose(found.mean[[1, 3]], mean, rtol=1e-12)
        np.testing.assert_allclose(found.var()[[1, 3]], var, rtol=1e-8)


INF, NAN = np.inf, np.nan


def of_parts(*parts):
    """Returns moments of single channels, each as a part of data with that mean and those squared deviations."""
    return [Moments.from_state({"count": n, "mean": [mean], "m2": [m2]}) for n, mean, m2 in parts]


@pytest.mark.parametrize(
    ("parts", "mean"),
    [
        ([(1, INF, NAN), (3, 2.0, 1.0)], INF),
        ([(1, INF, NAN), (1, INF, NAN), (3, 2.0, 1.0)], INF),
        ([(2, -INF, NAN), (3, 2.0, 1.0), (1, -1e300, 0.0)], -INF),
        ([(1, INF, NAN), (1, -INF, NAN), (3, 2.0, 1.0)], NAN),
        ([(1, INF, NAN), (1, INF, NAN), (1, -INF, NAN)], NAN),
        ([(1, NAN, NAN), (1, INF, NAN), (3, 2.0, 1.0)], NAN),
        ([(1, NAN, NAN), (3, 2.0, 1.0), (3, 2.0, 1.0)], NAN),
        ([(1, INF, INF), (3, 2.0, 1.0)], INF),
        ([(1, INF, 0.0), (1, INF, 0.0)], INF),
    ],
)
def test_infinities_merge_in_any_order(parts, mean):
    """The mean of values with an infinity is that infinity, wherever it stands; its variance is NaN."""
    for ordered in itertools.permutations(of_parts(*parts)):
        backwards = ordered[-1]
        for part in ordered[-2::-1]:
            backwards = part + backwards
        merged = Moments(1)
        for part in ordered:
            merged.merge(part)
        for whole in (sum(ordered), backwards, merged):
            assert whole.count == sum(n for n, _, _ in parts)
            np.testing.assert_array_equal(whole.mean, [mean])
            assert np.isnan(whole.var()).all()


@pytest.mark.parametrize("at", range(8))
def test_an_infinity_anywhere_in_the_data(at):
    """It may be in any value and part; other channels keep the bits that they have without it."""
    clean = sample((8, 3), mean=1)
    x = clean.copy()
    x[at, 1] = np.inf
    for size in (1, 2, 4, 8):
        found, without = (sum(Moments.of(z[i : i + size]) for i in range(0, 8, size)) for z in (x, clean))
        assert found.mean[1] == np.inf
        assert np.isnan(found.var()[1])
        assert same_bits(found.mean[[0, 2]], without.mean[[0, 2]])
        assert same_bits(found.var()[[0, 2]], without.var()[[0, 2]])
        updated = Moments(3).update(clean).update(x)
        assert updated.mean[1] == np.inf


@pytest.mark.parametrize("scale", [1e-45, 1e-22, 1.0, 1e30, 3e38, np.inf, np.nan])
def test_errstate_changes_nothing(scale):
    """No method raises or warns, whatever np.seterr the caller has set, and all have the same bits."""
    with np.errstate(all="ignore"):
        x = (sample((6, 3), mean=0.5) * np.float64(scale)).astype(np.float32)

    def everything():
        whole = Moments.of(x[:1]) + Moments.of(x[1:]) + Moments(3) + Moments.of(x[:0])
        whole.update(x[::-1]).merge(Moments.of(x[2:]))
        again = Moments.from_state(
            {**whole.state(), "mean": whole.mean.astype(np.longdouble) * np.longdouble("1e-300")}
        )
        parts = [whole, Moments(3), again, sum([again, whole, again])]
        statistics = [f(c) for m in parts for f in (m.var, m.std) for c in (0, 1, 1e300)]
        return [a.tobytes() for a in (*statistics, *(m.mean for m in parts))]

    with np.errstate(all="warn"):  # which pytest turns into errors
        expected = everything()
    with np.errstate(all="raise"):
        assert everything() == expected


def test_numbers_at_the_ends_of_float32():
    for scale in (3e38, 1e-45, 1e-38):
        x = (np.array([1, -1, 1, 1, -1, 1], np.float64).reshape(6, 1) * scale).astype(np.float32)
        found = sum(Moments.of(x[i : i + 2]) for i in (0, 2, 4))
        mean, var = exact(x)
        np.testing.assert_allclose(found.mean, mean, rtol=1e-12)
        np.testing.assert_allclose(found.var(), var, rtol=1e-8)


def test_state():
    found = Moments.of(spread((8, 3), 5.0))
    state = found.state()
    assert {key: (a.shape, a.dtype) for key, a in state.items()} == {
        "count": ((), np.dtype(np.int64)), "mean": ((3,), np.dtype(np.float64)), "m2": ((3,), np.dtype(np.float64)),
    }  # fmt: skip
    through_text = json.loads(json.dumps({key: a.tolist() for key, a in state.items()}))
    for given in (state, through_text):
        again = Moments.from_state(given)
        assert again.count == 8
        assert type(again.count) is int
        assert same_bits(again.mean, found.mean)
        assert same_bits(again.var(), found.var())
    again.update(sample((2, 3)))
    assert found.count == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": -1}, "expected count to be one integer from 0 up"),
        ({"count": 2.5}, "expected count to be one integer from 0 up"),
        ({"count": [1]}, "expected count to be one integer from 0 up"),
        ({"mean": [[1.0]]}, r"expected mean and m2 of one shape \(C,\)"),
        ({"m2": [1.0]}, r"expected mean and m2 of one shape \(C,\)"),
        ({"count": np.uint64(2**63)}, "expected count to be one integer from 0 up"),
        ({"mean": [0.0, 1.0, 0.0]}, "expected mean and m2 to be all 0 where count is 0"),
        ({"mean": [0.0, np.nan, 0.0]}, "expected mean and m2 to be all 0 where count is 0"),
        ({"m2": [0.0, 0.0, 1.0]}, "expected mean and m2 to be all 0 where count is 0"),
        ({"more": 1}, "expected the keys count, mean and m2, got count, mean, m2, more"),
    ],
)
def test_wrong_state(change, message):
    with pytest.raises(ValueError, match=f"state: {message}"):
        Moments.from_state({**Moments(3).state(), **change})
    with pytest.raises(TypeError, match="state: expected a mapping, got int"):
        Moments.from_state(3)
    assert Moments.from_state(Moments(3).state()).count == 0


@pytest.mark.parametrize("key", ["count", "mean", "m2"])
@pytest.mark.parametrize("mask", [True, False, np.ma.nomask], ids=str)
def test_masks_are_refused(key, mask):
    """Masks would be lost. They are refused even if they hide nothing, so that this does not depend on the data."""
    state = Moments.of(sample((8, 3))).state()
    with pytest.raises(TypeError, match=f"state: expected {key} to be an array without a mask"):
        Moments.from_state({**state, key: np.ma.array(state[key], mask=mask)})


def test_pickles_are_small_and_copies_independent():
    found = Moments.of(sample((8, 512)))
    stored = pickle.dumps(found)
    assert len(stored) < 16 * 512 + 600, "two float64 a channel, and a frame"
    for again in (pickle.loads(stored), copy.deepcopy(found)):
        assert same_bits(again.mean, found.mean)
        again.update(sample((8, 512)))
    assert found.count == 8
    assert repr(found) == "<Moments of 512 channels: count 8>"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: m.merge(Moments(4)), ValueError, "other: expected 3 channels, got 4"),
        (lambda m: m + Moments(2), ValueError, "other: expected 3 channels, got 2"),
        (
            lambda m: m.update(sample((2, 4))),
            ValueError,
            "x: expected 3 channels, at axis 1 in layout NCHW, got shape (2, 4)",
        ),
        (lambda m: m.merge(3), TypeError, "other: expected Moments, got int"),
        (lambda m: m + 3, TypeError, "unsupported operand"),
        (lambda m: 3 + m, TypeError, "unsupported operand"),
        (lambda m: m.update(np.zeros((2, 3))), TypeError, "x: expected dtype float32 in native byte order, got shape"),
        (lambda m: m.update([1.0]), TypeError, "x: expected a float32 numpy.ndarray, got list"),
        (lambda m: m.update(sample(3)), ValueError, "x: expected an array of rank 2 or more"),
        (lambda m: m.update(sample((2, 3)), "NWHC"), ValueError, "layout: expected one of 'NCHW', 'NHWC'"),
        (lambda m: Moments(-1), ValueError, "num_features: expected an int from 0 up"),
        (lambda m: Moments(1.5), TypeError, "num_features: expected an int, got float"),
    ],
)
def test_errors(call, error, message):
    found = Moments.of(sample((4, 3)))
    before = pickle.dumps(found)
    with pytest.raises(error) as caught:
        call(found)
    assert message in str(caught.value)
    assert pickle.dumps(found) == before


# -- checkpoint_momentum -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("momentum", [0.0, 1e-12, 0.1, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("times", [1, 2, 3, 10])
def test_checkpoint_momentum_undoes_repetition(momentum, times):
    """Pitfall 2: `times` updates with the new momentum are one with the old, in either convention."""
    new = normcy.checkpoint_momentum(momentum, times)
    kept = (1 - new) ** times
    np.testing.assert_allclose(kept, 1 - momentum, rtol=0, atol=1e-15 * times)
    np.testing.assert_allclose(
        -np.expm1(times * np.log1p(-min(new, 0.999))), min(momentum, 1 - 1e-3**times), rtol=1e-12
    )
    keras = normcy.checkpoint_momentum(momentum, times, convention="keras")
    np.testing.assert_allclose(keras**times, momentum, rtol=1e-14)


def test_checkpointed_layer():
    """Pitfall 2: a forward that runs twice with m' updates as much as once with m; with m or sqrt(m), too much."""
    batches = [sample((6, 3, 4), mean=k, seed=k) for k in range(4)]

    def trained(momentum, times):
        layer = normcy.BatchNorm(3, momentum=momentum)
        for x in batches:
            for _ in range(times):
                layer(x)
        return layer

    once, twice = trained(0.1, 1), trained(normcy.checkpoint_momentum(0.1), 2)
    for name in ("running_mean", "running_var"):
        # eight roundings to float32 instead of four, of values below 8
        np.testing.assert_allclose(getattr(twice, name), getattr(once, name), rtol=0, atol=12 * 8 * 2.0**-24)
    assert np.abs(trained(0.1, 2).running_mean - once.running_mean).min() > 0.1
    assert np.abs(trained(0.1**0.5, 2).running_mean - once.running_mean).min() > 0.1


@pytest.mark.parametrize("convention", ["pytorch", "keras"])
@pytest.mark.parametrize("momentum", [0.0, 5e-324, np.float32(1e-45), np.longdouble(1) / 3, 0.999, 1])
def test_checkpoint_momentum_under_errstate(momentum, convention):
    expected = normcy.checkpoint_momentum(momentum, 5, convention=convention)
    with np.errstate(all="raise"):
        assert normcy.checkpoint_momentum(momentum, 5, convention=convention) == expected


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: normcy.checkpoint_momentum(None), TypeError, "momentum: expected a number, got NoneType"),
        (lambda: normcy.checkpoint_momentum(1.5), ValueError, "momentum: expected a number from 0 to 1, got 1.5"),
        (lambda: normcy.checkpoint_momentum(-0.1), ValueError, "momentum: expected a number from 0 to 1"),
        (lambda: normcy.checkpoint_momentum(0.1, 0), ValueError, "times: expected an int from 1 up, got 0"),
        (lambda: normcy.checkpoint_momentum(0.1, 2.0), TypeError, "times: expected an int, got float"),
        (lambda: normcy.checkpoint_momentum(0.1, convention="tf"), ValueError, "convention: expected one of 'pytorch', 'keras'"),
    ],
)  # fmt: skip
def test_checkpoint_momentum_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
