from normcy._engine.kernels cimport NORMCY_BLOCK, NORMCY_LANES


cdef Chunks split_rows(ptrdiff_t rows, ptrdiff_t cols) noexcept nogil:
    """Of rows that follow each other: whole rows, or pieces of one."""
    cdef Chunks c
    cdef ptrdiff_t size = ceil_div(ceil_div(rows * cols, MAX_CHUNKS), NORMCY_BLOCK) * NORMCY_BLOCK
    size = max(size, <ptrdiff_t>CHUNK_FLOATS)
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
    c.rows = max(<ptrdiff_t>CHUNK_ROWS_MIN, ceil_div(2 * CHUNK_FLOATS // cols, lanes) * lanes,
                 ceil_div(ceil_div(rows, MAX_CHUNKS), lanes) * lanes,
                 min(<ptrdiff_t>CHUNK_ROWS_LONG, rows // 8 // CHUNK_ROWS_MIN * CHUNK_ROWS_MIN))
    c.count = ceil_div(rows, c.rows)
    return c
