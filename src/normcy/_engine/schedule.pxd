"""How a norm is divided and how it goes through memory: a pure function of its plan, the tuning, the number of threads
and what operands it has. No other place decides that, and none of it changes a bit of a result.

A schedule is a list of phases, each of a number of parts that may run at the same time, for as many rounds as there are
units. There are three kinds:

    mode    phases of a round               taken where
    LOCAL   TASK                            slots are many, and small enough to go through both passes in cache
    PHASED  MEASURE, COMBINE, APPLY         slots are few or large: all threads work on one unit after the other, a slot
                                            along rows or a panel of columns
    FIXED   APPLY                           statistics come from outside

`normcy._native.schedule_of` shows schedules to people, and tests/test_schedule.py has a table of them.
"""
from normcy._engine.chunks cimport Chunks
from normcy._engine.kernels cimport normcy_access
from normcy._engine.plan cimport Plan
from normcy._engine.tuning cimport Tuning

cdef enum Mode:
    LOCAL, PHASED, FIXED

cdef enum Step:
    TASK                    # whole slots go through both passes
    MEASURE                 # moments of a chunk of the unit
    COMBINE                 # its chunks are merged, and become statistics
    APPLY                   # a strip of y

cdef enum:
    MAX_PHASES = 3

cdef struct ScheduledPhase:
    Step step
    ptrdiff_t parts
    bint backwards          # the last part first: it is in the caches

cdef struct Operands:       # what a schedule has to know of a norm's arrays
    ptrdiff_t size          # floats of x
    bint writes             # there is a y
    bint fixed              # statistics come from outside
    bint adds               # x is a sum that is made first
    bint in_place           # x is in y's memory
    bint rereads            # y is in the memory of another input
    bint elementwise        # weights or biases do not fold into the coefficients
    bint ratio              # coefficients depend on the channel

cdef struct Schedule:
    Mode mode
    int threads             # how many can work on it
    ptrdiff_t rounds        # units, one after the other
    int phase_count         # of a round
    ScheduledPhase[MAX_PHASES] phases
    Chunks chunks           # of a unit's moments; they define bits
    ptrdiff_t part_slots    # TASK, by row: slots of a part
    ptrdiff_t tile_slots    # TASK, by row: of these, slots that go through both passes together
    ptrdiff_t tile_cols     # by column: columns of a part that are done together
    ptrdiff_t part_panels   # TASK, by column: small panels of a part, which are done together
    ptrdiff_t unit_rows     # APPLY: rows of y that belong to a unit
    Chunks strips           # APPLY: how they are divided
    bint points             # by row: rows of one float each are applied as one row of columns
    bint sum_in_l1          # TASK, by row: the sum of a tile is kept on the stack, not in y
    ptrdiff_t turned_rows   # APPLY, by column: so many rows begin where y is aligned
    normcy_access access

cdef void make_schedule(const Plan *p, const Tuning *t, int max_threads, const Operands *o,
                        Schedule *s) noexcept nogil
cdef Chunks chunks_of_slot(const Plan *p) noexcept nogil


cdef inline bint pays_for_threads(const Tuning *t, ptrdiff_t size, bint fixed) noexcept nogil:
    """Whether arrays of that size are worth more than one thread; the apply pass alone is a third of the work."""
    return (size // 3 if fixed else size) >= t.parallel_min_floats
