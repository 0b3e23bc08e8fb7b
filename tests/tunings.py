"""Other tunings than this machine's: results have the same bits under all of them, on other paths.

Tests that need a certain path take one of them, so that the path does not depend on the caches of the machine.
"""

from contextlib import contextmanager

from normcy._native import tuning

KIB, MIB = 1 << 10, 1 << 20
TUNINGS = {
    # Every path is taken by arrays of 10 KB: no tile, task or cache holds more than a few rows of them.
    "tiny": tuning.tuning_of(KIB, 8 * KIB, 8 * KIB) | {
        "parallel_min_floats": 256,
        "part_min_floats": 64,
        "short_slot_floats": 8,
        "sharing_rows": 2,
        "panels_floats": 48,
        "tile_min_columns": 64,
        "run_floats": 32,
        "turned_rows": 3,
        "fixed_rows": 4,
    },
    "small": tuning.tuning_of(16 * KIB, 256 * KIB, 2 * MIB),
    "large": tuning.tuning_of(128 * KIB, 16 * MIB, 512 * MIB),
}  # fmt: skip
MEASURED = tuning.tuning_of(32 * KIB, MIB, 32 * MIB)  # of the machines that most numbers were measured on


@contextmanager
def tuned(numbers):
    before = tuning.tuning()
    tuning.use_tuning(numbers)
    try:
        yield
    finally:
        tuning.use_tuning(before)
