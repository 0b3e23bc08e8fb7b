"""A norm as the engine computes it: which panel, from where to where, and what becomes of the statistics.

An entry fills in a Job and hands it to run.run_job. It holds pointers to checked memory and numbers, nothing of Python.
"""
from normcy._engine.kernels cimport (
    normcy_about, normcy_epilogue, normcy_apply_op, normcy_kernels, normcy_rstd_options,
)
from normcy._engine.plan cimport Operand, Plan

cdef enum StatsTransformKind:       # what becomes of a slot's statistics before they are coefficients
    UNCHANGED, TO_LENGTH, TO_STYLE, TO_RUNNING

cdef struct StatsTransform:     # towards other statistics, a pair for each slot
    StatsTransformKind kind
    const double *mean
    const double *std
    double alpha            # TO_STYLE: the share of the style
    double r_max, d_max     # TO_RUNNING: clips

cdef struct Job:
    const normcy_kernels *k
    Plan plan
    # Arrays, of one shape and one memory order
    const float *x          # the input; with an addend, source + addend is stored here first
    ptrdiff_t x_from        # which element of the array is x[0]: not the first in a part that is kept aside
    float *y                # NULL: statistics only
    const float *source
    const float *addend     # NULL: none
    # Statistics
    normcy_about about
    bint exact              # all sums are in float64
    normcy_rstd_options rstd_options
    StatsTransform transform
    const double *fixed_mean    # statistics from outside (inference), one a slot, or NULL
    const double *fixed_rstd
    double *mean            # where the statistics of every slot go; each of them may be NULL
    double *m2
    double *rstd
    # What x becomes
    normcy_apply_op op
    Operand gate
    const double *batch_std     # NORMCY_RATIO: one a channel
    Operand weight, bias
    double offset           # added to every weight; no_offset(): nothing is
    bint extreme            # some weights may have to be applied last: see kernels.h
    normcy_epilogue epilogue      # for the first element of x

cdef inline double no_offset() noexcept nogil:
    """It changes no weight, whereas 0 would turn -0 into 0."""
    return -0.0


cdef struct Slots:          # statistics of a run of slots, in scratch
    double *mean
    double *m2
    double *rstd            # 1 / std; once transformed, the gain that takes its place
    double *shift_after     # what the transform adds after the gain; NULL: 0
    float *scale            # powers of two that bring x into float32's range
    bint scaled             # some scale is not 1

cdef enum:
    SLOT_DOUBLES = 4        # vectors of doubles in Slots


cdef inline Slots slots_in(double *memory, float *scale, ptrdiff_t room, bint shifted) noexcept nogil:
    """Room for the statistics of that many slots, in SLOT_DOUBLES * room doubles."""
    cdef Slots s
    s.mean, s.m2, s.rstd, s.scale, s.scaled = memory, memory + room, memory + 2 * room, scale, False
    s.shift_after = memory + 3 * room if shifted else NULL
    return s


cdef inline bint shifts_after(const Job *job) noexcept nogil:
    return job.transform.kind >= TO_STYLE


cdef inline float *x_at(const Job *job, ptrdiff_t at) noexcept nogil:
    return <float *>job.x + (at - job.x_from)


cdef inline void add_first(const Job *job, ptrdiff_t at, ptrdiff_t rows, ptrdiff_t cols,
                           ptrdiff_t stride) noexcept nogil:
    """Put source + addend where x is read, for a panel about to be read for the first time."""
    if job.addend != NULL:
        job.k.add(job.source + at, job.addend + at, x_at(job, at), rows, cols, stride)
