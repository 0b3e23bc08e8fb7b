# What the drivers share: the job, the partition of slots into chunks, and the rescue of slots out of float32's range.
#
# (A) Chunks depend on a slot's shape alone, never on threads or batch size, and merge in index order: same bits always.
# (B) Two ways to drive. Local: a task takes whole slots through both passes while they are in cache. Phased: slots too
#     few or too large for that are split, moments first, then the apply pass, each thread walking back over its share.
# (C) Nothing here can fail but the allocation of scratch, which comes before the first write.
# (D) Drivers release the GIL themselves. In functions that are called without it, prange asks Python whether it is
#     held; before 3.12 the answer is always yes once there has been a subinterpreter, and Python ends the process.
# (E) One thread goes without a region: GNU's OpenMP ends each with a system call, as long as a small norm takes.

cdef enum:
    CHUNK = 16384           # floats of a slot that one call of a moments kernel takes, or more in slots above 64 chunks
    MAX_CHUNKS = 64
    TASK = 49152            # floats of a local task, 192 KiB: both passes find them in L2
    RUN = 2048              # floats of a run of short slots that stays in L1, 8 KiB and its y
    SHORT_SLOT = 128        # floats below which what a run costs counts more than where x is
    PIECE = 16384           # floats of a run of slots that lie together
    LONG_WEIGHT = 1024      # floats of a weight and of a bias that leave room for such a run
    SHARING = 8             # rows that at least share longer ones
    NEAR = 1048576          # floats of an array that is near even beside others' use of the caches
    LOCAL_NEAR = 4194304    # the same where the apply pass finds x in L2
    COLUMNS = 1024          # floats of each coefficient of columns that stay in L1 while rows of such arrays go by
    BEYOND = 4194304        # floats a thread of an array that is better written past the caches
    PARALLEL_MIN = 49152    # floats from which a second thread pays for its start
    SHARE_MIN = 4096        # floats a thread, of arrays that have enough for two
    EXACT_FROM = 32768      # values of a slot from which its rows are summed exactly: out of L1, memory is the bound

cdef enum Adjust:           # what becomes of a slot's statistics before they are coefficients
    AS_THEY_ARE, TO_LENGTH, TO_STYLE, TO_RUNNING

cdef struct Target:         # other statistics, a pair for each slot, that the slots' own are adjusted to
    Adjust how
    const double *mean
    const double *std
    double alpha            # TO_STYLE: the share of the style
    double r_max, d_max     # TO_RUNNING: clips

cdef struct Job:
    const normcy_kernels *k
    Plan plan
    const float *x          # what is normalized; with an addend, where source + addend is put first
    ptrdiff_t x_from        # which element of the array is x[0]: not the first in a part that is kept aside
    float *y                # NULL: statistics only
    const float *source
    const float *addend     # NULL: none
    normcy_epilogue epilogue    # for the first element of x
    normcy_apply_op op
    Operand gate
    const double *batch_std     # RATIO: one a channel
    Target target
    normcy_about about
    bint exact              # all sums are in float64
    normcy_rstd_options how
    Operand weight, bias
    bint extreme            # some weights may have to be applied last: see kernels.h
    double offset
    const double *fixed_mean    # statistics from outside (inference), one a channel, or NULL
    const double *fixed_rstd
    double *mean            # where the statistics of every slot go, or NULL
    double *m2
    double *rstd
    int threads             # among how many the work is divided
    int most                # how many may run it; more than `threads` where they are there anyway
    normcy_workers *workers     # the workers of the calling thread
    bint local_near         # near where the apply pass finds x in L2
    bint beyond             # y is better written past the caches, unless a sum is kept there first
    normcy_access access

cdef struct Slots:          # statistics of a run of slots, in scratch
    double *mean
    double *m2
    double *rstd
    double *shift_after     # NULL: 0
    float *scale
    bint scaled             # some scale is not 1

cdef enum:
    COEFS = 7               # vectors of a normcy_coef, one after the other in scratch
    ROOM = 9                # the same, and after them the weights and biases that are applied last
    SLOT_DOUBLES = 4        # vectors of doubles in Slots

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


cdef Chunks chunks_of_slot(const Plan *p) noexcept nogil:
    """Of a slot along rows: pieces of one segment each."""
    cdef Chunks c = split_rows(1, p.planes * p.length)
    c.count *= p.segs
    return c


cdef Chunks split_cols(ptrdiff_t rows, ptrdiff_t cols) noexcept nogil:
    cdef Chunks c
    c.cols, c.across = cols, 1
    c.rows = max(<ptrdiff_t>64, ceil_div(2 * CHUNK // cols, 16) * 16, ceil_div(ceil_div(rows, MAX_CHUNKS), 16) * 16,
                 min(<ptrdiff_t>256, rows // 8 // 64 * 64))
    c.count = ceil_div(rows, c.rows)
    return c


cdef float rescue_scale(double mean, double m2, double n) noexcept nogil:
    """The power of two that brings the values of an abnormal slot into range; 1 where they stand as they are."""
    if not (m2 / n < 2.0 ** 124) or not fabs(mean) < HUGE_VAL:
        return <float>(2.0 ** -70)
    if fabs(mean) >= 2.0 ** 100:
        return 0.25
    # Underflow takes small values all round: beside a larger mean, float32 has no variance this small but 0.
    return <float>(2.0 ** 100) if m2 / n < 2.0 ** -100 and fabs(mean) < 2.0 ** -16 else 1


cdef float scale_of_gain(double mean, double gain, float own, const Gains *within) noexcept nogil:
    """The power of two for x that brings gain / scale within bounds; `own`, the slot's own, where that does.

    Scaling by a power of two changes no digit of (x * scale - mean * scale) * (gain / scale), so that a slot's result
    does not depend on which one it is, as long as nothing leaves float32 on the way.
    """
    cdef int of_gain, of_mean
    cdef double share = fabs(gain) / own
    if share == 0 or within.least <= share < within.most or not share < HUGE_VAL:
        return <float>0.25 if own == 1 and fabs(mean) >= 2.0 ** 100 else own
    frexp(gain, &of_gain)
    frexp(mean, &of_mean)
    if share < within.least:
        return <float>ldexp(1, max(of_gain + 60, -149))
    return <float>ldexp(1, min(of_gain - 60, 126 - of_mean, 127) if fabs(mean) < HUGE_VAL else 0)


cdef double total_of(const float *x, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride) noexcept nogil:
    """A plain sum. With an infinity or a NaN it is what the mean is, in whatever order: no float32 overflows it."""
    cdef ptrdiff_t i, j
    cdef double total = 0
    for i in range(rows):
        for j in range(cols):
            total += x[i * stride + j]
    return total


cdef normcy_operand operand_at(const Operand *o, const Plan *p, ptrdiff_t seg, ptrdiff_t r,
                               ptrdiff_t col) noexcept nogil:
    """The operand as the panel that starts at row r, column col of a segment sees it."""
    cdef normcy_operand at
    at.row, at.step = o.row, o.step
    at.p = NULL
    if o.p != NULL:
        at.p = o.p + seg * o.seg + r // p.period * o.outer + r % p.period * o.row + col * o.step
    return at


cdef inline bint elementwise_stage(const Job *job) noexcept nogil:
    return job.extreme or (job.weight.p != NULL and not job.weight.folds) or (job.bias.p != NULL and not job.bias.folds)


cdef inline bint bias_folds(const Job *job) noexcept nogil:
    return job.bias.folds and (job.weight.folds or job.weight.p == NULL)


cdef normcy_operand of_slots(const Job *job, const float *p) noexcept nogil:
    """One value for each slot, in scratch."""
    cdef normcy_operand o
    o.p, o.row, o.step = p, not job.plan.by_col, job.plan.by_col
    return o


cdef normcy_elementwise elementwise_at(const Job *job, ptrdiff_t seg, ptrdiff_t r, ptrdiff_t col, const float *room,
                               ptrdiff_t stride) noexcept nogil:
    """What the coefficients in `room` do not hold: a weight that does not fold, with the bias that comes after it, and
    folding ones that have to be applied last."""
    cdef normcy_elementwise e
    memset(&e, 0, sizeof(normcy_elementwise))
    e.extreme = job.extreme
    if not job.weight.folds:
        e.weight = operand_at(&job.weight, &job.plan, seg, r, col)
        e.offset = <float>job.offset
    elif job.extreme:
        e.weight = of_slots(job, room + COEFS * stride)
    if not bias_folds(job):
        e.bias = operand_at(&job.bias, &job.plan, seg, r, col)
    elif job.extreme:
        e.bias = of_slots(job, room + (COEFS + 1) * stride)
    return e


cdef inline bint moves(const Operand *o) noexcept nogil:
    return o.p != NULL and (o.outer != 0 or o.row != 0)


cdef inline ptrdiff_t joined_rows(const Job *job, ptrdiff_t r, ptrdiff_t end) noexcept nogil:
    """How many rows from r on one call of the apply kernel can take."""
    cdef const Plan *p = &job.plan
    if p.even and not (moves(&job.weight) or moves(&job.bias) or moves(&job.gate) or job.batch_std != NULL):
        return end - r
    return min(end - r, p.period - r % p.period)


cdef void adjust(const Target *t, ptrdiff_t slot, ptrdiff_t count, double values, Slots *s) noexcept nogil:
    """Turn mean and 1 / std of slots, from `slot` on, into y = (x - mean) gain + shift_after: the gain is in rstd."""
    cdef ptrdiff_t i
    cdef double r, d
    for i in range(count):
        if t.how == TO_LENGTH:
            s.rstd[i] /= sqrt(values)
            if s.scaled:        # Lengths do not need it, and without it small values keep their digits.
                s.scale[i] = 1
        elif t.how == TO_STYLE:
            s.rstd[i] = t.alpha * t.std[slot + i] * s.rstd[i] + (1 - t.alpha)
            s.shift_after[i] = t.alpha * t.mean[slot + i] + (1 - t.alpha) * s.mean[i]
            if s.scaled and s.scale[i] < 0.25:      # Means do not need it; alpha < 1 shows small values.
                s.scale[i] = 0.25
        elif t.how == TO_RUNNING:
            r, d = 1 / (s.rstd[i] * t.std[slot + i]), (s.mean[i] - t.mean[slot + i]) / t.std[slot + i]
            s.rstd[i] = 1 / t.std[slot + i] if 1 / t.r_max <= r <= t.r_max else s.rstd[i] * clipped(
                r, 1 / t.r_max, t.r_max)
            s.shift_after[i] = clipped(d, -t.d_max, t.d_max)


cdef inline double clipped(double v, double least, double most) noexcept nogil:
    return least if v < least else most if v > most else v


cdef struct Gains:          # what |a| may be
    double least, most


cdef inline Gains gains_of(const Job *job) noexcept nogil:
    """A folded weight is in `a` already; any other will be multiplied by it."""
    cdef Gains g
    g.least, g.most = NORMCY_LEAST_GAIN, 2.0 ** 127
    if job.weight.p != NULL and not job.weight.folds:
        g.least, g.most = NORMCY_LEAST_A, NORMCY_MOST_A
    return g


cdef void fill_coefficients(const Job *job, ptrdiff_t count, const Slots *s, const normcy_operand *weight,
                            const normcy_operand *bias, const normcy_operand *gate, ptrdiff_t channel,
                            normcy_coef *coef, float *room, ptrdiff_t stride) noexcept nogil:
    """coef for `count` rows or columns (of channels from `channel` on, where a form goes by channel), in
    room[0:ROOM * stride]; what does not fold is left to the element stage."""
    cdef bint affine = job.op == NORMCY_AFFINE, ratio = job.op == NORMCY_RATIO
    cdef Gains within = gains_of(job)
    cdef const float *scale = NULL      # of the gain: a ratio's is for its terms alone
    cdef ptrdiff_t i, odd
    coef.op, coef.mean_f32, coef.a, coef.b, coef.scale = job.op, room, room + stride, room + 2 * stride, NULL
    coef.gate, coef.batch, coef.own = room + 4 * stride, room + 5 * stride, room + 6 * stride
    if not affine:
        memcpy(room + 4 * stride, gate.p, count * sizeof(float))
    if s.scaled or not affine or job.extreme:
        coef.scale = room + 3 * stride
        for i in range(count):
            room[3 * stride + i] = s.scale[i] if s.scaled else 1
    if ratio:
        fill_ratio(job, count, s, channel, room, stride)
    else:
        scale = coef.scale
    if not job.extreme:
        odd = job.k.coefficients(count, s.mean if affine else NULL, NULL if ratio else s.rstd, s.shift_after,
                                 scale, weight.p if job.weight.folds else NULL, job.offset,
                                 bias.p if bias_folds(job) else NULL, within.least, within.most, room, room + stride,
                                 room + 2 * stride)
        if not odd or ratio:
            return
    each_coefficient(job, count, s, weight, bias, coef, room, stride)


cdef void each_coefficient(const Job *job, ptrdiff_t count, const Slots *s, const normcy_operand *weight,
                           const normcy_operand *bias, normcy_coef *coef, float *room, ptrdiff_t stride) noexcept nogil:
    """Fill in the coefficients slot by slot, each with the scale that its own gain needs."""
    cdef const float *w = weight.p if job.weight.folds else NULL
    cdef const float *b = bias.p if bias_folds(job) else NULL
    cdef float *last = room + COEFS * stride
    cdef ptrdiff_t i
    for i in range(count):
        if job.extreme:     # by default, what is multiplied and added last changes nothing
            last[i], last[stride + i] = 1, <float>-0.0
        one_coefficient(job, s, i, w, b, room + i, stride)
    coef.scale = room + 3 * stride


cdef void one_coefficient(const Job *job, const Slots *s, ptrdiff_t i, const float *w, const float *b, float *room,
                          ptrdiff_t stride) noexcept nogil:
    """The coefficients of slot i, in room[0], room[stride], ... A factor that no scale can hold is multiplied last."""
    cdef bint ratio = job.op == NORMCY_RATIO, last = False
    cdef Gains within = gains_of(job)
    cdef double rstd = s.rstd[i], value = w[i] + job.offset if w != NULL else 1
    cdef double shift_after = s.shift_after[i] if s.shift_after != NULL else 0
    cdef float own = s.scale[i] if s.scaled else 1
    cdef float *scale = room + 3 * stride
    if w != NULL and job.extreme and not fabs(value) < HUGE_VAL:
        last, room[COEFS * stride] = True, <float>value
    elif not ratio:
        scale[0] = scale_of_gain(s.mean[i], rstd * value, own, &within)
        if job.extreme and job.weight.folds and within.most <= fabs(rstd * value) / scale[0] < HUGE_VAL:
            last, room[COEFS * stride] = True, <float>NORMCY_HUGE_WEIGHT
            rstd, shift_after = rstd * value / NORMCY_HUGE_WEIGHT, shift_after * value / NORMCY_HUGE_WEIGHT
    if last and not ratio:
        scale[0] = scale_of_gain(s.mean[i], rstd, own, &within)
    if job.extreme and job.target.how == TO_STYLE and fabs(rstd) == HUGE_VAL:   # an infinite std: signs are what counts
        last, room[COEFS * stride], room[(COEFS + 1) * stride] = True, <float>rstd, <float>shift_after
        rstd, shift_after, scale[0] = 1, 0, own
    elif last and b != NULL:
        room[(COEFS + 1) * stride] = b[i]
    elif last:
        room[(COEFS + 1) * stride] = 0
    job.k.coefficients(1, s.mean + i if job.op == NORMCY_AFFINE else NULL, NULL if ratio else &rstd,
                       NULL if s.shift_after == NULL else &shift_after, NULL if ratio else scale,
                       one_of(w, i, last), job.offset,
                       one_of(b, i, last), 0, HUGE_VAL, room, room + stride, room + 2 * stride)
    if not ratio and within.most <= fabs(room[stride]) < HUGE_VAL:
        # Beside so large a mean, or so small a variance, x - mean is 0 wherever the result is not infinite.
        room[stride] = <float>(within.most if room[stride] > 0 else -within.most)


cdef inline const float *one_of(const float *v, ptrdiff_t i, bint absent) noexcept nogil:
    if v == NULL or absent:
        return NULL
    return v + i


cdef void fill_ratio(const Job *job, ptrdiff_t count, const Slots *s, ptrdiff_t channel, float *room,
                     ptrdiff_t stride) noexcept nogil:
    """Scales, and the two stds that a ratio chooses from."""
    cdef double own, batch
    cdef ptrdiff_t i
    for i in range(count):
        own, batch = 1 / s.rstd[i], job.batch_std[channel + i]
        room[3 * stride + i] = ratio_scale(own, batch, (fabs(s.mean[i]) + own) * fabs(room[4 * stride + i]))
        room[5 * stride + i] = <float>(batch * room[3 * stride + i])
        room[6 * stride + i] = <float>(own * room[3 * stride + i]) if batch == batch else <float>NAN


cdef float ratio_scale(double own, double batch, double gated) noexcept nogil:
    """The power of two that keeps a ratio's two terms, and their sum with a typical gate * x, within float32."""
    cdef double largest = max(own, batch, gated)
    return <float>(2.0 ** -70 if largest >= 2.0 ** 100 else 2.0 ** 100 if largest < 2.0 ** -100 else 1)


cdef inline int coefs_used(const normcy_coef *coef) noexcept nogil:
    return 7 if coef.op == NORMCY_RATIO else 5 if coef.op == NORMCY_SWISH else 4 if coef.scale != NULL else 3


cdef inline const normcy_epilogue *epilogue_at(const Job *job, ptrdiff_t at, normcy_epilogue *room) noexcept nogil:
    """What follows the norm for the panel `at` floats into x; NULL if nothing does."""
    if job.epilogue.add == NULL and job.epilogue.activation == NORMCY_IDENTITY:
        return NULL
    room.add = job.epilogue.add + at if job.epilogue.add != NULL else NULL
    room.activation = job.epilogue.activation
    return room


cdef inline float *x_at(const Job *job, ptrdiff_t at) noexcept nogil:
    return <float *>job.x + (at - job.x_from)


cdef inline void add_first(const Job *job, ptrdiff_t at, ptrdiff_t rows, ptrdiff_t cols,
                           ptrdiff_t stride) noexcept nogil:
    """Put source + addend where x is read, for a panel about to be read for the first time."""
    if job.addend != NULL:
        job.k.add(job.source + at, job.addend + at, x_at(job, at), rows, cols, stride)


cdef inline void divide(Job *job, ptrdiff_t tasks) noexcept nogil:
    """No more threads than there are tasks for."""
    job.threads = <int>min(<ptrdiff_t>job.threads, tasks)


cdef inline int team_of(const Job *job) noexcept nogil:
    """How many threads to run the parts of a divided job; the last thing before its region, after its scratch."""
    return normcy_team_size(job.workers, job.threads, job.most)


cdef inline unsigned long begin_part(const Job *job) noexcept nogil:
    """What every thread does first; returns what normcy_fp_leave takes last."""
    normcy_register_worker(job.workers)
    return normcy_fp_enter()


cdef void share(ptrdiff_t total, int parts, int part, ptrdiff_t *begin, ptrdiff_t *end) noexcept nogil:
    begin[0] = total // parts * part + min(<ptrdiff_t>part, total % parts)
    end[0] = begin[0] + total // parts + (part < total % parts)
