"""The limit that norms are measured against: a copy by as many threads as a norm of that size takes."""
cimport numpy as cnp
from libc.string cimport memcpy

from normcy._engine.chunks cimport ceil_div
from normcy._engine.parallel cimport Phase, run_phases
from normcy._engine.schedule cimport pays_for_threads
from normcy._engine.tuning cimport tuning
from normcy._native.arrays cimport describe, floats, overlapping, writeable
from normcy._native.threads cimport threads_now
from normcy._native.views cimport in_c_order

cnp.import_array()

cdef enum:
    # A call of memcpy takes this many: for megabytes it goes past the caches, which took a fifth longer.
    COPY_FLOATS = 16384

cdef struct Copy:
    const float *source
    float *target
    ptrdiff_t size


def copy(cnp.ndarray x not None, cnp.ndarray out not None):
    """x into out, both contiguous float32 arrays of one size."""
    floats(x, "x")
    floats(out, "out")
    writeable(out, "out")
    cdef Copy work
    cdef Phase phase
    cdef int threads
    work.size = cnp.PyArray_SIZE(x)
    if cnp.PyArray_SIZE(out) != work.size or not (in_c_order(x) and in_c_order(out)):
        raise ValueError(f"expected two C-contiguous arrays of one size, got {describe(x)} and {describe(out)}")
    if overlapping(x, out):
        raise ValueError("expected two arrays that do not overlap")
    work.source, work.target = <const float *>cnp.PyArray_DATA(x), <float *>cnp.PyArray_DATA(out)
    threads = threads_now() if pays_for_threads(&tuning, work.size, False) else 1
    phase.part, phase.parts, phase.backwards = copy_part, ceil_div(work.size, COPY_FLOATS), False
    run_phases(&work, &phase, 1, 1, work.size, <int>min(<ptrdiff_t>threads, phase.parts), threads, NULL)


cdef void copy_part(void *of, ptrdiff_t round, ptrdiff_t part) noexcept nogil:
    cdef const Copy *work = <const Copy *>of
    cdef ptrdiff_t at = part * COPY_FLOATS
    memcpy(work.target + at, work.source + at, min(<ptrdiff_t>COPY_FLOATS, work.size - at) * sizeof(float))
