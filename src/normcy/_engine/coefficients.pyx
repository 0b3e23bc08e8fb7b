from libc.math cimport HUGE_VAL, NAN, fabs, frexp, ldexp
from libc.string cimport memcpy, memset

from normcy._engine.job cimport TO_STYLE
from normcy._engine.kernels cimport (
    NORMCY_HUGE_WEIGHT, NORMCY_LEAST_A, NORMCY_LEAST_GAIN, NORMCY_MOST_A, NORMCY_MOST_MEAN, NORMCY_SCALE_DOWN,
    NORMCY_SCALE_MEAN, NORMCY_SCALE_UP,
)
from normcy._engine.plan cimport operand_at


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
    room[0:SCRATCH_VECTORS * stride]; what does not fold is elementwise."""
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
    cdef float *last = room + COEFFICIENTS * stride
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
    cdef double shift = s.shift_after[i] if s.shift_after != NULL else 0
    cdef float own = s.scale[i] if s.scaled else 1
    cdef float *scale = room + 3 * stride
    if w != NULL and job.extreme and not fabs(value) < HUGE_VAL:
        last, room[COEFFICIENTS * stride] = True, <float>value
    elif not ratio:
        scale[0] = scale_of_gain(s.mean[i], rstd * value, own, &within)
        if job.extreme and job.weight.folds and within.most <= fabs(rstd * value) / scale[0] < HUGE_VAL:
            last, room[COEFFICIENTS * stride] = True, <float>NORMCY_HUGE_WEIGHT
            rstd, shift = rstd * value / NORMCY_HUGE_WEIGHT, shift * value / NORMCY_HUGE_WEIGHT
    if last and not ratio:
        scale[0] = scale_of_gain(s.mean[i], rstd, own, &within)
    # Of an infinite std nothing but the signs counts.
    if job.extreme and job.transform.kind == TO_STYLE and fabs(rstd) == HUGE_VAL:
        last, room[COEFFICIENTS * stride] = True, <float>rstd
        room[(COEFFICIENTS + 1) * stride] = <float>shift
        rstd, shift, scale[0] = 1, 0, own
    elif last and b != NULL:
        room[(COEFFICIENTS + 1) * stride] = b[i]
    elif last:
        room[(COEFFICIENTS + 1) * stride] = 0
    job.k.coefficients(1, s.mean + i if job.op == NORMCY_AFFINE else NULL, NULL if ratio else &rstd,
                       NULL if s.shift_after == NULL else &shift, NULL if ratio else scale, one_of(w, i, last),
                       job.offset, one_of(b, i, last), 0, HUGE_VAL, room, room + stride, room + 2 * stride)
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
    return <float>(NORMCY_SCALE_DOWN if largest >= 2.0 ** 100 else NORMCY_SCALE_UP if largest < 2.0 ** -100 else 1)


cdef float scale_of_gain(double mean, double gain, float own, const Gains *within) noexcept nogil:
    """The power of two for x that brings gain / scale within bounds; `own`, the slot's own, where that does.

    Scaling by a power of two changes no digit of (x * scale - mean * scale) * (gain / scale), so that a slot's result
    does not depend on which one it is, as long as nothing leaves float32 on the way.
    """
    cdef int of_gain, of_mean
    cdef double share = fabs(gain) / own
    if share == 0 or within.least <= share < within.most or not share < HUGE_VAL:
        return <float>NORMCY_SCALE_MEAN if own == 1 and fabs(mean) >= NORMCY_MOST_MEAN else own
    frexp(gain, &of_gain)
    frexp(mean, &of_mean)
    if share < within.least:
        return <float>ldexp(1, max(of_gain + 60, -149))
    return <float>ldexp(1, min(of_gain - 60, 126 - of_mean, 127) if fabs(mean) < HUGE_VAL else 0)


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
        e.weight = of_slots(job, room + COEFFICIENTS * stride)
    if not bias_folds(job):
        e.bias = operand_at(&job.bias, &job.plan, seg, r, col)
    elif job.extreme:
        e.bias = of_slots(job, room + (COEFFICIENTS + 1) * stride)
    return e
