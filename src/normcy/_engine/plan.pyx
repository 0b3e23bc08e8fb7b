from normcy._engine.kernels cimport NORMCY_SHORT_SEGMENT, NORMCY_SHORT_SEGMENTS

cdef extern from "runtime/clear.h" nogil:
    void normcy_clear(void *p, size_t size)


cdef void init_plan(Plan *p, Method method, const Dims *d) noexcept nogil:
    cdef bint last = d.channels_last
    normcy_clear(p, sizeof(Plan))
    if d.s == 1:            # both memory orders fit: take the one with long rows
        last = method == BATCH or method == LAYER
    elif d.c == 1:
        last = method == LAYER
    p.pooled = method == BATCH
    p.row_is_channel = not last
    p.by_col = last != (method == LAYER)
    p.segs = p.planes = p.group = p.samples = p.repeats = 1
    if method == BATCH:
        p.slots, p.count = d.c, <double>d.n * d.s
    elif method == INSTANCE:
        p.slots, p.count = d.n * d.c, d.s
    elif method == GROUP:
        p.slots, p.count = d.n * d.groups, <double>(d.c // d.groups) * d.s
        p.planes = p.group = d.c // d.groups
    else:
        p.slots, p.count = d.n * d.s, d.c
    if p.by_col:
        p.planes = 1
        p.samples = d.n
        p.rows = d.s if last else d.c
        p.cols = d.c if last else d.s
        p.period = p.rows
    else:
        p.group = 1
        p.length = d.c if last else d.s
        p.period = d.s if last else d.c
        if method == BATCH:
            p.segs, p.seg_stride = d.n, d.sample
    p.sample = d.sample
    p.pitch = d.sample if p.period == 1 else 1 if d.s == 1 or last > d.channels_last else d.pitch
    p.even = p.sample == p.period * p.pitch


cdef inline bint follows(const Strides *v, ptrdiff_t outer, ptrdiff_t inner, ptrdiff_t length) noexcept nogil:
    """Whether values go on from one row to the next as they do in a row."""
    return v.p == NULL or outer == length * inner


cdef inline bint is_per_channel(const Strides *v) noexcept nogil:
    return v.n == 0 and v.s == 0 and v.c == 1


cdef inline bint has_value_each(const Strides *v, const Plan *p) noexcept nogil:
    """Whether there is a value for each of a sample's, in the order of x."""
    return v.s == 1 and (v.c == p.length or p.slots == 1)


cdef bint turns(const Plan *p) noexcept nogil:
    """Whether a slot is a short row of each of many samples. It depends on the shape alone, as it defines bits."""
    return (not p.by_col and p.planes == 1 and 1 < p.length <= NORMCY_SHORT_SEGMENT
            and p.segs >= NORMCY_SHORT_SEGMENTS)


cdef bint can_turn(const Plan *p, const Strides *weight, const Strides *bias) noexcept nogil:
    """Whether the weights can be those of columns: values for each channel, or for each value of x.

    A bias for each channel folds only beside a weight that does.
    """
    cdef bint weight_folds = weight.p == NULL or is_per_channel(weight)
    cdef bint bias_folds = bias.p == NULL or is_per_channel(bias)
    return ((weight_folds or has_value_each(weight, p)) and (bias_folds or has_value_each(bias, p)) and
            (weight_folds or not bias_folds or bias.p == NULL))


cdef void fit_plan(Plan *p, bint fixed, Strides *weight, Strides *bias) noexcept nogil:
    """Take longer rows, where memory and the weights have them, and columns in place of many short rows.

    The strides of weight and bias become those of the new panel. What is summed together must not depend on gaps
    between samples, so that these are joined only where `fixed` statistics come from outside. Weights that cannot turn
    (`can_turn`) have been written out before.
    """
    if turns(p):
        turn_to_columns(p)
    elif p.by_col or p.pitch != p.length:
        return
    elif p.planes > 1:
        join_channels(p, weight, bias)
    elif fixed and p.slots == 1 and p.seg_stride == p.length:
        join_samples(p, weight, bias)


cdef void join_channels(Plan *p, Strides *weight, Strides *bias) noexcept nogil:
    """The channels of a group are one row if they have no weights, or weights of x's shape, or a single value each."""
    cdef bint points = p.length == 1
    if points or (follows(weight, weight.c, weight.s, p.length) and follows(bias, bias.c, bias.s, p.length)):
        weight.c, weight.s = weight.c * p.planes, weight.c if points else weight.s
        bias.c, bias.s = bias.c * p.planes, bias.c if points else bias.s
        p.length *= p.planes
        p.pitch, p.period, p.planes = p.length, p.period // p.planes, 1


cdef void join_samples(Plan *p, Strides *weight, Strides *bias) noexcept nogil:
    """The samples of a single channel are one row."""
    if follows(weight, weight.n, weight.s, p.length) and follows(bias, bias.n, bias.s, p.length):
        weight.n = bias.n = 0
        p.length *= p.segs
        p.sample, p.pitch, p.seg_stride, p.segs, p.even = p.length, p.length, 0, 1, True


cdef void turn_to_columns(Plan *p) noexcept nogil:
    """The slot becomes a few columns of an array with a row for each sample."""
    p.by_col, p.row_is_channel = True, False
    p.group = p.repeats = p.length
    p.rows = p.period = p.segs
    p.cols, p.pitch, p.sample, p.even = p.slots * p.length, p.seg_stride, p.segs * p.seg_stride, True


cdef Operand make_operand(Strides v, const Plan *p) noexcept nogil:
    cdef Operand o
    cdef bint pooled_rows = p.pooled and not p.by_col
    o.p = v.p
    if p.repeats > 1:       # a row is a sample, and its columns are channels and positions
        o.outer, o.seg, o.row, o.step, o.folds = 0, 0, v.n, 1, is_per_channel(&v)
        return o
    o.outer = 0 if pooled_rows else v.n
    o.seg = v.n if pooled_rows else 0
    o.row = v.c if p.row_is_channel else v.s
    o.step = <int>(v.s if p.row_is_channel else v.c)
    if p.period == 1 and (o.outer or o.step):       # a row for each sample
        o.row = o.outer
    o.folds = (o.row == 0 and o.step == 1) if p.by_col else (o.row == 1 and o.step == 0)
    return o
