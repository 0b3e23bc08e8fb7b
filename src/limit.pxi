# The limit that norms are measured against: a copy by as many threads as a norm of that size takes.

def copy(cnp.ndarray x not None, cnp.ndarray out not None):
    """x into out, both contiguous float32 arrays of one size; a share of neighbouring floats for each thread."""
    floats(x, "x")
    floats(out, "out")
    writeable(out, "out")
    cdef ptrdiff_t size = cnp.PyArray_SIZE(x)
    if cnp.PyArray_SIZE(out) != size or not (in_c_order(x) and in_c_order(out)):
        raise ValueError(f"expected two C-contiguous arrays of one size, got {describe(x)} and {describe(out)}")
    if normcy_overlap(x, out):
        raise ValueError("expected two arrays that do not overlap")
    cdef const float *source = <const float *>cnp.PyArray_DATA(x)
    cdef float *target = <float *>cnp.PyArray_DATA(out)
    cdef int t, threads = threads_for(size), parts = <int>min(<ptrdiff_t>threads, ceil_div(size, CHUNK))
    cdef normcy_workers *workers = normcy_own_workers()
    cdef int team
    with nogil:
        team = normcy_team_size(workers, parts, threads)
        for t in prange(parts, num_threads=team, schedule="static", chunksize=1, use_threads_if=team > 1):
            copy_share(workers, source, target, size, parts, t)


cdef void copy_share(normcy_workers *workers, const float *source, float *target, ptrdiff_t size, int parts,
                     int part) noexcept nogil:
    """In pieces: a memcpy of megabytes goes past the caches, and took up to a fifth longer here."""
    cdef ptrdiff_t at, end, n
    normcy_register_worker(workers)
    share(size, parts, part, &at, &end)
    while at < end:
        n = min(<ptrdiff_t>CHUNK, end - at)
        memcpy(target + at, source + at, n * sizeof(float))
        at += n
