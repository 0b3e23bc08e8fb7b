"""The tuning and the schedules, for people and tests: what they are on this machine, and would be on others."""
from normcy._engine.kernels cimport NORMCY_NARROW_COLUMNS
from normcy._engine.plan cimport BATCH, GROUP, INSTANCE, LAYER, Dims, Method, Plan, init_plan
from normcy._engine.schedule cimport (
    APPLY, COMBINE, FIXED, LOCAL, MEASURE, PHASED, TASK, Operands, Schedule, make_schedule,
)
from normcy._engine.tuning cimport (
    MAX_PANELS_FLOATS, MAX_TILE_FLOATS, Tuning, machine_caches, normcy_caches, tuning as tuning_now, tuning_for,
    use_tuning as use_numbers,
)

METHODS = {"batch": BATCH, "instance": INSTANCE, "group": GROUP, "layer": LAYER}
MODES = {LOCAL: "local", PHASED: "phased", FIXED: "fixed"}
STEPS = {TASK: "task", MEASURE: "measure", COMBINE: "combine", APPLY: "apply"}


def caches():
    """The sizes of this machine's caches that its tuning is computed from, in bytes."""
    return <dict>machine_caches()


def tuning():
    """The numbers in use, by name."""
    return <dict>tuning_now


def tuning_of(l1_bytes, l2_bytes, l3_bytes):
    """The numbers for a machine with caches of these sizes."""
    cdef normcy_caches sizes
    sizes.l1_bytes, sizes.l2_bytes, sizes.l3_bytes = l1_bytes, l2_bytes, l3_bytes
    return <dict>tuning_for(&sizes)


cdef Tuning numbers_of(dict numbers) except *:
    """A whole tuning: these numbers, and the others as they are."""
    cdef dict known = tuning(), wanted = known | numbers
    if wanted.keys() != known.keys():
        raise ValueError(f"numbers: expected names of {', '.join(known)}, got {', '.join(numbers)}")
    for name, least, most in (("tile_floats", 1, MAX_TILE_FLOATS), ("panels_floats", 1, MAX_PANELS_FLOATS),
                              ("tile_min_columns", NORMCY_NARROW_COLUMNS, 1 << 30),
                              *[(name, 1, 1 << 30) for name in known]):
        if not least <= wanted[name] <= most:
            raise ValueError(f"{name}: expected {least} to {most}, got {wanted[name]}")
    return wanted


def use_tuning(dict numbers):
    """Compute with these numbers, and the others as they are, from now on. No call may run meanwhile."""
    cdef Tuning wanted = numbers_of(numbers)
    use_numbers(&wanted)


def schedule_of(method, ptrdiff_t n, ptrdiff_t c, ptrdiff_t s, ptrdiff_t groups=1, bint channels_last=False,
                int threads=1, dict numbers=None, *, bint writes=True, bint fixed=False, bint adds=False,
                bint in_place=False, bint rereads=False, bint elementwise=False):
    """How a norm of a dense array of n samples, c channels and s positions is divided, under these numbers.

    It has the panel of its method and memory order; what weights make of that (plan.pxd, D) is left out.
    """
    cdef Tuning t = numbers_of(numbers or {})
    cdef Dims d
    cdef Plan p
    cdef Operands o
    cdef Schedule found
    d.n, d.c, d.s, d.groups, d.channels_last = n, c, s, groups, channels_last
    d.sample, d.pitch = c * s, c if channels_last else s
    init_plan(&p, <Method><int>METHODS[method], &d)
    o.size, o.writes, o.fixed, o.adds, o.in_place = n * c * s, writes, fixed, adds, in_place
    o.rereads, o.elementwise, o.ratio = rereads, elementwise, False
    make_schedule(&p, &t, threads, &o, &found)
    phases = [(STEPS[found.phases[i].step], found.phases[i].parts) for i in range(found.phase_count)]
    return {"by": "column" if p.by_col else "row", "mode": MODES[found.mode], "phases": phases} | {
        name: value for name, value in (<dict>found).items() if name not in ("mode", "phases", "phase_count")}
