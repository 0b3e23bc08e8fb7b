"""The pictures of the documentation colour what the library computes.

A change of one value changes exactly the outputs that have its colour, and so does a change of one parameter.
"""

import importlib
from pathlib import Path

import numpy as np
import pytest

import normcy
from normcy import reference

SOURCE = Path(__file__).parents[1] / "docs" / "cubes.py"

pytestmark = pytest.mark.skipif(not SOURCE.exists(), reason="needs the source tree")

AT = [(0, 0, 0), (2, 4, 1), (3, 2, 3)]
ONE, ZERO = np.ones(6), np.zeros(6)
ALL_BATCH, ALL_INSTANCE = -10 * ONE, 10 * ONE  # with these v and positive x, EvoNorm-B0 divides by one variance only


@pytest.fixture(scope="module")
def cubes():
    pytest.importorskip("matplotlib")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SOURCE.parent)
        return importlib.import_module("cubes")


def tokens(norm):
    """Returns a norm of (N, D, L) for one of (N, L, D)."""
    return lambda x, w: norm(x.transpose(0, 2, 1), 6, w).transpose(0, 2, 1)


def by_style(x, w):
    """Returns conditional instance norm of samples that have a style each, which is their number."""
    return reference.conditional_instance_norm(x, np.arange(4), w, w * 0)


def evonorm_b0(v):
    return lambda x, w: reference.evonorm_b0(x, ONE.copy(), w, ZERO, v, training=True)


def batch(x, w):
    return reference.batch_norm(x, None, None, w, training=True)


def instance(x, w):
    return reference.instance_norm(x, weight=w)


def ibn(x, w):
    """Returns the result of the layer, as there is no function for its two parts."""
    layer = normcy.IBN(6)
    layer.IN.weight, layer.BN.weight = np.split(w.astype(np.float32), 2)
    return layer(x.astype(np.float32))


CALLS = {
    "batch_norm": [batch],
    "instance_norm": [instance],
    "layer_norm": [tokens(reference.layer_norm)],
    "layer_norm_image": [lambda x, w: reference.layer_norm(x, (6, 5), w)],
    "layer_norm2d": [reference.layer_norm2d],
    "group_norm": [lambda x, w: reference.group_norm(x, 2, w)],
    "rms_norm": [tokens(reference.rms_norm)],
    "adain": [lambda x, w: reference.adain(x, w)],
    "conditional_instance_norm": [by_style],
    "evonorm_b0": [evonorm_b0(ALL_BATCH), evonorm_b0(ALL_INSTANCE)],
    "evonorm_s0": [lambda x, w: reference.evonorm_s0(x, 2, w, ZERO, ONE)],
    "batch_renorm": [lambda x, w: reference.batch_renorm(x, w, ONE.copy(), training=True, r_max=3, d_max=5)],
    "weight_norm": [lambda x, w: reference.weight_norm(x, w)],
    "ibn": [ibn, ibn],
}
SLOTS = [
    (name, number, at)
    for name, calls in CALLS.items()
    for number in range(len(calls))
    for at in AT
    if name != "ibn" or (at[1] >= 3) == (number == 1)  # each of its two slots is in a part of the channels
]


def second_operand(cubes, name):
    """Returns the values that the second cube of a picture shows, and the function from an output's place to theirs."""
    second = cubes.CUBES[name][1]
    if name == "adain":
        return np.random.default_rng(1).random(second.shape), lambda at: (at[0], at[1], 0)
    kept = [axis for axis in range(3) if "NCP"[axis] not in second.slots[0].axes]
    shape = [cubes.SHAPE[axis] for axis in kept]
    return np.linspace(1, 2, int(np.prod(shape))).reshape(shape), lambda at: tuple(at[axis] for axis in kept)


@pytest.mark.parametrize(("name", "number", "at"), SLOTS, ids=str)
def test_values(cubes, name, number, at):
    x = 1 + np.random.default_rng(0).random(cubes.SHAPE)
    w, _ = second_operand(cubes, name)
    call, part = CALLS[name][number], cubes.CUBES[name][0].slots[number]
    changed = x.copy()
    changed[at] += 0.25
    differ = call(x, w.copy()) != call(changed, w.copy())
    assert np.array_equal(differ, cubes.slot(cubes.SHAPE, part.axes, at))


@pytest.mark.parametrize("at", AT, ids=str)
@pytest.mark.parametrize("name", CALLS)
def test_parameters(cubes, name, at):
    x = 1 + np.random.default_rng(0).random(cubes.SHAPE)
    w, find = second_operand(cubes, name)
    changed = w.copy()
    changed[find(at)] += 0.25
    differ = CALLS[name][0](x, w.copy()) != CALLS[name][0](x, changed.copy())
    assert np.array_equal(differ, cubes.slot(cubes.SHAPE, cubes.CUBES[name][1].slots[0].axes, at))


def test_every_picture_is_checked(cubes):
    assert set(CALLS) == set(cubes.CUBES)
