"""Time of every method on the shapes of real models, in both layouts, with one thread and with two."""

import numpy as np

import normcy

# method: (function, positional arguments after x, keywords, shape in NCHW)
METHODS = {
    "batch_eval": ("batch_norm", lambda c: (np.zeros(c, np.float32), np.ones(c, np.float32)), {}, (8, 256, 56, 56)),
    "batch_train": ("batch_norm", lambda c: (None, None), {"training": True}, (32, 64, 56, 56)),
    "batch_train_small": ("batch_norm", lambda c: (None, None), {"training": True}, (32, 256, 14, 14)),
    "instance": ("instance_norm", lambda c: (), {}, (1, 128, 256, 256)),
    "group": ("group_norm", lambda c: (32,), {}, (2, 320, 64, 64)),
    "layer2d": ("layer_norm2d", lambda c: (), {}, (8, 96, 56, 56)),
}
TOKENS = {"bert": (8, 128, 768), "vit": (32, 197, 768), "prefill": (2048, 4096), "decode": (1, 4096)}


def normal(shape):
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


class Images:
    """Methods with a layout, writing to an array that is reused."""

    params = (list(METHODS), ["NCHW", "NHWC"], [1, 2])
    param_names = ("method", "layout", "threads")

    def setup(self, method, layout, threads):
        name, arguments, keywords, shape = METHODS[method]
        channels = shape[1]
        x = normal(shape if layout == "NCHW" else (shape[0], *shape[2:], shape[1]))
        keywords = {**keywords, "weight": normal(channels), "bias": normal(channels), "layout": layout}
        function, arguments, out = getattr(normcy, name), arguments(channels), np.empty_like(x)
        normcy.set_num_threads(threads)
        self.run = lambda: function(x, *arguments, **keywords, out=out)

    def time_call(self, method, layout, threads):
        self.run()


class Tokens:
    """Norms over the last axis."""

    params = (["layer_norm", "rms_norm"], list(TOKENS), [1, 2])
    param_names = ("method", "model", "threads")

    def setup(self, method, model, threads):
        x = normal(TOKENS[model])
        width, weight, out = x.shape[-1], normal(x.shape[-1]), np.empty_like(x)
        function = getattr(normcy, method)
        normcy.set_num_threads(threads)
        self.run = lambda: function(x, width, weight, out=out)

    def time_call(self, method, model, threads):
        self.run()


class Copy:
    """The limit: one read and one write of the largest tensor."""

    def setup(self):
        self.x = normal((2048, 4096))
        self.out = np.empty_like(self.x)

    def time_copy(self):
        np.copyto(self.out, self.x)
