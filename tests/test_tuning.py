"""The sizes of caches as the system tells them, and the numbers that are computed from these."""

import re
import sys

import pytest
from compilers import COMPILERS, ROOT, attack, output
from tunings import KIB, MEASURED, MIB, TUNINGS, tuned

from normcy._native import tuning

DEFAULTS = (32 * KIB, MIB, 32 * MIB)
PAGE = ROOT / "docs/tuning.md"


def level(level, type, size, cpus):
    return {"level": level, "type": type, "size": size, "shared_cpu_list": cpus}


L1 = [level(1, "Data", "48K", "0"), level(1, "Instruction", "64K", "0")]


@pytest.mark.skipif(sys.platform != "linux" or not COMPILERS, reason="needs Linux's sysfs, and gcc or clang")
@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param([*L1, level(2, "Unified", "1024K", "0,8"), level(3, "Unified", "32768K", "0-7,16-23")],
                     (48 * KIB, MIB, 32 * MIB), id="a desktop with 32 MiB for eight cores"),
        pytest.param([*L1, level(2, "Unified", "2048K", "0-1"), level(3, "Unified", "107520K", "0-1")],
                     (48 * KIB, 2 * MIB, 32 * MIB), id="a virtual machine that is told of all of its host's L3"),
        pytest.param([*L1, level(2, "Unified", "2048K", "0"), level(3, "Unified", "107520K", "0-55")],
                     (48 * KIB, 2 * MIB, 105 * MIB), id="a server with an L3 of its own"),
        pytest.param([*L1, level(2, "Unified", "4096K", "0-3")],
                     (48 * KIB, 2 * MIB, 4 * MIB), id="four cores that share an L2, and have no L3"),
        pytest.param([*L1, level(2, "Unified", "1024K", "0-999999999"), level(3, "Unified", "32768K", "7-0,-5")],
                     (48 * KIB, MIB, 16 * MIB), id="lists of CPUs that are nonsense"),
        pytest.param([*L1, level(2, "Unified", "1024K", "0"), level(3, "Unified", "9223372036854775807K", "0-1")],
                     (48 * KIB, MIB, 16 * MIB), id="sizes that are nonsense"),
        pytest.param([*L1, level(2, "Unified", "99999999K", "0"), level(3, "Unified", "1K", "0-3")],
                     (48 * KIB, *DEFAULTS[1:]), id="nonsense"),
    ],
)  # fmt: skip
def test_caches(told, expected, tmp_path):
    for i, cache in enumerate(told):
        folder = tmp_path / f"index{i}"
        folder.mkdir()
        for name, value in cache.items():
            (folder / name).write_text(f"{value}\n")
    assert read(tmp_path) == expected


def read(folder):
    program = attack(folder, "read_caches", ROOT / "src/runtime/caches.c", f'-DNORMCY_CACHE_FOLDER="{folder}"')
    (line,) = output(program)
    return tuple(map(int, line.split()))


@pytest.mark.skipif(not COMPILERS, reason="needs gcc or clang")
def test_a_system_that_says_nothing(tmp_path):
    """sysconf says something with glibc, and nothing with musl; sizes are sensible either way."""
    sizes = read(tmp_path)
    assert all(default / 8 <= size <= 64 * default for size, default in zip(sizes, DEFAULTS, strict=True))


def test_this_machine():
    sizes = tuple(tuning.caches().values())
    assert sizes[0] < sizes[1] <= sizes[2]
    assert tuning.tuning() == tuning.tuning_of(*sizes)


def test_the_defaults_are_those_of_the_machines_that_were_measured():
    assert tuning.tuning_of(*DEFAULTS) == MEASURED


@pytest.mark.skipif(not PAGE.exists(), reason="needs the source tree")
def test_the_page_has_the_numbers():
    rules = PAGE.read_text().split("## What was measured")[0]
    rows = re.findall(r"^\| `(\w+)` \|[^|]+\| (\d+) \|", rules, re.MULTILINE)
    assert {name: int(number) for name, number in rows} == MEASURED


def test_numbers_grow_with_the_caches():
    small, measured, large = (list(numbers.values()) for numbers in (TUNINGS["small"], MEASURED, TUNINGS["large"]))
    assert all(a <= b <= c for a, b, c in zip(small, measured, large, strict=True))
    assert sum(a < b < c for a, b, c in zip(small, measured, large, strict=True)) == 7


@pytest.mark.parametrize(
    "numbers",
    [{"cache": 1}, {"tile_floats": 4097}, {"tile_min_columns": 63}, {"fixed_rows": 0}, {"coefficient_columns": 2**31}],
)
def test_impossible_numbers(numbers):
    """Scratch has room for a tile of 4096 floats, and only whole panels of fewer than 64 columns are folded."""
    before = tuning.tuning()
    with pytest.raises(ValueError, match="expected"):
        tuning.use_tuning(numbers)
    assert tuning.tuning() == before


def test_tuned():
    before = tuning.tuning()
    with tuned({"turned_rows": 5}):
        assert tuning.tuning() == before | {"turned_rows": 5}
    assert tuning.tuning() == before
