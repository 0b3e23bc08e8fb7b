"""An array as the engine sees it: where its elements lie. Entries make a View of every array that comes in, once, and
what asks about memory - overlap, order, even steps - asks that."""

cdef struct View:
    char *data
    int rank
    const Py_ssize_t *shape
    const Py_ssize_t *strides   # in bytes
    Py_ssize_t itemsize

cdef struct Extent:         # the lowest byte that an array touches, and one past the highest
    char *low
    char *high

cdef Extent extent_of(const View *v) noexcept nogil
cdef bint has_distinct_elements(const View *v) noexcept nogil
cdef bint same_strides(const View *a, const View *b) noexcept nogil
cdef bint has_even_rows(const View *v, Py_ssize_t *step, Py_ssize_t *rows) noexcept nogil
cdef bint has_even_steps(const View *v, int source, int to, bint channels_last, ptrdiff_t *sample,
                         ptrdiff_t *pitch) noexcept nogil


cdef inline bint meet(const Extent *a, const Extent *b) noexcept nogil:
    """Whether two arrays may have a byte in common; one without elements has none."""
    return a.low < b.high and b.low < a.high and a.low < a.high and b.low < b.high
