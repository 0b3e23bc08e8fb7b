from libc.math cimport HUGE_VAL, NAN, fabs, frexp, ldexp
from libc.string cimport memcpy, memset

from normcy._engine.job cimport TO_STYLE
from normcy._engine.kernels cimport (
    NORMCY_HUGE_WEIGHT, NORMCY_LARGE_RATIO_TERM, NORMCY_LEAST_A, NORMCY_LEAST_GAIN, NORMCY_LEAST_SCALE_EXPONENT,
    NORMCY_MOST_A, NORMCY_MOST_GAIN, NORMCY_MOST_MEAN, NORMCY_MOST_SCALE_EXPONENT, NORMCY_SCALE_DOWN,
    NORMCY_SCALE_MEAN, NORMCY_SCALE_UP, NORMCY_SCALED_GAIN_EXPONENT, NORMCY_SCALED_MEAN_EXPONENT,
    NORMCY_SMALL_RATIO_TERM,
)


cdef struct GainRange:      # the magnitudes of a gain that float32 holds well
    double least, most

cdef struct Gain:           # of a slot: y = ((x - mean) * gain + shift + bias) * last_weight + last_bias
    double gain             # 1 / std or what the transform makes of it, times a weight that folds
    double shift            # what the transform adds, times the same weight
    float bias              # a bias that folds
    float scale             # the power of two that x is multiplied by, and the gain is divided by
    float last_weight       # a factor that `gain` cannot hold; 1 if there is none
    float last_bias


cdef inline GainRange gain_range(const Job *job) noexcept nogil:
    """A weight that folds is in the gain already; any other will be multiplied by it in float32, and needs room."""
    cdef GainRange r
    r.least, r.most = NORMCY_LEAST_GAIN, NORMCY_MOST_GAIN
    if job.weight.p != NULL and not job.weight.folds:
        r.least, r.most = NORMCY_LEAST_A, NORMCY_MOST_A
    return r


cdef void fill_coefficients(const Job *job, ptrdiff_t count, const Slots *s, const normcy_operand *weight,
                            const normcy_operand *bias, const normcy_operand *gate, ptrdiff_t channel,
                            normcy_coef *coef, float *room, ptrdiff_t stride) noexcept nogil:
    """Fill in coef for `count` rows or columns, with its vectors in room[0:SCRATCH_VECTORS * stride].

    Weights and biases that do not fold are not in it: see elementwise_at. `channel` is the channel of the first row or
    column, which only a ratio needs: the next one has the next channel there. s.rstd holds gains: 1 / std, or what the
    transform has made of it.
    """
    cdef bint ratio = job.op == NORMCY_RATIO, gated = ratio or job.op == NORMCY_SWISH
    cdef GainRange within = gain_range(job)
    cdef const float *scale = NULL      # what the gain is divided by. The scale of a ratio cancels, so that it is NULL.
    cdef ptrdiff_t i, unfit
    coef[0] = coefficients_in(room, stride, job.op, s.scaled or gated or job.extreme)
    if gated:
        memcpy(room + GATE * stride, gate.p, count * sizeof(float))
    if coef.scale != NULL:
        for i in range(count):
            room[SCALE * stride + i] = s.scale[i] if s.scaled else 1
    if ratio:
        fill_ratio(job, count, s, channel, room, stride)
    else:
        scale = coef.scale
    if not job.extreme:
        unfit = job.k.coefficients(count, NULL if gated else s.mean, NULL if ratio else s.rstd, s.shift_after,
                                   scale, weight.p if job.weight.folds else NULL, job.offset,
                                   bias.p if bias_folds(job) else NULL, within.least, within.most, room,
                                   room + A * stride, room + B * stride)
        if not unfit or ratio:
            return
    fill_slot_by_slot(job, count, s, weight, bias, room, stride)
    coef.scale = room + SCALE * stride


cdef void fill_slot_by_slot(const Job *job, ptrdiff_t count, const Slots *s, const normcy_operand *weight,
                            const normcy_operand *bias, float *room, ptrdiff_t stride) noexcept nogil:
    """Fill in the coefficients slot by slot, each with the scale that its own gain needs."""
    cdef const float *weights = weight.p if job.weight.folds else NULL
    cdef const float *biases = bias.p if bias_folds(job) else NULL
    cdef GainRange within = gain_range(job)
    cdef Gain gain
    cdef ptrdiff_t i
    for i in range(count):
        gain = gain_of_slot(job, s, i, weights, biases, &within)
        store_gain(job, s, i, &gain, &within, room + i, stride)


cdef Gain gain_of_slot(const Job *job, const Slots *s, ptrdiff_t i, const float *weights, const float *biases,
                       const GainRange *within) noexcept nogil:
    """The gain of slot i. If job.extreme, a factor that no scale can bring within float32 is applied last.

    A ratio divides by stds, which are coefficients of their own: its gain is the weight.
    """
    cdef double rstd = s.rstd[i] if job.op != NORMCY_RATIO else 1
    cdef double shift = s.shift_after[i] if s.shift_after != NULL else 0
    cdef double weight = weights[i] + job.offset if weights != NULL else 1
    cdef float bias = biases[i] if biases != NULL else 0, slot_scale = s.scale[i] if s.scaled else 1
    cdef Gain g
    g.gain, g.shift, g.bias, g.scale = rstd, shift, 0, slot_scale
    # The weight is infinite or NaN.
    if job.extreme and weights != NULL and not fabs(weight) < HUGE_VAL:
        g.scale = scale_of_gain(s.mean[i], g.gain, slot_scale, within)
        g.last_weight, g.last_bias = <float>weight, bias
        return g
    # The style has an infinite std: nothing but the signs of x - mean counts. AdaIN takes no weight.
    if job.extreme and job.transform.kind == TO_STYLE and fabs(rstd) == HUGE_VAL:
        g.gain, g.shift = 1, 0
        g.last_weight, g.last_bias = <float>rstd, <float>shift
        return g
    g.gain, g.shift = rstd * weight, shift * weight
    g.scale = scale_of_gain(s.mean[i], g.gain, slot_scale, within)
    # The gain is beyond float32 even with the scale that suits it best.
    if job.extreme and job.op != NORMCY_RATIO and job.weight.folds and (
            within.most <= fabs(g.gain) / g.scale < HUGE_VAL):
        g.gain, g.shift = g.gain / NORMCY_HUGE_WEIGHT, g.shift / NORMCY_HUGE_WEIGHT
        g.scale = scale_of_gain(s.mean[i], g.gain, slot_scale, within)
        g.last_weight, g.last_bias = <float>NORMCY_HUGE_WEIGHT, bias
        return g
    # What is added is so large that the product could overflow where the sum does not: both are scaled down meanwhile.
    if job.extreme and job.op != NORMCY_RATIO and fabs(g.shift) + fabs(bias) >= NORMCY_HUGE_WEIGHT:
        g.gain, g.shift = g.gain / NORMCY_HUGE_WEIGHT, g.shift / NORMCY_HUGE_WEIGHT
        g.scale = scale_of_gain(s.mean[i], g.gain, slot_scale, within)
        g.bias, g.last_weight, g.last_bias = <float>(bias / NORMCY_HUGE_WEIGHT), <float>NORMCY_HUGE_WEIGHT, <float>-0.0
        return g
    # Ordinarily nothing is applied last. A last bias of 0 would turn -0 into 0.
    g.bias, g.last_weight, g.last_bias = bias, 1, <float>-0.0
    return g


cdef void store_gain(const Job *job, const Slots *s, ptrdiff_t i, const Gain *g, const GainRange *within, float *room,
                     ptrdiff_t stride) noexcept nogil:
    """Write the coefficients of slot i to room[0], room[stride], ..."""
    cdef bint ratio = job.op == NORMCY_RATIO
    cdef float *a = room + A * stride
    cdef float *scale = room + SCALE * stride
    cdef const double *shift = NULL
    if s.shift_after != NULL:
        shift = &g.shift
    room[LAST_WEIGHT * stride], room[LAST_BIAS * stride] = g.last_weight, g.last_bias
    if not ratio:       # fill_ratio has written its scale
        scale[0] = g.scale
    job.k.coefficients(1, s.mean + i if job.op == NORMCY_AFFINE else NULL, &g.gain, shift, NULL if ratio else scale,
                       NULL, 0, &g.bias, 0, HUGE_VAL, room, a, room + B * stride)
    if not ratio and within.most <= fabs(a[0]) < HUGE_VAL:
        # Beside so large a mean, or so small a variance, x - mean is 0 wherever the result is not infinite.
        a[0] = <float>(within.most if a[0] > 0 else -within.most)


cdef void fill_ratio(const Job *job, ptrdiff_t count, const Slots *s, ptrdiff_t channel, float *room,
                     ptrdiff_t stride) noexcept nogil:
    """Scales, and the two stds that a ratio chooses from. A ratio has no transform, so that s.rstd is 1 / std."""
    cdef const float *gate = room + GATE * stride
    cdef float *scale = room + SCALE * stride
    cdef double instance_std, batch_std
    cdef ptrdiff_t i
    for i in range(count):
        instance_std, batch_std = 1 / s.rstd[i], job.batch_std[channel + i]
        scale[i] = ratio_scale(instance_std, batch_std, (fabs(s.mean[i]) + instance_std) * fabs(gate[i]))
        room[BATCH_STD * stride + i] = <float>(batch_std * scale[i])
        room[OWN_STD * stride + i] = <float>(instance_std * scale[i]) if batch_std == batch_std else <float>NAN


cdef float ratio_scale(double instance_std, double batch_std, double gated) noexcept nogil:
    """The power of two that keeps a ratio's two terms, and their sum with a typical gate * x, within float32."""
    cdef double largest = max(instance_std, batch_std, gated)
    if largest >= NORMCY_LARGE_RATIO_TERM:
        return <float>NORMCY_SCALE_DOWN
    return <float>(NORMCY_SCALE_UP if largest < NORMCY_SMALL_RATIO_TERM else 1)


cdef float scale_of_gain(double mean, double gain, float slot_scale, const GainRange *within) noexcept nogil:
    """The power of two for x that brings gain / scale within bounds; `slot_scale`, of the rescue, where that does.

    Scaling by a power of two changes no digit of (x * scale - mean * scale) * (gain / scale), so that a slot's result
    does not depend on which one it is, as long as nothing leaves float32 on the way.
    """
    cdef int of_gain, of_mean, exponent = 0     # which is as good as any where a large gain meets an infinite mean
    cdef double scaled_gain = fabs(gain) / slot_scale
    if scaled_gain == 0 or within.least <= scaled_gain < within.most or not scaled_gain < HUGE_VAL:
        return <float>NORMCY_SCALE_MEAN if slot_scale == 1 and fabs(mean) >= NORMCY_MOST_MEAN else slot_scale
    frexp(gain, &of_gain)
    frexp(mean, &of_mean)
    if scaled_gain < within.least:
        exponent = max(of_gain + NORMCY_SCALED_GAIN_EXPONENT, <int>NORMCY_LEAST_SCALE_EXPONENT)
    elif fabs(mean) < HUGE_VAL:
        exponent = min(of_gain - NORMCY_SCALED_GAIN_EXPONENT, NORMCY_SCALED_MEAN_EXPONENT - of_mean,
                       <int>NORMCY_MOST_SCALE_EXPONENT)
    return <float>ldexp(1, exponent)


cdef normcy_operand of_slots(const Job *job, const float *p) noexcept nogil:
    """One value for each slot, in scratch."""
    cdef normcy_operand o
    o.p, o.row, o.step = p, not job.plan.by_col, job.plan.by_col
    return o


cdef normcy_elementwise elementwise_at(const Job *job, const normcy_operand *weight, const normcy_operand *bias,
                                       const float *room, ptrdiff_t stride) noexcept nogil:
    """What the coefficients in `room` do not hold: a weight that does not fold, with the bias that comes after it, and
    folding ones that have to be applied last."""
    cdef normcy_elementwise e
    memset(&e, 0, sizeof(normcy_elementwise))
    e.extreme = job.extreme
    if not job.weight.folds:
        e.weight = weight[0]
        e.offset = <float>job.offset
    elif job.extreme:
        e.weight = of_slots(job, room + LAST_WEIGHT * stride)
    if not bias_folds(job):
        e.bias = bias[0]
    elif job.extreme:
        e.bias = of_slots(job, room + LAST_BIAS * stride)
    return e
