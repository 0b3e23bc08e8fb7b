"""Time of every method and fused form on the shapes of real models, in both layouts, with one thread and with two."""

from functools import partial

import numpy as np

import normcy
from normcy._compare.cases import LAYOUTS, arrays, call, model_jobs
from normcy._compare.methods import METHODS
from normcy._compare.report import label

JOBS = {label(job.case): job for job in model_jobs([method.option for method in METHODS.values()], LAYOUTS)}


class Norms:
    """What `normcy compare` runs, writing to an array that is reused."""

    params = (list(JOBS), [1, 2])
    param_names = ("case", "threads")

    def setup(self, case, threads):
        data = arrays(JOBS[case])
        normcy.set_num_threads(threads)
        self.run = partial(call(normcy, JOBS[case].case, data), out=np.empty_like(data["x"]))

    def time_call(self, case, threads):
        self.run()


class Copy:
    """The limit: one read and one write of the largest tensor."""

    def setup(self):
        self.x = np.random.default_rng(0).standard_normal((2048, 4096), dtype=np.float32)
        self.out = np.empty_like(self.x)

    def time_copy(self):
        np.copyto(self.out, self.x)
