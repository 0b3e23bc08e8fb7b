"""How a slot is cut into chunks. It depends on the slot's shape alone, never on threads or on the batch, and chunks are
merged in the order of their index: this is why results have the same bits with any number of threads.

How large they are is in numerics.h, with all other constants that define bits.
"""
from normcy._engine.kernels cimport NORMCY_LANES, NORMCY_NARROW_COLUMNS, normcy_kernels

cdef struct Chunks:
    ptrdiff_t rows, cols    # of a chunk
    ptrdiff_t across        # chunks side by side
    ptrdiff_t count

cdef Chunks split_rows(ptrdiff_t rows, ptrdiff_t cols) noexcept nogil
cdef Chunks pieces(ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t size) noexcept nogil
cdef Chunks split_cols(ptrdiff_t rows, ptrdiff_t cols) noexcept nogil
cdef void merge_chunks(const normcy_kernels *k, ptrdiff_t slots, ptrdiff_t chunks, ptrdiff_t stride,
                       const double *values, double *mean, double *m2) noexcept nogil


cdef inline ptrdiff_t ceil_div(ptrdiff_t a, ptrdiff_t b) noexcept nogil:
    return (a + b - 1) // b


cdef inline ptrdiff_t fold_of(ptrdiff_t cols) noexcept nogil:
    """How many rows of a narrow panel lie side by side: the least that fill whole vectors; 1 where it is not narrow."""
    cdef ptrdiff_t k = 1
    if cols < NORMCY_NARROW_COLUMNS:
        while cols * k % NORMCY_LANES:
            k *= 2
    return k
