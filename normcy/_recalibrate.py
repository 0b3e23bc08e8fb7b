"""Computing the running statistics of layers from data."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sized
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from normcy import _checks
from normcy._arithmetic import by_default_rules
from normcy._layers.base import Calibrated, _Layer
from normcy._statistics import Moments
from normcy._types import Flag, Method

__all__ = ["recalibrate"]

Batch = TypeVar("Batch")


def recalibrate(
    layers: Iterable[_Layer],
    forward: Callable[[Batch], object],
    batches: Iterable[Batch],
    *,
    method: Method = "population",
    progress: Flag = False,
) -> None:
    """Replace layers' running statistics by those of data, as after averaging weights or for another domain (AdaBN).

    It calls ``forward(batch)`` for every batch. Meanwhile the layers normalize with each batch's own statistics,
    whatever their mode is; afterwards they have the statistics of all their inputs, and the same mode and momentum as
    before.

    Parameters
    ----------
    layers : sequence of layers
        The `BatchNorm`, `IBN` (its batch norm), `EvoNormB0` and `BatchRenorm` layers that ``forward`` calls.
    forward : callable
        Takes one batch and calls the layers, each at least once over the batches; its result is ignored. If it calls a
        layer several times, all these calls count.
    batches : iterable
        The arguments of ``forward``, one after the other; it is iterated over once.
    method : {"population", "average"}, default "population"
        ``"population"`` gives mean and variance over all values of all batches (precise BN). ``"average"`` gives the
        mean of the batches' means and variances, each with the same weight whatever its size, without the variance
        between batches (``torch.optim.swa_utils.update_bn``).
    progress : bool, default False
        Show a progress bar, on stderr; needs rich.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If there are no batches, a layer keeps no batch statistics or saw no values, or ``method`` is neither.
    ImportError
        If ``progress`` is set and rich is not installed.

    Notes
    -----
    The stored variance is biased or unbiased, as the layer's option says, and ``num_batches_tracked`` is the number of
    batches in which the layer saw values. Statistics that were NaN or infinite are replaced as any others, and the
    layers do not read them. Any exception, also of ``forward``, of ``batches`` or a KeyboardInterrupt, leaves every
    layer as it was.
    "population" takes 16 bytes for each channel and is exact (`Moments`), whatever ``|mean| / std`` is.

    References
    ----------
    Wu, Johnson: "Rethinking 'Batch' in BatchNorm", 2021, arXiv:2105.07576 (precise BN);
    Li et al.: "Revisiting Batch Normalization For Practical Domain Adaptation", 2016, arXiv:1603.04779 (AdaBN).

    Examples
    --------
    >>> import numpy as np, normcy
    >>> layer = normcy.BatchNorm(1).eval()
    >>> data = [np.array([[1], [2]], np.float32), np.array([[3], [4], [5]], np.float32)]
    >>> normcy.recalibrate([layer], layer, data)
    >>> layer.running_mean, layer.running_var, int(layer.num_batches_tracked)
    (array([3.], dtype=float32), array([2.5], dtype=float32), 2)
    """
    _checks.choice(method, "method", ("population", "average"))
    listed = _listed(layers)
    targets = _targets(listed)
    if not callable(forward):
        raise TypeError(f"forward: expected a callable, got {type(forward).__name__}")
    steps = _iterated(batches, _checks.flag(progress, "progress"))
    modes = [(part, part.training) for layer in listed for part in layer._whole()]
    before = [(target, *kept) for target in targets for kept in _copied(target)]
    records = [_Record(target, method) for target in targets]
    try:
        for target, record in zip(targets, records, strict=True):
            target._observer = record.pending.append
        _run(forward, steps, records)
        results = [record.result(i) for i, record in enumerate(records)]
        for record, result in zip(records, results, strict=True):
            _write(record.layer, result, record.batches)
    except BaseException:
        for target, key, array, values in before:
            # forward may also have assigned another array, or made this one read-only: that is undone as well.
            setattr(target, key, array if array.flags.writeable else values)
            if array.flags.writeable:
                array[...] = values
        raise
    finally:
        if progress and isinstance(steps, Generator):
            steps.close()  # otherwise an exception leaves the bar on the screen
        for target in targets:
            target._observer = None
        for part, training in modes:
            part.training = training


class _Record:
    """The statistics that one layer has seen."""

    def __init__(self, layer: Calibrated, method: Method) -> None:
        self.layer, self.method = layer, method
        self.pending: list[Moments] = []  # those of the current batch
        self.whole = Moments(layer.num_features)
        self.totals = {key: np.zeros(layer.num_features) for key in layer._kept(self.whole)}
        self.calls = self.batches = 0  # Both count those that had values.

    @by_default_rules
    def settle(self) -> None:
        """Add the moments that the layer has seen in a batch."""
        self.batches += any(seen.count for seen in self.pending)
        for seen in self.pending:
            if seen.count == 0:
                continue
            self.calls += 1
            self.whole.merge(seen)
            if self.method == "average":
                for key, value in self.layer._kept(seen).items():
                    self.totals[key] += value
        self.pending.clear()

    @by_default_rules
    def result(self, index: int) -> dict[str, NDArray[Any]]:
        if self.calls == 0:
            raise ValueError(f"layers: layer {index}, {self.layer!r}, saw no values: does forward call it?")
        if self.method == "population":
            return self.layer._kept(self.whole)
        return {key: total / self.calls for key, total in self.totals.items()}


def _listed(layers: Iterable[_Layer]) -> list[_Layer]:
    if isinstance(layers, _Layer):
        raise TypeError(f"layers: expected a sequence of layers, got one {type(layers).__name__}; put it in a list")
    try:
        listed = list(layers)
    except MemoryError:
        raise
    except Exception as error:
        raise TypeError(f"layers: expected a sequence of layers, got {type(layers).__name__}") from error
    for i, layer in enumerate(listed):
        if not isinstance(layer, _Layer):
            raise TypeError(f"layers: expected layers of normcy, got {type(layer).__name__} at index {i}")
    if not listed:
        raise ValueError("layers: expected one layer or more, got none")
    return listed


def _targets(listed: list[_Layer]) -> list[Calibrated]:
    """Returns the layers whose statistics are replaced, each once."""
    targets: list[Calibrated] = []
    for i, layer in enumerate(listed):
        found = layer._calibrated()
        if not found:
            raise ValueError(f"layers: layer {i}, {layer!r}, keeps no statistics of batches")
        for target in found:
            _check_statistics(target, i)
        targets += [target for target in found if not any(target is other for other in targets)]
    if any(target._observer is not None for target in targets):
        raise ValueError("layers: a layer is being recalibrated already")
    return targets


def _check_statistics(target: Calibrated, index: int) -> None:
    """Refuses arrays that users assigned and that cannot be written, before forward runs over all of the data."""
    shape = (target.num_features,)
    for key in target._kept(Moments(target.num_features)):
        a = getattr(target, key)
        is_array = isinstance(a, np.ndarray) and a.dtype == np.float32 and a.shape == shape
        if not (is_array and a.flags.writeable):
            wanted, got = f"writeable {key} of float32, shape {shape}", _checks.describe(a)
            raise ValueError(f"layers: expected layer {index}, {target!r}, to have a {wanted}, got {got}")


def _copied(target: Calibrated) -> list[tuple[str, np.ndarray, NDArray[Any]]]:
    """Returns names, arrays and values of the arrays that forward might write."""
    arrays = target._arrays().items()
    return [(key, a, a.copy()) for key, a in arrays if isinstance(a, np.ndarray) and a.flags.writeable]


def _run(forward: Callable[[Batch], object], steps: Iterator[Batch], records: list[_Record]) -> None:
    """Calls forward with every batch."""
    ran = False
    for batch in steps:
        forward(batch)
        for record in records:
            record.settle()
        ran = True
    if not ran:
        raise ValueError("batches: expected one batch or more, got none")


@by_default_rules
def _write(layer: Calibrated, result: dict[str, NDArray[Any]], count: int) -> None:
    for key, value in result.items():
        getattr(layer, key)[...] = value
    tracked = getattr(layer, "num_batches_tracked", None)
    if tracked is not None:
        tracked[...] = count


def _iterated(batches: Iterable[Batch], progress: bool) -> Iterator[Batch]:
    """Returns an iterator over the batches, which shows a progress bar if `progress` is set."""
    try:
        steps = iter(batches)
    except TypeError as error:
        raise TypeError(f"batches: expected an iterable, got {type(batches).__name__}") from error
    if not progress:
        return steps
    try:
        from rich.console import Console
        from rich.progress import track
    except ImportError as error:
        raise ImportError("progress: needs rich, run `python -m pip install rich`") from error
    total = len(batches) if isinstance(batches, Sized) else None
    return iter(track(steps, "recalibrate", total=total, console=Console(stderr=True)))
