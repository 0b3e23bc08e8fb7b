from libc.math cimport HUGE_VAL, fabs, sqrt
from libc.string cimport memcpy

from normcy._engine.job cimport TO_LENGTH, TO_RUNNING, TO_STYLE, UNCHANGED, Job, Slots, StatsTransform
from normcy._engine.kernels cimport (
    NORMCY_ABOUT_ZERO, NORMCY_EXACT_ROW, NORMCY_EXACT_ROW_ABOUT_ZERO, NORMCY_MOST_MEAN, NORMCY_MOST_VARIANCE,
    NORMCY_SCALE_DOWN, NORMCY_SCALE_MEAN, NORMCY_SCALE_UP, NORMCY_SMALL_MEAN, NORMCY_SMALL_VARIANCE,
)


cdef void finish_statistics(const Job *job, const SlotReader *reader, ptrdiff_t slot, ptrdiff_t count,
                            Slots *s) noexcept nogil:
    """All that becomes of the moments of `count` slots from `slot` on."""
    s.scaled = False
    if job.k.rstd(count, s.mean, s.m2, &job.rstd_options, s.rstd):
        rescue(job, reader, slot, count, s)
    if job.mean != NULL or job.m2 != NULL or job.rstd != NULL:
        store_statistics(job, reader, slot, count, s)
    transform_statistics(&job.transform, slot, count, job.plan.count, s)


cdef void rescue(const Job *job, const SlotReader *reader, ptrdiff_t slot, ptrdiff_t count, Slots *s) noexcept nogil:
    """Give slots out of float32's range exact moments, and x a scale where they need one."""
    cdef bint exact = sums_are_exact(job)
    cdef ptrdiff_t i
    for i in range(count):
        s.scale[i] = 1
        if not job.k.rstd(1, s.mean + i, s.m2 + i, &job.rstd_options, s.rstd + i):
            continue
        if not exact:
            reader.exactly(job, slot + i, s.mean + i, s.m2 + i)
        if exact or job.k.rstd(1, s.mean + i, s.m2 + i, &job.rstd_options, s.rstd + i):
            s.scale[i] = rescue_scale(s.mean[i], s.m2[i], job.rstd_options.count)
            s.scaled = s.scaled or s.scale[i] != 1


cdef inline bint sums_are_exact(const Job *job) noexcept nogil:
    """Whether the moments kernels have summed in float64, as they do along columns and short rows."""
    cdef ptrdiff_t least = NORMCY_EXACT_ROW_ABOUT_ZERO if job.about == NORMCY_ABOUT_ZERO else NORMCY_EXACT_ROW
    return job.plan.by_col or job.exact or job.plan.planes * job.plan.length <= least


cdef float rescue_scale(double mean, double m2, double n) noexcept nogil:
    """The power of two that brings the values of an abnormal slot into range; 1 where they stand as they are."""
    if not (m2 / n < NORMCY_MOST_VARIANCE) or not fabs(mean) < HUGE_VAL:
        return <float>NORMCY_SCALE_DOWN
    if fabs(mean) >= NORMCY_MOST_MEAN:
        return <float>NORMCY_SCALE_MEAN
    if m2 / n < NORMCY_SMALL_VARIANCE and fabs(mean) < NORMCY_SMALL_MEAN:
        return <float>NORMCY_SCALE_UP
    return 1


cdef void store_statistics(const Job *job, const SlotReader *reader, ptrdiff_t slot, ptrdiff_t count,
                           Slots *s) noexcept nogil:
    """Write the statistics to where the caller wants them; a mean that is not finite is that of a plain sum."""
    cdef ptrdiff_t k
    for k in range(count):
        if not fabs(s.mean[k]) < HUGE_VAL:
            s.mean[k] = reader.total(job, slot + k)
    store(job.mean, slot, count, s.mean)
    store(job.m2, slot, count, s.m2)
    store(job.rstd, slot, count, s.rstd)


cdef inline void store(double *to, ptrdiff_t slot, ptrdiff_t count, const double *values) noexcept nogil:
    if to != NULL:
        memcpy(to + slot, values, count * sizeof(double))


cdef double total_of(const float *x, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride) noexcept nogil:
    """A plain sum. With an infinity or a NaN it is what the mean is, in whatever order: no float32 overflows it."""
    cdef ptrdiff_t i, j
    cdef double total = 0
    for i in range(rows):
        for j in range(cols):
            total += x[i * stride + j]
    return total


cdef void transform_statistics(const StatsTransform *t, ptrdiff_t first, ptrdiff_t count, double values,
                               Slots *s) noexcept nogil:
    """Turn mean and 1 / std of slots into a gain (in rstd) and a shift: y = (x - mean) gain + shift_after."""
    cdef ptrdiff_t i, slot
    for i in range(count if t.kind != UNCHANGED else 0):
        slot = first + i
        if t.kind == TO_LENGTH:
            s.rstd[i] /= sqrt(values)
            if s.scaled:        # Lengths do not need it, and without it small values keep their digits.
                s.scale[i] = 1
        elif t.kind == TO_STYLE:
            s.rstd[i] = t.alpha * t.std[slot] * s.rstd[i] + (1 - t.alpha)
            s.shift_after[i] = t.alpha * t.mean[slot] + (1 - t.alpha) * s.mean[i]
            if s.scaled and s.scale[i] < NORMCY_SCALE_MEAN:     # Means do not need it; alpha < 1 shows small values.
                s.scale[i] = <float>NORMCY_SCALE_MEAN
        elif t.kind == TO_RUNNING:
            towards_running(t, slot, i, s)


cdef void towards_running(const StatsTransform *t, ptrdiff_t slot, ptrdiff_t i, Slots *s) noexcept nogil:
    """Batch renormalization: r and d, clipped."""
    cdef double r = 1 / (s.rstd[i] * t.std[slot]), d = (s.mean[i] - t.mean[slot]) / t.std[slot]
    if 1 / t.r_max <= r <= t.r_max:
        s.rstd[i] = 1 / t.std[slot]
    else:
        s.rstd[i] *= clipped(r, 1 / t.r_max, t.r_max)
    s.shift_after[i] = clipped(d, -t.d_max, t.d_max)


cdef inline double clipped(double v, double least, double most) noexcept nogil:
    return least if v < least else most if v > most else v
