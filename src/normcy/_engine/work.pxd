"""A job, its schedule, and the scratch that its parts need: what rows.pyx and cols.pyx work on, and run.pyx runs.

What threads share: all read the Job, the arrays and a Work. Each part writes its own rows of y, its own chunks of mean,
m2 and values, and scratch that it takes from a pool, so that it does not matter which thread runs it. What `combine`
writes is written by one part, and read by all in the phase after it.
"""
from normcy._engine.job cimport Job, Slots
from normcy._engine.schedule cimport Schedule

cdef extern from "runtime/pool.h" nogil:
    enum:
        NORMCY_POOL_MAX_AREAS
    ctypedef struct normcy_pool:
        pass
    void normcy_pool_init(normcy_pool *pool, int areas)
    int normcy_pool_take(normcy_pool *pool)
    void normcy_pool_give_back(normcy_pool *pool, int area)

cdef struct Columns:        # scratch for the columns of one panel
    Slots stats
    double *mean_b          # moments of the next chunk
    double *m2_b
    float *room             # coefficients: SCRATCH_VECTORS * stride
    ptrdiff_t stride        # virtual columns rounded up to whole vectors

cdef struct Work:
    const Job *job
    ptrdiff_t scratch_bytes     # for all of it
    ptrdiff_t area_bytes    # by column: what a part needs while it runs
    char *areas             # one for each thread
    normcy_pool *pool       # which of them are free
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
    void (*task)(const Work *w, ptrdiff_t part) noexcept nogil
    void (*measure)(const Work *w, ptrdiff_t unit, ptrdiff_t chunk) noexcept nogil
    void (*combine)(Work *w, ptrdiff_t unit) noexcept nogil
    void (*apply)(const Work *w, ptrdiff_t unit, ptrdiff_t part) noexcept nogil
    Schedule schedule       # last, since it is cleared by itself
