"""normcy beside a copy, NumPy and those libraries of `normcy compare --against` that are installed."""

from normcy._compare.cases import arrays
from normcy._compare.peers import ADAPTERS, PEERS

from .common import JOBS, use_threads

COMPARED = (
    ("ResNet-50 batch 8x256x56x56", "NCHW"),
    ("ResNet-50 batch 8x256x56x56", "NHWC"),
    ("ResNet-50 batch train 8x256x56x56", "NCHW"),
    ("BERT-base layer 8x128x768", "-"),
    ("LLM prefill rms 2048x4096", "-"),
    ("ConvNeXt layer2d 8x96x56x56", "NHWC"),
    ("style net instance 1x128x256x256", "NCHW"),
    ("SD UNet group 2x320x64x64", "NCHW"),
)


class Libraries:
    """The same case in each library, with all threads; skipped if it has no such operator or is not installed."""

    params = (tuple(ADAPTERS), tuple(" ".join(key) for key in COMPARED))
    param_names = ("library", "case")

    def setup(self, library, case):
        if library in PEERS and PEERS[library].missing():
            raise NotImplementedError
        job = JOBS[tuple(case.rsplit(" ", 1))]
        runner = ADAPTERS[library](job.case, arrays(job), use_threads("all"))
        if runner is None:
            raise NotImplementedError
        self.run = runner.run
        self.run()

    def time_call(self, library, case):
        self.run()
