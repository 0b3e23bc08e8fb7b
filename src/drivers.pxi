# What the drivers share: the job, the partition of slots into chunks, and the rescue of slots out of float32's range.
#
# (A) Chunks depend on a slot's shape alone, never on threads or batch size, and merge in index order: same bits always.
# (B) Two ways to drive. Local: a task takes whole slots through both passes while they are in cache. Phased: slots too
#     few or too large for that are split, moments first, then the apply pass, each thread walking back over its share.
# (C) Nothing here can fail but the allocation of scratch, which comes before the first write.

cdef enum:
    CHUNK = 16384           # floats of a slot that one call of a moments kernel takes, or more in slots above 64 chunks
    MAX_CHUNKS = 64
    TASK = 49152            # floats of a local task, 192 KiB: both passes find them in L2
    NEAR = 1048576          # floats of an array that is near even beside others' use of the caches
    PARALLEL_MIN = 49152    # floats from which a second thread pays for its start

cdef struct Job:
    const normcy_kernels *k
    Plan plan
    const float *x
    float *y                # NULL: statistics only
    normcy_about about
    normcy_spread how
    Operand weight, bias
    double offset
    const double *given_mean    # statistics from outside (inference), one a channel, or NULL
    const double *given_rstd
    double *mean            # where the statistics of every slot go, or NULL
    double *m2
    double *rstd
    int threads
    bint near

cdef struct Slots:          # statistics of a run of slots, in scratch
    double *mean
    double *m2
    double *rstd
    float *scale
    bint scaled             # some scale is not 1

cdef struct Chunks:
    ptrdiff_t rows, cols, across, count


cdef inline ptrdiff_t ceil_div(ptrdiff_t a, ptrdiff_t b) noexcept nogil:
    return (a + b - 1) // b


cdef Chunks split_rows(ptrdiff_t rows, ptrdiff_t cols) noexcept nogil:
    cdef Chunks c
    cdef ptrdiff_t size = ceil_div(ceil_div(rows * cols, MAX_CHUNKS), NORMCY_BLOCK) * NORMCY_BLOCK
    size = max(size, <ptrdiff_t>CHUNK)
    c.cols = min(cols, size)
    c.rows = 1 if c.cols < cols else min(rows, size // cols)
    c.across = ceil_div(cols, c.cols)
    c.count = ceil_div(rows, c.rows) * c.across
    return c


cdef Chunks split_cols(ptrdiff_t rows, ptrdiff_t cols) noexcept nogil:
    cdef Chunks c
    c.cols, c.across = cols, 1
    c.rows = max(<ptrdiff_t>64, ceil_div(2 * CHUNK // cols, 16) * 16, ceil_div(ceil_div(rows, MAX_CHUNKS), 16) * 16)
    c.count = ceil_div(rows, c.rows)
    return c


cdef float rescue_scale(double mean, double m2, double n) noexcept nogil:
    """The power of two that brings an abnormal slot into range; 1 where its moments stand as they are."""
    if not (m2 / n < 2.0 ** 124) or not fabs(mean) < HUGE_VAL:
        return <float>(2.0 ** -70)
    if fabs(mean) >= 2.0 ** 100:
        return 0.25
    # Underflow takes small values all round: beside a larger mean, float32 has no variance this small but 0.
    return <float>(2.0 ** 100) if m2 / n < 2.0 ** -100 and fabs(mean) < 2.0 ** -16 else 1


cdef inline void unscale(float scale, double *mean, double *m2) noexcept nogil:
    cdef double s = scale
    mean[0] /= s
    m2[0] /= s * s


cdef normcy_operand operand_at(const Operand *o, const Plan *p, ptrdiff_t seg, ptrdiff_t r,
                               ptrdiff_t col) noexcept nogil:
    """The operand as the panel that starts at row r, column col of a segment sees it."""
    cdef normcy_operand at
    at.row, at.step = o.row, o.step
    at.p = NULL
    if o.p != NULL:
        at.p = o.p + seg * o.seg + r // p.period * o.outer + r % p.period * o.row + col * o.step
    return at


cdef inline bint element_stage(const Job *job) noexcept nogil:
    return (job.weight.p != NULL and not job.weight.folds) or (job.bias.p != NULL and not job.bias.folds)


cdef normcy_element element_at(const Job *job, ptrdiff_t seg, ptrdiff_t r, ptrdiff_t col) noexcept nogil:
    """What the coefficients cannot hold: a weight that does not fold, and then the bias that comes after it."""
    cdef normcy_element e
    memset(&e, 0, sizeof(normcy_element))
    if not job.weight.folds:
        e.weight = operand_at(&job.weight, &job.plan, seg, r, col)
        e.offset = <float>job.offset
    if not job.bias.folds or e.weight.p != NULL:
        e.bias = operand_at(&job.bias, &job.plan, seg, r, col)
    return e


cdef void fill_coefficients(const Job *job, ptrdiff_t count, const double *mean, const double *rstd,
                            const float *scale, const normcy_operand *weight, const normcy_operand *bias,
                            normcy_coef *coef, float *room, ptrdiff_t stride) noexcept nogil:
    """coef for `count` rows or columns, in room[0:3 * stride]; what does not fold is left to the element stage."""
    cdef const float *w = weight.p if job.weight.folds else NULL
    cdef const float *b = bias.p if job.bias.folds and (job.weight.folds or job.weight.p == NULL) else NULL
    job.k.coefficients(count, mean, rstd, scale, w, job.offset, b, room, room + stride, room + 2 * stride)
    coef.hi, coef.a, coef.b, coef.scale = room, room + stride, room + 2 * stride, scale


cdef void share(ptrdiff_t total, int parts, int part, ptrdiff_t *begin, ptrdiff_t *end) noexcept nogil:
    begin[0] = total // parts * part + min(<ptrdiff_t>part, total % parts)
    end[0] = begin[0] + total // parts + (part < total % parts)
