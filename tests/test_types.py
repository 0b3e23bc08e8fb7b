"""The types of the public API. mypy and pyright check this file as a user's program (`make types`), and pytest runs it.

Every right call has the type that `assert_type` names, for both checkers and at run time. Every wrong call has a comment
that silences its error, which both checkers report if there is no error to silence, and raises at run time.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin

import numpy as np
import pytest
from numpy.typing import NDArray

import normcy
from normcy import reference

if TYPE_CHECKING:
    from typing_extensions import assert_type
else:

    def assert_type(value, kind):
        """Checks a value against a type at run time; the checkers see the function of typing_extensions instead."""
        if get_origin(kind) is tuple:
            assert len(value) == len(get_args(kind))
            for item, item_kind in zip(value, get_args(kind), strict=True):
                assert_type(item, item_kind)
        elif get_origin(kind) is np.ndarray:
            assert isinstance(value, np.ndarray)
            assert value.dtype == get_args(get_args(kind)[1])[0]
        else:
            assert isinstance(value, get_origin(kind) or kind)
        return value


Array = NDArray[np.float32]
Float64 = NDArray[np.float64]
Stats = tuple[Array, Array, Array]
Stats64 = tuple[Float64, Float64, Float64]
refused = pytest.raises((TypeError, ValueError))

x: Array = np.arange(96, dtype=np.float32).reshape(2, 4, 3, 4)
ones: Array = np.ones(4, np.float32)
wide: Float64 = x.astype(np.float64)


def test_functions() -> None:
    """They return float32 arrays; sizes and numbers may be those of NumPy."""
    assert_type(normcy.batch_norm(x, ones, ones, ones, None, False, np.float32(0.1), 1e-5, layout="NCHW"), Array)
    assert_type(normcy.batch_norm(x, None, None, training=np.True_, unbiased_running_var=False), Array)
    assert_type(normcy.instance_norm(x, weight=ones, bias=ones, activation="relu", out=np.empty_like(x)), Array)
    assert_type(normcy.layer_norm(x, 4, eps_mode="outside_sqrt", correction=1), Array)
    assert_type(normcy.layer_norm(x, (3, np.int64(4)), pre_add=x, sum_out=np.empty_like(x)), Array)
    assert_type(normcy.layer_norm(x, np.array([3, 4]), post_add=x, weight_offset=1), Array)
    assert_type(normcy.layer_norm2d(x, ones, ones, layout="NHWC"), Array)
    assert_type(normcy.group_norm(x, np.int64(2), activation="gelu_tanh"), Array)
    assert_type(normcy.rms_norm(x, [3, 4], eps=None), Array)
    assert_type(normcy.adain(x, x, alpha=0.5, style_eps=0), Array)
    assert_type(normcy.adain(x, (x[..., 0, 0].copy(), x[..., 1, 0].copy()), layout="NCHW"), Array)
    assert_type(
        normcy.conditional_instance_norm(x, np.array([0, 1]), ones.reshape(2, 2).repeat(2, 1), x[0, :2, 0]), Array
    )
    assert_type(normcy.evonorm_b0(x, ones, ones, ones, None), Array)
    assert_type(normcy.evonorm_s0(x, 2, ones, ones, ones), Array)
    assert_type(normcy.batch_renorm(x, ones, ones, r_max=3, d_max=5.0), Array)
    assert_type(normcy.weight_norm(x, 2.0, None), Array)
    assert_type(normcy.weight_norm(x, np.ones(4, np.float32), -1, out=np.empty_like(x)), Array)


def test_statistics() -> None:
    """They are returned beside y with `return_stats=True`, and possibly with a bool that is not known."""
    assert_type(normcy.batch_norm(x, None, None, training=True, return_stats=True), Stats)
    assert_type(normcy.instance_norm(x, return_stats=True), Stats)
    assert_type(normcy.layer_norm(x, 4, return_stats=True), Stats)
    assert_type(normcy.layer_norm2d(x, return_stats=True), Stats)
    assert_type(normcy.group_norm(x, 2, return_stats=True), Stats)
    assert_type(normcy.rms_norm(x, 4, return_stats=True), tuple[Array, Array])
    for asked in (False, True):
        found = normcy.layer_norm(x, 4, return_stats=asked)
        assert isinstance(found, tuple) == asked
    assert_type(normcy.moments(x, (0, 2, 3)), tuple[Float64, Float64])
    assert_type(normcy.moments(x, None, keepdims=True), tuple[Float64, Float64])
    assert_type(normcy.moments(x, None, correction=1), tuple[np.float64, np.float64])


def test_memmap(tmp_path: Path) -> None:
    mapped: np.memmap[Any, np.dtype[np.float32]] = np.memmap(tmp_path / "x", np.float32, "w+", shape=x.shape)
    assert_type(normcy.layer_norm2d(mapped, out=mapped), Array)


def test_reference() -> None:
    """It returns float64, or `out`, and takes both precisions."""
    out = np.empty_like(x)
    assert_type(reference.batch_norm(x, ones, ones), Float64)
    assert_type(reference.batch_norm(x, None, None, training=True, return_stats=True), Stats64)
    assert_type(reference.instance_norm(wide, weight=ones), Float64)
    assert_type(reference.layer_norm(x, 4, out=None), Float64)
    assert_type(reference.layer_norm(x, 4, return_stats=True), Stats64)
    assert reference.layer_norm(x, 4, out=out) is out
    assert_type(reference.group_norm(x, 2, out=out, return_stats=True)[1:], tuple[Float64, Float64])
    assert_type(reference.layer_norm2d(x, layout="NHWC"), Float64)
    assert_type(reference.group_norm(x, 2), Float64)
    assert_type(reference.rms_norm(x, 4, return_stats=True), tuple[Float64, Float64])
    assert_type(reference.adain(x, x), Float64)
    assert_type(reference.conditional_instance_norm(x, np.array([0, 1]), x[0, :2, 0], x[0, :2, 0]), Float64)
    assert_type(reference.evonorm_b0(x, ones, ones, ones, ones), Float64)
    assert_type(reference.evonorm_s0(x, 2, ones, ones, ones), Float64)
    assert_type(reference.batch_renorm(x, ones, ones), Float64)
    assert_type(reference.weight_norm(x, 2.0, None), Float64)
    assert_type(reference.moments(wide, 1), tuple[Float64, Float64])
    assert_type(reference.moments(x, None), tuple[np.float64, np.float64])
    assert_type(reference.fold_batch_norm(x, None, np.ones(2), np.ones(2)), tuple[Float64, Float64])
    assert_type(reference.checkpoint_momentum(0.1), float)


def test_layers() -> None:
    """A call returns an array, and `eval()` the layer's own class."""
    assert_type(normcy.BatchNorm(4).eval(), normcy.BatchNorm)
    assert_type(normcy.BatchNorm(np.int64(4), momentum=None, layout="NCHW").train()(x, pre_add=x), Array)
    assert_type(normcy.InstanceNorm(4, affine=True, activation="silu")(x, np.empty_like(x)), Array)
    assert_type(normcy.LayerNorm((3, 4), bias=False, eps_mode="inside_sqrt")(x, post_add=x), Array)
    assert_type(normcy.LayerNorm2d(4, 1e-6)(x, pre_add=x, sum_out=np.empty_like(x)), Array)
    assert_type(normcy.GroupNorm(2, 4).train(False)(x), Array)
    assert_type(normcy.RMSNorm(4, weight_offset=1.0)(x), Array)
    assert_type(normcy.AdaIN(alpha=0.5)(x, x), Array)
    assert_type(normcy.ConditionalInstanceNorm(3, 4)(x, np.array([0, 2], np.int8)), Array)
    assert_type(normcy.IBN(4, 0.5, order="bn_first").eval().BN, normcy.BatchNorm)
    assert_type(normcy.IBN(4)(x), Array)
    assert_type(normcy.EvoNormB0(4)(x), Array)
    assert_type(normcy.EvoNormS0(4, 2)(x), Array)
    assert_type(normcy.BatchRenorm(4, decay=0.99)(x), Array)
    assert_type(normcy.BatchRenorm(4).limits(), tuple[float, float])
    assert_type(normcy.WeightNorm(x, dim=None)(), Array)


def test_attributes() -> None:
    layer = normcy.BatchNorm(4)
    assert_type(layer.num_features, int)
    assert_type(layer.eps, float)
    assert layer.momentum is not None
    assert_type(layer.momentum, float)
    assert layer.weight is not None
    assert_type(layer.weight, Array)
    assert layer.num_batches_tracked is not None
    assert_type(layer.num_batches_tracked, NDArray[np.int64])
    shape: tuple[int, ...] = normcy.LayerNorm(4).normalized_shape
    assert shape == (4,)
    assert_type(normcy.EvoNormS0(4, 2).weight, Array)


def test_state_dict(tmp_path: Path) -> None:
    """Mappings of whatever NumPy reads, and its files, can be loaded."""
    layer = normcy.BatchNorm(4)
    missing, unexpected = layer.load_state_dict({"gamma": [1, 2, 3, 4], "beta": ones}, prefix="", strict=False)
    assert_type(missing, list[str])
    assert_type(unexpected, list[str])
    state: dict[str, NDArray[Any]] = layer.state_dict("bn.")
    np.savez(tmp_path / "state.npz", allow_pickle=False, **state)
    with np.load(tmp_path / "state.npz") as file:
        assert_type(layer.load_state_dict(file, "bn.").missing_keys, list[str])
    layer.reset_running_stats()


def test_moments() -> None:
    both = normcy.Moments.of(x).update(x).merge(normcy.Moments(4)) + normcy.Moments.of(x, "NCHW")
    assert_type(both, normcy.Moments)
    assert_type(sum([both, both], normcy.Moments(4)), normcy.Moments)
    assert_type(both.count, int)
    assert_type(both.mean, Float64)
    assert_type(both.var(1), Float64)
    assert_type(both.std(correction=1), Float64)
    assert_type(normcy.Moments.from_state(both.state()), normcy.Moments)


def test_tools() -> None:
    layer = normcy.BatchNorm(4)
    batches: Sequence[Array] = [x, x]
    normcy.recalibrate([layer, normcy.IBN(4).BN][:1], layer, batches, method="average")
    normcy.recalibrate((layer,), lambda batch: layer(batch * 2), batches, progress=False)
    assert_type(normcy.fold_batch_norm(x, None, ones[:2], ones[:2], eps=np.float32(1)), tuple[Array, Array])
    assert_type(normcy.checkpoint_momentum(0.9, 3, convention="keras"), float)


def test_process() -> None:
    before = assert_type(normcy.get_num_threads(), int)
    with normcy.num_threads(1) as nothing:
        assert nothing is None
    normcy.set_num_threads(before)
    config = normcy.get_config()
    assert_type(config["num_threads"], int)
    assert_type(config["isa_levels"], dict[str, bool])
    assert_type(config["cpu"], str)
    for library in config["openmp_libraries"] or []:
        assert_type(library["path"], str)
    normcy.show_config()
    assert_type(normcy.get_include(), str)
    assert_type(normcy.__version__, str)


def test_config_has_the_keys_of_its_type() -> None:
    from normcy._runtime import Config

    assert set(normcy.get_config()) == set(Config.__annotations__)


def test_wrong_calls_of_functions() -> None:
    with refused:
        normcy.layer_norm(wide, 4)  # type: ignore[arg-type]
    with refused:
        normcy.layer_norm([1.0, 2.0], 2)  # type: ignore[call-overload]
    with refused:
        normcy.layer_norm(x, "4")  # type: ignore[arg-type]
    with refused:
        normcy.layer_norm(x, 4, layout="NHWC")  # type: ignore[call-overload]
    with refused:
        normcy.layer_norm(x, 4, eps="1e-5")  # type: ignore[call-overload]
    with refused:
        normcy.group_norm(x, 2.0)  # type: ignore[call-overload]
    with refused:
        normcy.group_norm(x, 2, activation="tanh")  # type: ignore[call-overload]
    with refused:
        normcy.batch_norm(x)  # type: ignore[call-overload]
    with refused:
        normcy.batch_norm(x, ones, ones, momentum=None)  # type: ignore[call-overload]
    with refused:
        normcy.batch_norm(x, None, None, training=1.0)  # type: ignore[call-overload]
    with refused:
        normcy.adain(x, [x, x])  # type: ignore[arg-type]
    with refused:
        normcy.conditional_instance_norm(x, [0, 1], ones, ones)  # type: ignore[arg-type]
    with refused:
        normcy.evonorm_b0(x, None, ones, ones, ones)  # type: ignore[arg-type]
    with refused:
        normcy.moments(x)  # type: ignore[call-overload]
    with refused:
        _mean, _rstd = normcy.layer_norm(x, 4, return_stats=True)  # type: ignore[misc]
    with refused:
        reference.layer_norm(x, 4, channels=2)  # type: ignore[call-overload]


def test_wrong_calls_of_others() -> None:
    with refused:
        normcy.BatchNorm("4")  # type: ignore[arg-type]
    with refused:
        normcy.BatchNorm(4, layout="NCWH")  # type: ignore[arg-type]
    with refused:
        normcy.BatchNorm(4)(wide)  # type: ignore[arg-type]
    with refused:
        normcy.EvoNormB0(4)(x, pre_add=x)  # type: ignore[call-arg]
    with refused:
        normcy.IBN(4, order="first")  # type: ignore[arg-type]
    with refused:
        normcy.BatchNorm(4).load_state_dict([ones])  # type: ignore[arg-type]
    with refused:
        normcy.Moments.of([1, 2])  # type: ignore[arg-type]
    with refused:
        normcy.Moments(4) + 1  # type: ignore[operator]
    with refused:
        normcy.recalibrate(normcy.BatchNorm(4), print, [x])  # type: ignore[arg-type]
    with refused:
        normcy.recalibrate([normcy.BatchNorm(4)], print, [x], method="mean")  # type: ignore[arg-type]
    with refused:
        normcy.set_num_threads("2")  # type: ignore[arg-type]
    with refused:
        normcy.checkpoint_momentum(0.1, convention="flax")  # type: ignore[arg-type]
    with pytest.raises(KeyError):
        normcy.get_config()["threads"]  # type: ignore[typeddict-item]
