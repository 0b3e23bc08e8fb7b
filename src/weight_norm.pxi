# Weight normalization: v in slices of length g, along any axis; a batch norm about zero without an eps.

cdef cnp.ndarray lengths(g, cnp.ndarray v, object axis):
    """g as one value a slice."""
    cdef ptrdiff_t k = 1 if axis is None else np.shape(v)[axis]
    cdef float one
    if axis is None and not isinstance(g, np.ndarray):
        one = <float>real(g, "g")
        return np.array([one], np.float32)
    cdef cnp.ndarray a = floats(np.asarray(g) if type(g) is np.float32 else g, "g")
    kept = tuple([n if i == axis else 1 for i, n in enumerate(np.shape(v))])
    if axis is None and np.size(a) == 1 and set(np.shape(a)) <= {1}:
        return np.array(a, order="C").reshape(1)
    if axis is not None and np.shape(a) in ((k,), kept):
        return np.array(a, order="C").reshape(k)
    raise ValueError(f"g: expected {'a scalar' if axis is None else f'shape ({k},) or {kept}'}, one value a slice of "
                     f"v, got {np.shape(a)}")


def weight_norm(v_given, g, dim, out):
    cdef cnp.ndarray v, length
    cdef Dims d
    cdef int i, rank
    cdef Job job
    cdef unsigned long mode = normcy_fp_enter()
    try:
        v = floats(v_given, "v")
        rank = cnp.PyArray_NDIM(v)
        axis = None if dim is None else integer(dim, "dim")
        if axis is not None and not -rank <= axis < rank:
            raise ValueError(f"dim: expected None or an axis of v, of shape {np.shape(v)}, got {axis}")
        axis = axis if axis is None else axis % rank
        length = lengths(g, v, axis)
        if not in_c_order(v):
            v = np.array(v, order="C", subok=False)
        d.n = d.c = d.s = d.groups = 1
        for i in range(rank):
            if axis is None or i > axis:
                d.s *= cnp.PyArray_DIM(v, i)
            elif i < axis:
                d.n *= cnp.PyArray_DIM(v, i)
            else:
                d.c = cnp.PyArray_DIM(v, i)
        d.sample, d.pitch, d.channels_last = d.c * d.s, d.s, False
        job = make_job(BATCH, d, 0, 0)
        job.about, job.exact, job.target.how = NORMCY_ABOUT_ZERO, True, TO_LENGTH
        return normalize(&job, v_given, v, a_channel(length), a_channel(None), None, None, None, None, out, ("g", g),
                         "v")
    finally:
        normcy_fp_leave(mode)
