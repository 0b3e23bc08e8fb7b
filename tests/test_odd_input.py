"""Arrays with any memory and shape, options in any form, and extreme numbers give the reference's result."""

from functools import partial

import numpy as np
import pytest
from calls import CALLS, RUNNING, Call, assert_named, kind, seen, signature
from hypothesis import given
from hypothesis import strategies as st
from methods import LAYOUTS, METHODS, assert_right, bound, parameters
from odd_arrays import FORMS, Memory, aligned, any_form, formed, forms
from odd_values import INF, NAN
from parameters import Case

import normcy
from normcy import reference

seeds = st.integers(0, 2**20)
REFERRED = sorted(set(CALLS) & set(reference.__all__))
AFFINE = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "layer_norm2d", "rms_norm"]


@st.composite
def values(draw, min_rank):
    """Returns arrays of any shape, of none to some thousand values; of more than 8, up to two are special."""
    size = st.sampled_from([2, 3, 1, 0, 5, 17, 33])
    shape = draw(st.lists(size, min_size=min_rank, max_size=5).filter(lambda shape: np.prod(shape) < 4000))
    g = np.random.default_rng(draw(seeds))
    x = (g.standard_normal(shape) + draw(st.sampled_from([0, 100]))).astype(np.float32)
    for value in draw(st.lists(st.sampled_from([NAN, INF, -INF, 2e38, 1e-45, -0.0]), max_size=2)):
        if x.size > 8:
            x.flat[g.integers(x.size)] = value
    return x


def bad_weights(method, x):
    """Returns weights with which float64 gives what float32 can, though intermediate results are float32."""
    activated = method.activation not in (None, "relu")
    underflow = np.any((x != 0) & (np.abs(x) < 1e-30)) or (method.name == "evonorm_s0" and np.any(np.abs(x) > 50))
    return [NAN, 1e20, -1e30] + [INF, -INF] * (not underflow) + [3e38] * (not activated)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@given(data=st.data(), layout=st.sampled_from(LAYOUTS), place=st.sampled_from([None, "x", *FORMS]))
def test_odd_arrays(method, data, layout, place):
    """Arrays of any form and shape, with NaN and inf, give the reference's result, and nothing else is written."""
    x = formed(data.draw(values(method.min_rank)), data.draw(forms if place == "x" else any_form, "form of x"))
    kw = parameters(method, x, layout)
    if kw and x.size and data.draw(st.booleans(), "bad parameter"):
        kw["weight"].flat[-1] = weight = data.draw(st.sampled_from(bad_weights(method, x)))
        infinite = weight != 3e38 and not np.any(np.abs(x) > 1e38)  # otherwise it could meet an overflow
        if "bias" in kw and infinite:
            kw["bias"].flat[0] = data.draw(st.sampled_from([NAN, INF, -INF]))
    kw = {k: formed(v, data.draw(any_form, f"form of {k}")) for k, v in kw.items()}
    plain, plain_kw = np.array(x, order="C"), {k: np.array(v) for k, v in kw.items()}
    out = x if place == "x" else None if place is None else formed(np.full(x.shape, 7, np.float32), place)
    memory = Memory(x, kw, out)
    try:
        y = method.call(normcy, x, layout, out=out, **kw)
    except ValueError as error:
        one_value = "expected more than one value" in str(error)
        memory.assert_unchanged()
        assert one_value or x.size == 0
        return
    assert y.dtype == np.float32
    assert out is None or y is out
    exact, limit = (f(plain, layout, **plain_kw) for f in (partial(method.call, reference), partial(bound, method)))
    assert_right(np.array(y), exact, limit)
    memory.assert_unchanged(but_for=[out])


def affine_limit(name, kw):
    """Allows 7 units of |weight| * max(1, |xhat|) + |bias| + |post_add|; an activation makes it 1.13 * 7 + 3."""
    beside = {"weight", "bias", "weight_offset", "post_add", "activation", "out", "sum_out", "return_stats"}
    x, layout = kw["x"], kw.get("layout", "NCHW")
    xhat = getattr(reference, name)(**{k: np.copy(v) if k in RUNNING else v for k, v in kw.items() if k not in beside})

    def against_x(v):
        if name in ("layer_norm", "rms_norm"):
            return reference._trailing_affine(np.ones(x.shape), len(kw["normalized_shape"]), v, None, 0.0)
        ones = reference._channels_first(np.ones(x.shape), layout)
        return reference._channels_back(reference._affine(ones, v, None, 0.0, layout), layout)

    with np.errstate(all="ignore"):
        w = 1.0 if kw.get("weight") is None else np.abs(against_x(kw["weight"]) + kw.get("weight_offset", 0.0))
        b = 0.0 if kw.get("bias") is None else np.abs(against_x(kw["bias"]))
        after = 0.0 if kw.get("post_add") is None else np.abs(kw["post_add"])
        return 2.0**-24 * (1.13 * 7 + 3) * (w * np.maximum(1, np.abs(xhat)) + b + after)


@pytest.mark.parametrize("name", AFFINE)
@given(data=st.data(), seed=seeds)
def test_odd_arrays_in_every_place(name, data, seed):
    """Weights of every shape, residuals, sums, running statistics and results may have any form."""
    call, plain = Call(name, seed), Call(name, seed)
    for key, v in call.kw.items():
        if isinstance(v, np.ndarray):
            usual = aligned if key in RUNNING else forms
            written = any(v is a for a in call.written())
            call.kw[key] = formed(v, data.draw(usual if written else any_form, key))
            plain.kw[key] = np.array(call.kw[key], order="C")
    memory = Memory(call.kw)
    y = call()
    limit = affine_limit(name, plain.kw)
    exact = getattr(reference, name)(**{k: v for k, v in plain.kw.items() if k != "out"})
    y, exact = listed(y), listed(exact)
    assert_right(y[0], exact[0], limit)
    for a, b in zip([*y[1:], *call.written()], [*exact[1:], *plain.written()], strict=True):
        if a is not call.kw.get("out"):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)
    memory.assert_unchanged(but_for=call.written())


def listed(y):
    return [np.asarray(v) for v in (y if isinstance(y, tuple) else (y,))]


EXTREMES = [0, -1000, -0.0, 1, 1e-320, 1e-30, 1e30, 1e300, -1e300, INF, -INF, NAN]


@pytest.mark.parametrize("name", [name for name in REFERRED if name != "weight_norm"])  # it has no numbers
@given(data=st.data(), seed=seeds)
def test_extreme_numbers(name, data, seed):
    """There is the reference's result or a named error; the last digits are not tested here."""
    call, exact = Call(name, seed), Call(name, seed)
    options = [p for p in signature(name) if isinstance(kind(name, p).legal(Case(0)), float)]
    chosen = data.draw(st.sampled_from(options), "option")
    call.kw[chosen] = exact.kw[chosen] = data.draw(st.sampled_from(EXTREMES), "value")
    exact.function = getattr(reference, name)
    memory = Memory(call.kw)
    try:
        y = call()
    except (TypeError, ValueError) as error:
        assert_named(error, [chosen, "running_var"])
        memory.assert_unchanged()
        return
    for found, expected in zip([*listed(y), *call.written()], [*listed(exact()), *exact.written()], strict=True):
        fits = np.abs(expected) < 3e38
        largest = np.max(np.abs(expected), where=fits, initial=1)
        np.testing.assert_allclose(found[fits], expected[fits], rtol=1e-5, atol=1e-5 * largest)
        assert not np.any(np.abs(found[~fits]) < 1e38)


@pytest.mark.parametrize("name", [name for name in CALLS if name != "set_num_threads"])  # it would stay set
@given(data=st.data(), seed=seeds)
def test_options_that_mean_the_same(name, data, seed):
    """Fractions, NumPy's scalars, arrays of shape (), and sequences give the bits of the plain call."""
    call, plain = Call(name, seed), Call(name, seed)
    for p in signature(name).values():
        alike = kind(name, p.name).odd(call.kw[p.name]) if call.kw.get(p.name) is not None else {}
        if alike:
            call.kw[p.name] = alike[data.draw(st.sampled_from(list(alike)), p.name)]
    assert seen(call()) == seen(plain())
    assert seen(tuple(call.written())) == seen(tuple(plain.written()))
    assert seen(call.own_arrays()) == seen(plain.own_arrays())


class Shrinking:
    """A number that frees an array's memory when it is converted."""

    def __init__(self, array):
        self.array = array

    def __float__(self):
        self.array.resize((1,), refcheck=False)
        return 1.0

    def __index__(self):
        self.array.resize((1,), refcheck=False)
        return 2


SHRINKING = {
    "adain": lambda x, odd, c: normcy.adain(x, x.copy(), eps=odd),
    "adain's alpha": lambda x, odd, c: normcy.adain(x, x.copy(), alpha=odd),
    "batch_norm": lambda x, odd, c: normcy.batch_norm(x, None, None, c, c, True, eps=odd),
    "batch_renorm": lambda x, odd, c: normcy.batch_renorm(x, c.copy(), c.copy(), c, c, True, eps=odd),
    "batch_renorm's r_max": lambda x, odd, c: normcy.batch_renorm(x, c.copy(), c.copy(), c, c, True, r_max=odd),
    "conditional": lambda x, odd, c: normcy.conditional_instance_norm(x, np.zeros(8, int), c[None], c[None], eps=odd),
    "evonorm_b0": lambda x, odd, c: normcy.evonorm_b0(x, c.copy(), c, c, c, True, eps=odd),
    "evonorm_s0": lambda x, odd, c: normcy.evonorm_s0(x, 2, c, c, c, eps=odd),
    "evonorm_s0's groups": lambda x, odd, c: normcy.evonorm_s0(x, odd, c, c, c),
    "group_norm": lambda x, odd, c: normcy.group_norm(x, 2, c, c, eps=odd),
    "group_norm's groups": lambda x, odd, c: normcy.group_norm(x, odd, c, c),
    "group_norm's offset": lambda x, odd, c: normcy.group_norm(x, 2, c, c, weight_offset=odd),
    "instance_norm": lambda x, odd, c: normcy.instance_norm(x, None, None, c, c, eps=odd),
    "layer_norm2d": lambda x, odd, c: normcy.layer_norm2d(x, c, c, eps=odd),
    "layer_norm": lambda x, odd, c: normcy.layer_norm(x, (64, 64), eps=odd),
    "rms_norm": lambda x, odd, c: normcy.rms_norm(x, (64, 64), eps=odd),
}


@pytest.mark.parametrize("name", SHRINKING)
def test_arguments_that_reshape_x_are_asked_first(name):
    """Code of the caller runs before shapes and pointers are read, so that a call refuses, or uses valid memory."""
    x, c = np.ones((8, 4, 64, 64), np.float32), np.ones(4, np.float32)
    with pytest.raises(ValueError, match=r"x|content|normalized_shape"):
        SHRINKING[name](x, Shrinking(x), c)


class Retyping:
    """A number that gives an array another dtype when it is converted."""

    def __init__(self, array):
        self.array = array

    def __float__(self):
        self.array.dtype = np.uint8
        return 0.0

    def __index__(self):
        self.array.dtype = np.uint8
        return 64


@pytest.mark.parametrize(
    "call",
    [
        lambda x, odd: normcy.layer_norm(x, odd),
        lambda x, odd: normcy.layer_norm(x, (64, odd)),
        lambda x, odd: normcy.rms_norm(x, [odd]),
        lambda x, odd: normcy.moments(x, odd),
        lambda x, odd: normcy.moments(x, 0, correction=odd),
    ],
)
def test_arguments_that_change_the_dtype_are_asked_first(call):
    x = np.ones((8, 4, 64, 64), np.float32)
    with pytest.raises(TypeError, match=r"^x: expected dtype float32"):
        call(x, Retyping(x))


class OddLayout(str):
    """A layout that frees an array's memory when it is compared."""

    __hash__ = str.__hash__

    def __eq__(self, other):
        self.array.resize((1,), refcheck=False)
        return str.__eq__(self, other)


@pytest.mark.parametrize(
    "call",
    [
        lambda x, layout, c: normcy.adain(x, np.ones_like(x), layout=layout, out=x),
        lambda x, layout, c: normcy.batch_norm(x, None, None, c, c, True, layout=layout),
        lambda x, layout, c: normcy.conditional_instance_norm(x, np.zeros(8, int), c[None], c[None], layout=layout),
        lambda x, layout, c: normcy.group_norm(x, 2, c, c, layout=layout),
        lambda x, layout, c: normcy.layer_norm2d(x, c, c, layout=layout, out=x),
    ],
)
def test_layouts_that_reshape_x_are_asked_first(call):
    x, c = np.ones((8, 4, 64, 64), np.float32), np.ones(4, np.float32)
    layout = OddLayout("NCHW")
    layout.array = x
    with pytest.raises(ValueError, match=r"^(x|content): expected an array of rank 2 or more"):
        call(x, layout, c)


def test_styles_that_reshape_the_content_are_asked_first():
    class Pair(tuple):
        def __iter__(self):
            x.resize((1,), refcheck=False)
            return tuple.__iter__(self)

    x = np.ones((4, 8, 1000), np.float32)
    with pytest.raises(ValueError, match=r"^content: expected an array of rank 2 or more"):
        normcy.adain(x, Pair((np.ones((4, 8), np.float32),) * 2), out=x)


def test_number_of_channels_whose_bytes_no_size_holds():
    n = 2**64 // 24 + 1
    ones = np.broadcast_to(np.float32(1), (n,))
    with pytest.raises(MemoryError, match="nothing was written"):
        normcy.batch_norm(np.empty((0, n), np.float32), ones, ones)


def test_length_that_reshapes_v():
    v = np.ones((64, 64), np.float32)
    assert normcy.weight_norm(v, Shrinking(v), None).shape == (1,)


def test_style_may_be_any_pair():
    from collections import namedtuple

    pair = namedtuple("pair", "mean std")
    x, c = np.random.default_rng(0).standard_normal((2, 3, 5), np.float32), np.ones((2, 3), np.float32)
    assert np.array_equal(normcy.adain(x, pair(c, c)), normcy.adain(x, (c, c)))


def test_empty_output_shares_no_memory():
    memory = np.ones(8, np.float32)
    empty = memory[4:4].reshape(0, 8)
    assert normcy.layer_norm(np.empty((0, 8), np.float32), 8, memory, memory, out=empty) is empty
