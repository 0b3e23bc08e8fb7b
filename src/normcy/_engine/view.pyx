cdef bint is_empty(const View *v) noexcept nogil:
    cdef int i
    for i in range(v.rank):
        if v.shape[i] == 0:
            return True
    return False


cdef Extent extent_of(const View *v) noexcept nogil:
    cdef Extent found
    cdef int i
    cdef Py_ssize_t reach
    found.low = found.high = v.data
    if is_empty(v):
        return found
    for i in range(v.rank):
        reach = (v.shape[i] - 1) * v.strides[i]
        if reach < 0:
            found.low += reach
        else:
            found.high += reach
    found.high += v.itemsize
    return found


cdef inline Py_ssize_t magnitude(Py_ssize_t v) noexcept nogil:
    return -v if v < 0 else v


cdef bint has_distinct_elements(const View *v) noexcept nogil:
    """True if no two elements share memory: each stride is at least the extent of the faster axes."""
    cdef int i, k
    cdef Py_ssize_t step, other, reach
    if is_empty(v):
        return True
    for i in range(v.rank):
        if v.shape[i] < 2:
            continue
        step, reach = magnitude(v.strides[i]), v.itemsize
        for k in range(v.rank):
            other = magnitude(v.strides[k])
            if k != i and other <= step:
                reach += (v.shape[k] - 1) * other
        if reach > step:
            return False
    return True


cdef bint same_strides(const View *a, const View *b) noexcept nogil:
    """Whether two arrays of one shape have their elements at the same steps; an axis of length 1 has no step."""
    cdef int i
    for i in range(a.rank):
        if a.shape[i] > 1 and a.strides[i] != b.strides[i]:
            return False
    return True


cdef bint has_even_rows(const View *v, Py_ssize_t *step, Py_ssize_t *rows) noexcept nogil:
    """Whether the last axis is dense and all rows along it have the same step, in bytes; how many there are then."""
    cdef int i
    if v.rank < 1 or v.shape[v.rank - 1] > 1 and v.strides[v.rank - 1] != v.itemsize:
        return False
    step[0], rows[0] = 0, 1
    for i in range(v.rank - 2, -1, -1):
        if v.shape[i] == 1:
            continue
        if rows[0] == 1:
            step[0] = v.strides[i]
        elif v.strides[i] != rows[0] * step[0]:
            return False
        rows[0] *= v.shape[i]
    return True


cdef inline int moved_axis(int k, int source, int to) noexcept nogil:
    """Which axis is at position k once axis `source` has been moved to position `to`."""
    if k == to:
        return source
    if source <= k < to:
        return k + 1
    if to < k <= source:
        return k - 1
    return k


cdef bint has_even_steps(const View *v, int source, int to, bint channels_last, ptrdiff_t *sample,
                         ptrdiff_t *pitch) noexcept nogil:
    """Whether memory is dense within a sample (channels first) or a pixel (channels last), and these have even steps
    between them, once axis `source` is moved to position `to`; how many elements apart samples and rows are then."""
    cdef Py_ssize_t expect = v.itemsize, step = 0, positions = 1, stride, length
    cdef int k, axis, last = v.rank - 1, channels = last if channels_last else 1
    for k in range(last, -1, -1):
        axis = moved_axis(k, source, to)
        length, stride = v.shape[axis], v.strides[axis]
        if k < channels and not step and length > 1:
            if stride < expect or stride % v.itemsize:
                return False
            expect = step = stride
        if length > 1 and stride != expect:
            return False
        expect *= length
        if k > 0 and k != channels:
            positions *= length
        if k == channels and not step:
            pitch[0] = expect
    if not step:
        step = pitch[0]
    pitch[0] = step // v.itemsize if channels_last else positions
    sample[0] = step // v.itemsize * (positions if channels_last else 1)
    return True
