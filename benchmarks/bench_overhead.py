"""The cost before any arithmetic: the import, and calls on arrays so small that nothing else counts."""

import statistics
from timeit import timeit

import numpy as np

import normcy


class Import:
    """The import in a new interpreter."""

    number = 1  # a second import takes no time

    def timeraw_normcy(self):
        """The import beyond NumPy's."""
        return "import normcy", "import numpy"

    def timeraw_normcy_and_numpy(self):
        return "import normcy"


class Overhead:
    """One call on a small array, by the function and by a layer object."""

    params = ("layer_norm 4x64", "layer_norm 1x4096", "layer_norm 64x96", "batch_norm 2x8x4x4")
    param_names = ("case",)

    def setup(self, case):
        function, shape = case.split()
        x = np.random.default_rng(0).standard_normal([int(size) for size in shape.split("x")], np.float32)
        calls = self._layer_norm if function == "layer_norm" else self._batch_norm
        self.function, self.layer = calls(x, np.empty_like(x))

    def _layer_norm(self, x, out):
        size = x.shape[-1]
        layer, weight, bias = normcy.LayerNorm(size), np.ones(size, np.float32), np.zeros(size, np.float32)
        return lambda: normcy.layer_norm(x, size, weight, bias, out=out), lambda: layer(x, out=out)

    def _batch_norm(self, x, out):
        layer = normcy.BatchNorm(x.shape[1]).eval()
        mean, bias = np.zeros((2, x.shape[1]), np.float32)
        var, weight = np.ones((2, x.shape[1]), np.float32)
        return lambda: normcy.batch_norm(x, mean, var, weight, bias, out=out), lambda: layer(x, out=out)

    def time_function(self, case):
        self.function()

    def time_layer(self, case):
        self.layer()

    def track_extra_of_layer(self, case):
        """The cost of the object beyond its function; both are measured in every round."""
        calls = 2000
        rounds = [timeit(self.layer, number=calls) - timeit(self.function, number=calls) for _ in range(11)]
        return statistics.median(rounds) / calls * 1e9

    track_extra_of_layer.unit = "ns"
