"""What calls cost beside torch, for builds of normcy that share torch's OpenMP library, or have one of their own.

`make bench-beside-torch` runs it for a build from source and for a wheel. Each argument is a Python that has normcy and
torch; they take turns in processes of their own, so that whatever else slows the machine slows all of them. Both orders
of the imports are measured, as the loader of Linux takes OpenMP's functions from torch's library where that is first.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

SHAPE = (8, 64, 56, 56)
ORDERS = ("normcy", "torch"), ("torch", "normcy")
CALLS = 200  # of each kind, in each round
FIELDS = ("normcy", "normcy after torch", "torch", "torch after normcy")


def lower_quartile(values: list[float]) -> float:
    return sorted(values)[len(values) // 4]


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def milliseconds(call) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def measure(order: tuple[str, str]) -> None:
    """Prints the lower quartile of each kind of call in this process, and which libraries and threads it has."""
    modules = {name: importlib.import_module(name) for name in order}
    normcy, torch = modules["normcy"], modules["torch"]
    import numpy as np

    x = np.random.default_rng(0).standard_normal(SHAPE, dtype=np.float32)
    y, tensor = np.empty_like(x), torch.from_numpy(x.copy())
    result = torch.empty_like(tensor)

    def own():
        normcy.instance_norm(x, out=y)

    def other():
        torch.add(tensor, tensor, out=result)

    own(), other()
    alone = [[milliseconds(call) for _ in range(CALLS)] for call in (own, other)]
    turns = [(milliseconds(own), milliseconds(other)) for _ in range(CALLS)]
    times = [alone[0], [mine for mine, _ in turns], alone[1], [theirs for _, theirs in turns]]
    config = normcy.get_config()
    libraries = [Path(library["path"]).name for library in config["openmp_libraries"]]
    found = dict(zip(FIELDS, map(lower_quartile, times), strict=True))
    about = {"libraries": libraries, "threads": len(os.listdir("/proc/self/task")), "crowded": config["crowded"]}
    print(json.dumps({**found, **about}))


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-beside-torch", description=__doc__.split("\n")[0])
    parser.add_argument("pythons", nargs="*", default=[sys.executable])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)  # in a process of its own
    options = parser.parse_args()
    if options.measure:
        return measure(options.measure)
    found: dict[tuple, list[dict]] = {(python, order): [] for python in options.pythons for order in ORDERS}
    for _ in range(options.rounds):
        for (python, order), rounds in found.items():
            command = [python, __file__, "--measure", *order]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            rounds.append(json.loads(done.stdout))
    for (python, order), rounds in found.items():
        crowded = sum(one["crowded"] for one in rounds)
        print(f"{python}, {order[0]} is imported first: {', '.join(rounds[0]['libraries'])}")
        print(f"  {rounds[0]['threads']} threads in the process; crowded in {crowded} of {len(rounds)} rounds")
        for field in FIELDS:
            print(f"  {field:20} {median([one[field] for one in rounds]):6.3f} ms")


if __name__ == "__main__":
    main()
