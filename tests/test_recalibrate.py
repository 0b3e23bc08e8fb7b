"""recalibrate: running statistics from data, and layers that do not change when anything fails."""

import builtins
import copy
import pickle
import threading
import warnings

import numpy as np
import pytest
from methods import every_layout, same_bits, sample

import normcy

SIZES = (8, 3, 8, 5)  # of batches: unequal, so that the two methods differ


def data(shape=(3, 4), sizes=SIZES, ratio=1.0):
    """Returns batches whose means change, so that there is variance between them."""
    return [sample((n, *shape), mean=ratio + k, seed=k) for k, n in enumerate(sizes)]


def population(batches, correction=0):
    z = np.concatenate(batches).astype(np.float64)
    axes = (0, *range(2, z.ndim))
    return z.mean(axes), z.var(axes, ddof=correction)


def average(batches, correction=0):
    axes = (0, *range(2, batches[0].ndim))
    z = [x.astype(np.float64) for x in batches]
    return np.mean([x.mean(axes) for x in z], 0), np.mean([x.var(axes, ddof=correction) for x in z], 0)


def scrambled(layer):
    for key, array in layer.state_dict().items():
        array[...] = 17 if key.endswith("tracked") else np.random.default_rng(len(key)).random(array.shape) + 0.5
    return layer


def snapshot(layer):
    """Returns everything that a failure must not change."""
    state = [(key, array.copy()) for key, array in layer.state_dict().items()]
    return repr(layer), layer.training, [(key, array.tobytes()) for key, array in state]


def exactly(stored, expected):
    """Allows one rounding to float32, and that of a merge in float64."""
    np.testing.assert_allclose(stored, expected, rtol=2.0**-24 * 1.001, atol=1e-12)


METHODS = {"population": population, "average": average}
every_method = pytest.mark.parametrize("method", METHODS)


@every_method
@pytest.mark.parametrize("unbiased", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("momentum", [0.1, None])
def test_batch_norm(method, unbiased, training, momentum):
    """Pitfall 4: the variance is biased or unbiased, as the layer stores it. Mode and momentum are as before."""
    layer = scrambled(normcy.BatchNorm(3, momentum=momentum, unbiased_running_var=unbiased)).train(training)
    live, weight = layer.running_mean, layer.weight.copy()
    batches = data()
    assert normcy.recalibrate([layer], layer, batches, method=method) is None
    mean, var = METHODS[method](batches, correction=int(unbiased))
    exactly(layer.running_mean, mean)
    exactly(layer.running_var, var)
    assert layer.num_batches_tracked == len(batches)
    assert layer.training is training
    assert layer.momentum == momentum
    assert layer.running_mean is live
    assert same_bits(layer.weight, weight)


@every_method
def test_batch_renorm(method):
    """The deviation, which contains eps, is that of the population, or the mean of the batches' own."""
    layer = scrambled(normcy.BatchRenorm(3))
    batches = data()
    normcy.recalibrate([layer], layer, batches, method=method)
    if method == "population":
        std = np.sqrt(population(batches)[1] + 1e-3)
    else:
        std = np.mean([np.sqrt(population([x])[1] + 1e-3) for x in batches], 0)
    exactly(layer.running_mean, METHODS[method](batches)[0])
    exactly(layer.running_std, std)
    assert layer.num_batches_tracked == len(batches)


@every_method
def test_evonorm(method):
    layer = scrambled(normcy.EvoNormB0(3))
    batches = data()
    normcy.recalibrate([layer], layer, batches, method=method)
    exactly(layer.running_var, METHODS[method](batches, correction=1)[1])


@every_method
@every_layout
def test_ibn(method, layout):
    """The batch norm is recalibrated, by itself or as a part."""
    batches = data((7, 4))
    if layout == "NHWC":
        batches = [np.ascontiguousarray(x.transpose(0, 2, 1)) for x in batches]
    layer = scrambled(normcy.IBN(7, layout=layout)).eval()
    normcy.recalibrate([layer, layer.BN], layer, batches, method=method)
    halves = [x[:, 3:] if layout == "NCHW" else x[..., 3:].transpose(0, 2, 1) for x in batches]
    mean, var = METHODS[method](halves, correction=1)
    exactly(layer.BN.running_mean, mean)
    exactly(layer.BN.running_var, var)
    assert not layer.training
    assert not layer.BN.training


def test_population_is_exact_far_from_zero():
    """E[x^2] - E[x]^2 has no digits left in float32, and few in float64, for a mean of a million deviations."""
    batches = data(ratio=1e6)
    layer = normcy.BatchNorm(3)
    normcy.recalibrate([layer], layer, batches)
    mean, var = population(batches, correction=1)
    exactly(layer.running_mean, mean)
    np.testing.assert_allclose(layer.running_var, var, rtol=1e-7)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("make", "trained"),
    [
        (lambda: normcy.BatchNorm(3, activation="relu"), lambda: normcy.BatchNorm(3, activation="relu")),
        (lambda: normcy.EvoNormB0(3), lambda: normcy.EvoNormB0(3)),
        (lambda: normcy.BatchRenorm(3), lambda: normcy.BatchRenorm(3)),  # a new one's limits are 1 and 0
        (lambda: normcy.IBN(3), lambda: normcy.IBN(3)),
    ],
    ids=["BatchNorm", "EvoNormB0", "BatchRenorm", "IBN"],
)
def test_batch_statistics_normalize_meanwhile(make, trained, training):
    """This holds in every mode, and for any running statistics."""
    layer, seen = scrambled(make()).train(training), []
    fresh = trained()
    for array, value in zip(fresh.state_dict().values(), layer.state_dict().values(), strict=True):
        array[...] = value
    if isinstance(layer, normcy.BatchRenorm):
        layer.num_batches_tracked[...] = 10**6
    batches = data()
    normcy.recalibrate([layer], lambda x: seen.append(layer(x)), batches)
    for x, y in zip(batches, seen, strict=True):
        assert same_bits(y, fresh(x))


def test_residuals_and_out():
    """Statistics are those of x + pre_add, also if the result is written to x itself."""
    layer = normcy.BatchNorm(3)
    batches, pre = data(), sample((8, 3, 4), mean=5, seed=9)
    sums = [x + pre[: len(x)] for x in batches]
    normcy.recalibrate([layer], lambda x: layer(x, x, pre[: len(x)]), [x.copy() for x in batches])
    exactly(layer.running_mean, population(sums)[0])
    exactly(layer.running_var, population(sums, correction=1)[1])


@every_method
def test_layer_seen_several_times_a_batch(method):
    """All calls count; num_batches_tracked is still the number of batches."""
    layer = normcy.BatchNorm(3)
    batches, more = data(), data(ratio=-4.0)
    normcy.recalibrate(
        [layer], lambda pair: [layer(x) for x in pair], list(zip(batches, more, strict=True)), method=method
    )
    mean, var = METHODS[method]([x for pair in zip(batches, more, strict=True) for x in pair], correction=1)
    exactly(layer.running_mean, mean)
    exactly(layer.running_var, var)
    assert layer.num_batches_tracked == len(batches)


def test_deep_model():
    """A later layer sees what earlier ones make with batch statistics, in one pass, also in eval mode."""
    first, second = normcy.BatchNorm(3).eval(), scrambled(normcy.BatchNorm(3)).eval()
    batches = data()
    normcy.recalibrate((first, second), lambda x: second(np.tanh(first(x))), (x for x in batches))
    trained = normcy.BatchNorm(3)
    exactly(second.running_mean, population([np.tanh(trained(x)) for x in batches])[0])


def test_flag_cleared_layers_are_recalibrated():
    """A layer with buffers is recalibrated, even if it does not track."""
    layer = normcy.BatchNorm(3)
    layer.track_running_stats = False
    normcy.recalibrate([layer], layer, data())
    exactly(layer.running_mean, population(data())[0])


def test_adabn():
    """With the target's statistics and the same affine parameters, activations become those of the source."""
    layer = normcy.BatchNorm(3)
    source = data(sizes=(64, 64))
    normcy.recalibrate([layer], layer, source)
    layer.eval()
    target = [3 * x - 7 for x in source]
    before = np.concatenate([layer(x) for x in target])
    normcy.recalibrate([layer], layer, target)
    after = np.concatenate([layer(x) for x in target])
    np.testing.assert_allclose(after.mean((0, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(after.var((0, 2)), 1, atol=1e-2)
    assert np.abs(before.mean((0, 2))).min() > 1


def test_nan_stays_in_its_channel():
    """Pitfall 10."""
    layer = normcy.BatchNorm(3)
    batches = data()
    batches[1][2, 1, 0] = np.nan
    normcy.recalibrate([layer], layer, batches)
    mean, _ = population(data())
    exactly(layer.running_mean[[0, 2]], mean[[0, 2]])
    assert np.isnan(layer.running_mean[1])
    assert np.isnan(layer.running_var[1])


def test_empty_arrays_count_nothing():
    """They are not counted as batches, either; each layer counts those in which it saw values."""
    layer, rare = normcy.BatchNorm(3), normcy.BatchRenorm(3)
    batches = data()
    given = [batches[0][:0], *batches, batches[0][:0]]
    normcy.recalibrate([layer, rare], lambda x: rare(layer(x)) if len(x) == 8 else layer(x), given, method="average")
    exactly(layer.running_mean, average(batches)[0])
    assert layer.num_batches_tracked == len(batches)
    assert rare.num_batches_tracked == 2


# -- statistics that must not matter, and NumPy's error handling -------------------------------------------------------

KINDS = {
    "BatchNorm": lambda: normcy.BatchNorm(4),
    "BatchRenorm": lambda: normcy.BatchRenorm(4),
    "EvoNormB0": lambda: normcy.EvoNormB0(4),
    "IBN": lambda: normcy.IBN(4),
}


def filled(layer, value):
    """Returns a layer whose running statistics all have that value."""
    for key, array in layer.state_dict().items():
        if "running" in key:
            array[...] = value
    return layer


def recalibrated(make_a, make_b, value, batches, method):
    """Returns results and statistics of a chain of two layers, whose statistics had that value before."""
    a, b = filled(make_a(), value), filled(make_b(), value)
    results = []
    normcy.recalibrate([a, b], lambda x: results.append(b(a(x))), batches, method=method)
    return [array.tobytes() for layer in (a, b) for array in layer.state_dict().values()], [
        y.tobytes() for y in results
    ]


@every_method
@pytest.mark.parametrize("a", KINDS)
@pytest.mark.parametrize("b", KINDS)
def test_layers_whose_statistics_were_spoilt_are_repaired(a, b, method):
    """This holds also behind another layer: none of the old statistics affects any result."""
    batches = data((4, 3))
    expected = recalibrated(KINDS[a], KINDS[b], 1, batches, method)
    for value in (0, np.nan, np.inf, -np.inf, 3e38):
        assert recalibrated(KINDS[a], KINDS[b], value, batches, method) == expected
    assert all(np.isfinite(np.frombuffer(y, np.float32)).all() for y in expected[1])


@every_method
@pytest.mark.parametrize("scale", [1e-45, 1e-22, 1, 1e30, np.inf, np.nan])
def test_errstate_changes_nothing(scale, method):
    """Squares of such data are beyond float32; no call raises or warns, and all have the same bits."""
    with np.errstate(all="ignore"):
        batches = [(x * np.float64(scale)).astype(np.float32) for x in data((4, 3))]
    for make in KINDS.values():
        with np.errstate(all="warn"):  # which pytest turns into errors
            expected = recalibrated(make, KINDS["BatchNorm"], np.nan, batches, method)
        with np.errstate(all="raise"):
            assert recalibrated(make, KINDS["BatchNorm"], np.nan, batches, method) == expected


def test_residuals_beyond_float32_under_errstate():
    layer = normcy.BatchNorm(3)
    x = np.full((4, 3), 3e38, np.float32)
    with np.errstate(all="raise"):
        normcy.recalibrate([layer], lambda x: layer(x, pre_add=x), [x])
    assert not np.isfinite(layer.running_mean).any()


# -- copies while it runs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))],
                         ids=["copy", "deepcopy", "pickle"])  # fmt: skip
def test_copies_made_meanwhile_are_ordinary_layers(make, duplicate):
    """An example is a moving average of weights: its inputs do not count, and it keeps its own mode and statistics."""
    layer, expected, copies = make(), make(), []

    def forward(x):
        layer(x)
        copies.append(duplicate(layer).eval())
        copies[-1](x + 100)

    batches = data((4, 3))
    normcy.recalibrate([layer], forward, batches)
    normcy.recalibrate([expected], expected, batches)
    assert snapshot(layer) == snapshot(expected)
    for made in copies:
        assert repr(made) == repr(layer)
        if duplicate is not copy.copy:  # whose arrays are the original's
            assert snapshot(made) == snapshot(make().eval())
        assert not made.training
        before = [array.copy() for array in made.state_dict().values()]
        made(batches[0])
        assert all(map(same_bits, made.state_dict().values(), before))
        made.train()(batches[0])
        assert not all(map(same_bits, made.state_dict().values(), before))


def test_copies_of_ibn_share_arrays_alone():
    """They share arrays as copies of any layer do, but not modes and attributes. Deep copies keep what is shared."""
    layer = normcy.IBN(4)
    made = copy.copy(layer).eval()
    assert (layer.training, layer.IN.training, layer.BN.training) == (True, True, True)
    assert made.BN.running_mean is layer.BN.running_mean
    again, half = copy.deepcopy((layer, layer.BN))
    assert again.BN is half


# -- failures ----------------------------------------------------------------------------------------------------------


def failing_forward(layers, error, calls=2):
    """Returns a forward that calls every layer, and raises in the middle of the third batch."""
    done = []

    def forward(x):
        layers[0](x)
        if len(done) == calls:
            raise error
        for layer in layers[1:]:
            layer(x)
        done.append(x)

    return forward


def failing_batches(error):
    yield from data()[:2]
    raise error


ERRORS = [RuntimeError("lost"), KeyboardInterrupt(), GeneratorExit(), SystemExit(3), MemoryError()]


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("where", ["forward", "batches"])
@every_method
@pytest.mark.parametrize("progress", [False, True])
def test_exceptions_leave_every_layer_as_it_was(error, where, method, progress):
    layers = [
        scrambled(normcy.BatchNorm(3)),
        scrambled(normcy.EvoNormB0(3)).eval(),
        scrambled(normcy.BatchRenorm(3)),
        scrambled(normcy.IBN(3)),
    ]
    before = [snapshot(layer) for layer in layers]
    forward = failing_forward(layers, error) if where == "forward" else lambda x: [layer(x) for layer in layers]
    batches = data() if where == "forward" else failing_batches(error)
    with pytest.raises(type(error)):
        normcy.recalibrate(layers, forward, batches, method=method, progress=progress)
    assert [snapshot(layer) for layer in layers] == before
    normcy.recalibrate(layers, lambda x: [layer(x) for layer in layers], data())  # and the layers work again
    exactly(layers[0].running_mean, population(data())[0])


def test_a_layer_that_was_never_called():
    called, idle = scrambled(normcy.BatchNorm(3)), scrambled(normcy.BatchNorm(5))
    before = [snapshot(layer) for layer in (called, idle)]
    with pytest.raises(ValueError, match=r"layers: layer 1, BatchNorm\(5\), saw no values"):
        normcy.recalibrate([called, idle], called, data())
    assert [snapshot(layer) for layer in (called, idle)] == before
    with pytest.raises(ValueError, match="saw no values"):
        normcy.recalibrate([called], called, [data()[0][:0]])
    assert snapshot(called) == before[0]


@pytest.mark.parametrize("batches", [[], (), iter([]), (x for x in ())], ids=["list", "tuple", "iterator", "generator"])
def test_no_batches(batches):
    layer = scrambled(normcy.BatchNorm(3))
    before = snapshot(layer)
    with pytest.raises(ValueError, match="batches: expected one batch or more, got none"):
        normcy.recalibrate([layer], layer, batches)
    assert snapshot(layer) == before


def test_mode_and_statistics_that_forward_changes():
    """The mode is as before, and after an exception arrays that forward itself wrote are restored, too."""
    layer = scrambled(normcy.BatchNorm(3))
    before = snapshot(layer)

    def meddling(x):
        layer.eval()
        layer(x)
        layer.running_mean[:] = 5
        raise RuntimeError

    with pytest.raises(RuntimeError):
        normcy.recalibrate([layer], meddling, data())
    assert snapshot(layer) == before
    normcy.recalibrate([layer], lambda x: layer.eval()(x), data())
    assert layer.training is True

    def assigning(x):
        layer.running_mean = np.full(3, 7, np.float32)
        raise RuntimeError

    before, live = snapshot(layer), layer.running_mean
    with pytest.raises(RuntimeError):
        normcy.recalibrate([layer], assigning, data())
    assert snapshot(layer) == before
    assert layer.running_mean is live
    frozen = normcy.IBN(3)
    frozen.BN.eval()
    normcy.recalibrate([frozen], lambda x: frozen.train(False).train()(x) + frozen.eval()(x), data())
    assert (frozen.training, frozen.BN.training) == (True, False)


@pytest.mark.parametrize(
    "modes", [(True, True, True), (False, False, False), (True, False, True), (False, True, False)]
)
@pytest.mark.parametrize("fails", [False, True])
def test_modes_of_both_halves(modes, fails):
    """They are restored whatever forward does to them, also if it fails."""
    layer = normcy.IBN(3)
    parts = layer, layer.IN, layer.BN
    for part, mode in zip(parts, modes, strict=True):
        part.training = mode

    def forward(x):
        layer.train(not modes[1])
        layer(x)
        if fails:
            raise RuntimeError

    try:
        normcy.recalibrate([layer], forward, data())
    except RuntimeError:
        assert fails
    assert tuple(part.training for part in parts) == modes


@pytest.mark.parametrize("key", ["running_mean", "running_var"])
@pytest.mark.parametrize("wrong", [None, [0.0] * 3, np.zeros(3), np.zeros(4, np.float32), "read-only"], ids=str)
def test_statistics_that_cannot_be_written(key, wrong):
    """They are refused before forward runs over the data."""
    layer, calls = normcy.BatchNorm(3), []
    if isinstance(wrong, str):
        getattr(layer, key).flags.writeable = False
    else:
        setattr(layer, key, wrong)
    if key == "running_mean" and wrong is None:
        message = "keeps no statistics of batches"  # as without tracking
    else:
        message = rf"layers: expected layer 0, BatchNorm\(3\), to have a writeable {key} of float32, shape \(3,\), got "
    with pytest.raises(ValueError, match=message):
        normcy.recalibrate([layer], calls.append, data())
    assert not calls


def test_a_call_that_fails_counts_nothing():
    """This holds even if forward catches the exception."""
    layer = normcy.BatchNorm(3)

    def forward(x):
        with pytest.raises(ValueError, match="x: expected 3 channels"):
            layer(np.concatenate([x, x], 1))
        with pytest.raises(ValueError, match="more than one value a channel"):
            layer(x[:1, :, :1])  # one value for each channel
        layer(x)

    batches = data()
    normcy.recalibrate([layer], forward, batches)
    exactly(layer.running_mean, population(batches)[0])


def test_within_itself():
    layer = normcy.BatchNorm(3)

    def forward(x):
        normcy.recalibrate([layer], layer, [x])

    with pytest.raises(ValueError, match="layers: a layer is being recalibrated already"):
        normcy.recalibrate([layer], forward, data())
    layer(data()[0])
    assert layer.num_batches_tracked == 1


BN = normcy.BatchNorm


@pytest.mark.parametrize(
    ("arguments", "keywords", "error", "message"),
    [
        ((BN(3), abs, []), {}, TypeError, "layers: expected a sequence of layers, got one BatchNorm; put it in a list"),
        ((3, abs, []), {}, TypeError, "layers: expected a sequence of layers, got int"),
        (([abs], abs, []), {}, TypeError, "layers: expected layers of normcy, got builtin_function_or_method at index 0"),
        (([], abs, []), {}, ValueError, "layers: expected one layer or more, got none"),
        (([normcy.InstanceNorm(3, track_running_stats=True)], abs, []), {}, ValueError, "layers: layer 0, InstanceNorm(3, track_running_stats=True), keeps no statistics of batches"),
        (([BN(3), normcy.LayerNorm(3)], abs, []), {}, ValueError, "layers: layer 1, LayerNorm((3,)), keeps no statistics of batches"),
        (([BN(3, track_running_stats=False)], abs, []), {}, ValueError, "keeps no statistics of batches"),
        (([normcy.EvoNormB0(3, apply_act=False)], abs, []), {}, ValueError, "keeps no statistics of batches"),
        (([BN(3)], 3, []), {}, TypeError, "forward: expected a callable, got int"),
        (([BN(3)], abs, 3), {}, TypeError, "batches: expected an iterable, got int"),
        (([BN(3)], abs, []), {"method": "mean"}, ValueError, "method: expected one of 'population', 'average', got 'mean'"),
        (([BN(3)], abs, []), {"progress": 1}, TypeError, "progress: expected True or False, got int"),
    ],
)  # fmt: skip
def test_errors(arguments, keywords, error, message):
    with pytest.raises(error) as caught:
        normcy.recalibrate(*arguments, **keywords)
    assert message in str(caught.value)


# -- the progress bar --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_generator", [False, True])
def test_progress(as_generator, capsys):
    layer = normcy.BatchNorm(3)
    normcy.recalibrate([layer], layer, (x for x in data()) if as_generator else data(), progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "recalibrate" in shown.err
    assert layer.num_batches_tracked == len(SIZES)


def test_the_bar_ends_with_an_exception():
    """The threads of the bar are gone even while the traceback is kept."""
    layer, before = normcy.BatchNorm(3), set(threading.enumerate())
    with pytest.raises(RuntimeError) as caught:
        normcy.recalibrate([layer], failing_forward([layer], RuntimeError()), data(), progress=True)
    assert caught.value.__traceback__ is not None
    for thread in set(threading.enumerate()) - before:
        thread.join(10)  # one that is being stopped takes a moment
    assert set(threading.enumerate()) <= before


def test_progress_without_rich(monkeypatch):
    original = builtins.__import__

    def without_rich(name, *rest):
        if name.split(".")[0] == "rich":
            raise ImportError(name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_rich)
    layer = scrambled(normcy.BatchNorm(3))
    before = snapshot(layer)
    with pytest.raises(ImportError, match="progress: needs rich, run `python -m pip install rich`"):
        normcy.recalibrate([layer], layer, data(), progress=True)
    assert snapshot(layer) == before
    normcy.recalibrate([layer], layer, data())


# -- PyTorch, fvcore -------------------------------------------------------------------------------------------------


def torch_model(torch, ours):
    model = torch.nn.Sequential(torch.nn.BatchNorm1d(3), torch.nn.Tanh(), torch.nn.BatchNorm1d(3, momentum=0.3))
    layers = [normcy.BatchNorm(3), normcy.BatchNorm(3, momentum=0.3)]
    return model, layers, lambda x: layers[1](np.tanh(layers[0](x)))


def same_statistics(model, layers):
    for module, layer in zip((model[0], model[2]), layers, strict=True):
        np.testing.assert_allclose(layer.running_mean, module.running_mean.numpy(), rtol=2e-6, atol=2e-6)
        np.testing.assert_allclose(layer.running_var, module.running_var.numpy(), rtol=1e-5)


def test_torch_update_bn():
    """torch.optim.swa_utils.update_bn is "average", also in its count."""
    torch = pytest.importorskip("torch", reason="needs torch to compare with")
    model, layers, forward = torch_model(torch, normcy)
    for layer in layers:
        scrambled(layer)
        layer.weight[:], layer.bias[:] = 1, 0
    torch.optim.swa_utils.update_bn([torch.from_numpy(x) for x in data()], model)
    normcy.recalibrate(layers, forward, data(), method="average")
    same_statistics(model, layers)
    assert layers[0].num_batches_tracked == model[0].num_batches_tracked == len(SIZES)


def precise_bn(batches):
    """Computes fvcore's formulas: without Bessel's correction, means weighted by size, biased E[x^2] - E[x]^2."""
    mean = square = total = 0
    for x in batches:
        n = x.size // x.shape[1]
        z = x.astype(np.float64)
        batch_mean, batch_var = z.mean((0, 2)), z.var((0, 2), ddof=1) * (n - 1) / n
        total += n
        mean = mean + (batch_mean - mean) * n / total
        square = square + (batch_var + batch_mean**2 - square) * n / total
    return mean, square - mean**2


def test_precise_bn_formula():
    """fvcore's precise BN is "population" with the biased variance."""
    layer = normcy.BatchNorm(3, unbiased_running_var=False)
    normcy.recalibrate([layer], layer, data())
    mean, var = precise_bn(data())
    exactly(layer.running_mean, mean)
    exactly(layer.running_var, var)


def test_fvcore():
    torch = pytest.importorskip("torch", reason="needs torch to compare with")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations in what it imports
        precise = pytest.importorskip("fvcore.nn.precise_bn", reason="needs fvcore to compare with")
    model, layers, forward = torch_model(torch, normcy)
    for layer in layers:
        layer.unbiased_running_var = False
    with torch.no_grad():
        precise.update_bn_stats(
            model.train(), [torch.from_numpy(x) for x in data()], num_iters=len(SIZES), progress=None
        )
    normcy.recalibrate(layers, forward, data())
    same_statistics(model, layers)
    assert [m.momentum for m in (model[0], model[2])] == [layer.momentum for layer in layers]
