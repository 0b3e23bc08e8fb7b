"""Every method and fused form on the shapes of real models: time, bandwidth, its ratio to a copy's, and memory."""

from functools import partial
from pathlib import Path

import numpy as np

import normcy
from normcy._checks import LAYOUTS
from normcy._compare.cases import Case, Job, arrays, call, nbytes

from .common import JOBS, THREADS, interleaved, labels, peak_memory, use_threads

CASES = {" ".join(key).rstrip(" -"): job for key, job in JOBS.items()}

# Few timings that stand for all methods, as history.py measures many commits: case, layout, threads. Those of one
# thread vary least; those of all threads also show what the threads wait for.
HISTORY = (
    "LLM decode rms 1x4096, -, one",
    "BERT-base add+layer 8x128x768, -, all",
    "LLM prefill layer 2048x4096, -, one",
    "LLM prefill rms 2048x4096, -, all",
    "3x3 conv weight 512x512x3x3, -, one",
    "ResNet-50 batch 8x2048x7x7, NCHW, one",
    "ResNet-50 batch+add+relu 8x256x56x56, NCHW, all",
    "ResNet-50 batch train 32x256x14x14, NCHW, all",
    "ResNet-50 renorm train 32x64x56x56, NCHW, one",
    "IBN-ResNet ibn 8x256x56x56, NCHW, one",
    "EvoNorm-R50 evonorm_s0 8x256x56x56, NCHW, all",
    "ConvNeXt layer2d 8x96x56x56, NCHW, one",
    "style net instance 1x128x256x256, NCHW, all",
    "SD UNet group+silu 2x320x64x64, NCHW, one",
    "ResNet-50 batch train 8x256x56x56, NHWC, all",
    "EvoNorm-R50 evonorm_b0 8x256x56x56, NHWC, one",
    "ConvNeXt layer2d 8x96x56x56, NHWC, all",
    "style net adain 1x512x64x64, NHWC, one",
    "style net conditional 4x128x128x128, NHWC, all",
    "SD UNet group 2x320x64x64, NHWC, all",
)


class _Time:
    """Calls use `out=`, so that the memory of the result exists already."""

    def setup(self, label, layout, threads):
        self.threads = use_threads(threads)
        self.job = JOBS[label, layout]
        self.data = arrays(self.job)
        self.run = partial(call(normcy, self.job.case, self.data), out=np.empty_like(self.data["x"]))
        self.run()  # `--quick` times one call, which must not be the one that starts threads

    def time_call(self, *params):
        self.run()


class _Speed(_Time):
    def track_bandwidth(self, *params):
        """The bytes that have to be moved, divided by the time."""
        (seconds,) = interleaved(["normcy"], self.job, self.data, self.threads)
        return nbytes(self.job.case) / seconds / 1e9

    def track_limit(self, *params):
        """That bandwidth, divided by the one of the fastest copy."""
        norm, copy = interleaved(["normcy", "copy"], self.job, self.data, self.threads)
        return (nbytes(self.job.case) / norm) / (2 * self.data["x"].nbytes / copy)

    track_bandwidth.unit = "GB/s"
    track_limit.unit = "of a copy's GB/s"


class Channels(_Speed):
    """Methods with channels, in both layouts."""

    params = (labels(has_layout=True), LAYOUTS, THREADS)
    param_names = ("case", "layout", "threads")


class Features(_Speed):
    """Methods over the last axes, and weight norm."""

    params = (labels(has_layout=False), THREADS)
    param_names = ("case", "threads")

    def setup(self, label, threads):
        super().setup(label, "-", threads)


class History(_Time):
    """What `make bench-history` and `make bench-check` measure, beside the cost of small calls."""

    params = HISTORY
    param_names = ("timing",)

    def setup(self, timing):
        super().setup(*timing.split(", "))


class Allocation:
    """The memory that a call allocates, and the time of a new result, with all threads."""

    params = tuple(CASES)
    param_names = ("case",)

    def setup(self, case):
        use_threads("all")
        self.data = arrays(CASES[case])
        self.run = call(normcy, CASES[case].case, self.data)
        self.run()

    def time_call_without_out(self, case):
        self.run()

    def track_memory(self, case):
        """The peak beyond the call's arrays."""
        if not Path("/proc/self/clear_refs").exists():
            raise NotImplementedError
        return peak_memory(partial(self.run, out=np.empty_like(self.data["x"])))

    track_memory.unit = "bytes"


class Growth:
    """The time over that of a copy as arrays outgrow the caches; it should not be larger at 1 GiB than at 1 MiB."""

    params = (
        ("batch train NCHW", "batch train NHWC", "instance NCHW", "group NHWC", "layer -"),
        (1, 4, 16, 64, 256, 1024),
    )
    param_names = ("method", "MiB")
    timeout = 120

    def setup(self, method, mib):
        name, layout = method.rsplit(" ", 1)
        shape = (256 * mib, 1024) if layout == "-" else (mib, 64, 64, 64)
        self.threads = use_threads("all")
        self.job = Job(Case("growth", name, shape, layout), None)
        self.data = arrays(self.job)

    def track_copies(self, method, mib):
        norm, copy = interleaved(["normcy", "copy"], self.job, self.data, self.threads)
        return norm / copy

    track_copies.unit = "copies"
