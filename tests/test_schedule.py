"""The schedule alone: which way norms take, as a table; and what holds for every one, by hypothesis."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tunings import MEASURED, TUNINGS

from normcy._native import tuning


def text(s):
    """Returns a schedule in a line: rounds x phases; what a part takes; hints, if there are any."""
    phases = ", ".join(f"{step} {parts}" for step, parts in s["phases"])
    rounds = f"{s['rounds']} x " if s["rounds"] > 1 else ""
    if s["mode"] != "local":
        part = f"{s['strips']['rows']} x {s['strips']['cols']}"
    elif s["by"] == "row":
        part = f"{s['part_slots']} slots by {s['tile_slots']}"
    else:
        panels = f"{s['part_panels']} panels of " if s["part_panels"] > 1 else ""
        part = f"{panels}{s['tile_cols']} columns"
    hints = [name for name in ("in_cache", "nontemporal") if s["access"][name]] + ["sum_in_l1"] * s["sum_in_l1"]
    hints += [f"{s['access']['ahead']} ahead"] * (s["access"]["ahead"] > 0)
    return f"{s['by']}: {rounds}{phases}; {part}; {', '.join(hints) or '-'}"


SAME_MEMORY = {"in_place": True}
SUM = {"adds": True, "in_place": True}  # which y holds, as nobody asked for it
TABLE = """
    # norm        samples  channels positions groups last threads     options
    layer               1       768        33      1  yes       1  -           row: task 1; 33 slots by 5; in_cache
    layer               1       768      1024      1  yes       2  -           row: task 16; 64 slots by 5; in_cache, 3840 ahead
    layer               1       768        20      1  yes       9  -           row: task 10; 2 slots by 5; in_cache
    # weights go with long tiles in cache, and long weights are shared by eight rows and more
    layer               1       768      1024      1  yes       2  elementwise row: task 16; 64 slots by 64; in_cache, 49152 ahead
    layer               1      9000       100      1  yes       1  elementwise row: task 1; 100 slots by 8; in_cache, 72000 ahead
    # results of 8 MiB with one thread, and of 12 MiB with more, are stored past the caches, unless x is in their memory
    layer               1      1024      8200      1  yes       1  -           row: task 1; 8200 slots by 4; nontemporal, 4096 ahead
    layer               1      1024      2500      1  yes       3  -           row: task 53; 48 slots by 4; in_cache, 4096 ahead
    layer               1      1024      8200      1  yes       3  -           row: task 171; 48 slots by 4; nontemporal, 4096 ahead
    layer               1      1024      8200      1  yes       1  in_place    row: task 1; 8200 slots by 2; 2048 ahead
    layer               1      1024      8200      1  yes       1  rereads     row: task 1; 8200 slots by 2; 2048 ahead
    # a sum is kept in L1 if a slot of it fits
    layer               1       768      1024      1  yes       1  sum         row: task 1; 1024 slots by 5; in_cache, sum_in_l1
    layer               1      1024      4160      1  yes       1  sum         row: task 1; 4160 slots by 4; nontemporal, sum_in_l1
    layer               1      8208        20      1  yes       1  sum         row: task 1; 20 slots by 1; in_cache
    layer               1      8208       520      1  yes       1  sum         row: task 1; 520 slots by 1; -
    # few slots are divided among threads, one after the other
    layer               1    100003         3      1  yes       1  -           row: task 1; 3 slots by 1; in_cache, 100003 ahead
    layer               1    100003         3      1  yes       3  -           row: 3 x measure 7, combine 1, apply 7; 1 x 16384; in_cache
    instance            8        64     12544      1   no       2  -           row: task 171; 3 slots by 1; nontemporal, 12544 ahead
    batch              32       256       196      1   no       2  -           row: task 8; 32 slots by 83; in_cache
    batch               4         3     50001      1   no       3  -           row: 3 x measure 16, combine 1, apply 16; 1 x 16384; in_cache
    batch              32       256       196      1   no       2  fixed       row: apply 99; 83 x 196; -
    # many threads: a slot after the other only if it has parts for all of them, or more than there are slots
    instance            1       100     20000      1   no      64  -           row: task 100; 1 slots by 1; in_cache, 20000 ahead
    instance            1         2    100003      1   no      64  -           row: 2 x measure 7, combine 1, apply 7; 1 x 16384; in_cache
    layer               8        96      3136      1   no      64  -           column: task 56; 512 columns; in_cache
    layer               8        96      3136      1   no    2000  -           column: task 56; 512 columns; in_cache
    # columns: whole panels, tiles of them, or all threads on one panel
    batch              32       256       196      1  yes       2  fixed       column: apply 25; 256 x 256; -
    batch              32        64      3136      1  yes       2  -           column: measure 64, combine 1, apply 64; 1568 x 64; nontemporal
    batch              32        64      3136      1  yes       2  statistics  column: measure 64, combine 1; 1568 x 64; nontemporal
    batch             800      1500         1      1   no       1  -           column: measure 13, combine 1, apply 13; 64 x 1500; -
    instance            8         3    147456      1  yes       2  -           column: 8 x measure 14, combine 1, apply 14; 10928 x 3; nontemporal
    instance          300        64       225      1  yes       2  -           column: task 300; 64 columns; nontemporal, 14400 ahead
    group               2       320      4096     32  yes       2  -           column: 2 x measure 16, combine 1, apply 16; 256 x 320; -
    group              64       320       100     32  yes       2  -           column: task 64; 320 columns; in_cache, 32000 ahead
    layer               8        96      3136      1   no       2  -           column: task 56; 512 columns; in_cache
    # small panels are done together, but enough are left for all threads
    instance         2000         4         3      1  yes       1  -           column: task 48; 42 panels of 4 columns; in_cache
    instance           10         4         3      1  yes       1  -           column: task 4; 3 panels of 4 columns; in_cache
    layer            9000         7         5      1   no       2  -           column: task 643; 14 panels of 5 columns; in_cache, 490 ahead
"""  # fmt: skip
OPTIONS = {"-": {}, "sum": SUM, "statistics": {"writes": False}}


def rows():
    for line in TABLE.strip().splitlines():
        if not line.strip().startswith("#"):
            norm, n, c, s, groups, last, threads, option, expected = line.split(None, 8)
            options = OPTIONS.get(option, {option: True})
            args = norm, int(n), int(c), int(s), int(groups), last == "yes", int(threads), MEASURED
            yield pytest.param(args, options, expected, id=f"{norm}-{n}-{c}-{s}-{last}-{threads}-{option}")


@pytest.mark.parametrize(("args", "options", "expected"), [*rows()])
def test_table(args, options, expected):
    assert text(tuning.schedule_of(*args, **options)) == expected


def small_schedules():
    """Yields the schedules under the smallest tuning of norms whose arrays have at most 10 KB."""
    shapes = [(1, 40, 64), (2, 160, 8), (4, 8, 80), (8, 20, 16), (2, 3, 400), (5, 512, 1), (2, 100, 5)]
    for method, (n, c, s), last in product(("batch", "instance", "group", "layer"), shapes, (False, True)):
        for threads, sums, kind in product((1, 2), ({}, SUM), ({}, {"fixed": True}, {"elementwise": True})):
            groups = 4 if method == "group" and c % 4 == 0 else 1
            yield (
                tuning.schedule_of(method, n, c, s, groups, last, threads, TUNINGS["tiny"], **sums, **kind),
                bool(sums),
                n,
            )


def test_small_arrays_take_every_path():
    """Under the smallest tuning: streaming stores, pieces of columns, phases, and sums that L1 does not hold.

    Only phases of columns have one part each there: their chunks define bits, and two of them are 128 KB.
    """
    found = set()
    for s, is_sum, n in small_schedules():
        found.add((s["by"], s["mode"], s["access"]["nontemporal"]))
        found |= {("threads", s["by"], s["mode"])} if s["threads"] > 1 else set()
        if (s["by"], s["mode"]) == ("row", "local"):
            found |= {("sum", s["sum_in_l1"])} if is_sum else set()
            found |= {("tiles", s["tile_slots"] < s["part_slots"])}
        if (s["by"], s["mode"]) == ("column", "local"):
            found |= {("pieces", dict(s["phases"])["task"] > n)}
        found |= {("coefficients", s["access"]["columns"])}
    for by, mode in product(("row", "column"), ("local", "phased", "fixed")):
        assert {(by, mode, True), (by, mode, False)} <= found
        assert (("threads", by, mode) in found) == ((by, mode) != ("column", "phased"))
    for flag in (True, False):
        assert {("sum", flag), ("tiles", flag), ("pieces", flag)} <= found
    assert {("coefficients", 0), ("coefficients", 64)} <= found


@st.composite
def norms(draw):
    method = draw(st.sampled_from(["batch", "instance", "group", "layer"]))
    n, s, groups, of_group = (draw(st.integers(1, top)) for top in (40, 3000, 12, 40))
    groups = groups if method == "group" else 1
    return method, n, groups * of_group, s, groups, draw(st.booleans())


FLAGS = st.fixed_dictionaries({name: st.booleans() for name in ("adds", "in_place", "rereads", "elementwise")})
KINDS = st.sampled_from([{}, {"fixed": True}, {"writes": False}])


@given(norms(), st.integers(1, 40), st.sampled_from(list(TUNINGS.values())), FLAGS, KINDS)
def test_every_element_belongs_to_one_part(norm, threads, numbers, flags, kind):
    method, n, c, s, groups, _ = norm
    found = tuning.schedule_of(*norm, threads, numbers, **flags, **kind)
    parts = dict(found["phases"])
    slots = {"batch": c, "instance": n * c, "group": n * groups, "layer": n * s}[method]
    assert 1 <= found["threads"] <= min(threads, max(parts.values()))
    if found["mode"] == "local" and found["by"] == "row":
        assert (parts["task"] - 1) * found["part_slots"] < slots <= parts["task"] * found["part_slots"]
        assert 1 <= found["tile_slots"] <= 128
    elif found["mode"] == "local":
        panels = 1 if method == "batch" else n
        cols = n * c * s // found["unit_rows"] // panels
        assert parts["task"] == -(-panels // found["part_panels"]) * -(-cols // found["tile_cols"])
        assert found["tile_cols"] == cols or found["tile_cols"] % 64 == 0
    elif "apply" in parts:
        strips = found["strips"]
        rows = found["unit_rows"] * (n if method == "batch" and found["by"] == "row" else 1)
        down = parts["apply"] // strips["across"]
        assert parts["apply"] == strips["count"]
        assert (down - 1) * strips["rows"] < rows <= down * strips["rows"]
    if found["mode"] == "phased":
        assert parts["measure"] == found["chunks"]["count"]


@given(norms(), st.integers(1, 40), st.sampled_from(list(TUNINGS.values())), FLAGS)
def test_what_defines_bits_depends_on_the_shape_alone(norm, threads, numbers, flags):
    assert tuning.schedule_of(*norm, threads, numbers, **flags)["chunks"] == tuning.schedule_of(*norm)["chunks"]


@given(norms(), st.sampled_from(list(TUNINGS.values())), FLAGS)
def test_one_thread_goes_through_rows_in_one_part(norm, numbers, flags):
    """A part begins and ends where a thread does; tiles are what keeps rows in cache."""
    found = tuning.schedule_of(*norm, 1, numbers, **flags)
    assert found["threads"] == 1
    assert found["by"] == "column" or found["phases"] == [("task", 1)]
