"""From the moments of slots to the statistics that coefficients are made of: 1 / std, the rescue of slots whose values
are out of float32's range, and the transforms towards a style, a length or running statistics."""
from normcy._engine.job cimport Job, Slots

cdef struct SlotReader:     # how a driver reads a slot once more
    void (*exactly)(const Job *job, ptrdiff_t slot, double *mean, double *m2) noexcept nogil    # NULL: they are exact
    double (*total)(const Job *job, ptrdiff_t slot) noexcept nogil

cdef void finish_statistics(const Job *job, const SlotReader *reader, ptrdiff_t slot, ptrdiff_t count,
                            Slots *s) noexcept nogil
cdef double total_of(const float *x, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride) noexcept nogil
