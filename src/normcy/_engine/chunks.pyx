from normcy._engine.kernels cimport (
    NORMCY_BLOCK, NORMCY_CHUNK_FLOATS, NORMCY_CHUNK_ROWS, NORMCY_COLS_CHUNK_FLOATS, NORMCY_LANES,
    NORMCY_LONG_CHUNK_ROWS, NORMCY_LONG_CHUNKS, NORMCY_MAX_CHUNKS, normcy_kernels,
)


cdef Chunks split_rows(ptrdiff_t rows, ptrdiff_t cols) noexcept nogil:
    """Of rows that follow each other."""
    cdef ptrdiff_t size = ceil_div(ceil_div(rows * cols, NORMCY_MAX_CHUNKS), NORMCY_BLOCK) * NORMCY_BLOCK
    return pieces(rows, cols, max(size, <ptrdiff_t>NORMCY_CHUNK_FLOATS))


cdef Chunks pieces(ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t size) noexcept nogil:
    """Whole rows, as many as have that size, or pieces of one."""
    cdef Chunks c
    c.cols = min(cols, size)
    c.rows = 1 if c.cols < cols else min(rows, size // cols)
    c.across = ceil_div(cols, c.cols)
    c.count = ceil_div(rows, c.rows) * c.across
    return c


cdef Chunks split_cols(ptrdiff_t rows, ptrdiff_t cols) noexcept nogil:
    """Of slots along columns: rows of all of them."""
    cdef Chunks c
    cdef ptrdiff_t lanes = NORMCY_LANES
    c.cols, c.across = cols, 1
    c.rows = max(<ptrdiff_t>NORMCY_CHUNK_ROWS, ceil_div(NORMCY_COLS_CHUNK_FLOATS // cols, lanes) * lanes,
                 ceil_div(ceil_div(rows, NORMCY_MAX_CHUNKS), lanes) * lanes,
                 min(<ptrdiff_t>NORMCY_LONG_CHUNK_ROWS,
                     rows // NORMCY_LONG_CHUNKS // NORMCY_CHUNK_ROWS * NORMCY_CHUNK_ROWS))
    c.count = ceil_div(rows, c.rows)
    return c


cdef void merge_chunks(const normcy_kernels *k, ptrdiff_t slots, ptrdiff_t chunks, ptrdiff_t stride,
                       const double *values, double *mean, double *m2) noexcept nogil:
    """Moments of the first chunk become those of all. A chunk has the moments of `slots` slots, each of values[chunk]
    values; the next chunk has its own `stride` doubles further on."""
    cdef ptrdiff_t j
    cdef double n = values[0]
    for j in range(1, chunks):
        k.merge(slots, n, mean, m2, values[j], mean + j * stride, m2 + j * stride)
        n += values[j]
