"""A job divided into parts: what rows.pyx and cols.pyx make of it, and run.pyx runs.

A unit is a slot along rows, or a panel of columns. In one way of working a task takes whole slots through both passes
while they are in cache (LOCAL). Slots too few or too large for that are done unit after unit, by all threads: moments
of its chunks, what becomes of them, and the apply pass (PHASED). Statistics from outside leave only that (FIXED).

What threads share: all read the Job, the arrays and a Work. Each writes its own rows of y, its own chunks of mean, m2
and values, and its own scratch. What `combine` writes is written by one, and read by all in the phase after it.
"""
from normcy._engine.chunks cimport Chunks
from normcy._engine.job cimport Job, Slots

cdef enum Mode:
    LOCAL, PHASED, FIXED

cdef struct Columns:        # scratch for the columns of one panel
    Slots stats
    double *mean_b          # moments of the next chunk
    double *m2_b
    float *room             # coefficients: SCRATCH_VECTORS * stride
    ptrdiff_t stride        # virtual columns rounded up to whole vectors

cdef struct Work:
    const Job *job
    Mode mode
    Chunks chunks           # of a unit
    ptrdiff_t units
    ptrdiff_t unit_rows     # PHASED, FIXED: rows of y that belong to a unit
    ptrdiff_t step_rows     # by column: how many of them go by at a time
    ptrdiff_t tasks         # LOCAL
    ptrdiff_t task_size     # slots along rows, or columns, of a task
    # Scratch: what belongs to the call, then as much for each part
    ptrdiff_t scratch_bytes, part_bytes
    char *parts_scratch
    double *mean            # PHASED: moments of the chunks
    double *m2
    double *values          # how many values of a slot each has
    ptrdiff_t stride        # by column: from the moments of one chunk to those of the next
    Slots stats             # by row: of the slot that all threads work on, or of all
    Columns columns         # by column: of that panel
    double rstd, shift_after    # of that slot
    float scale
    # What a panel's direction decides
    void (*lay_out)(Work *w, char *scratch) noexcept nogil      # point into scratch_bytes of it
    void (*task)(const Work *w, ptrdiff_t task, int part) noexcept nogil
    void (*measure)(const Work *w, ptrdiff_t unit, ptrdiff_t chunk) noexcept nogil
    void (*combine)(Work *w, ptrdiff_t unit) noexcept nogil
    void (*apply)(const Work *w, ptrdiff_t unit, int part) noexcept nogil
