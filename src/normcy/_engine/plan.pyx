cdef extern from "runtime/clear.h" nogil:
    void normcy_clear(void *p, size_t size)


cdef void init_plan(Plan *p, Method method, const Dims *d) noexcept nogil:
    cdef bint last = d.channels_last
    normcy_clear(p, sizeof(Plan))
    if d.s == 1:            # both memory orders fit: take the one with long rows
        last = method == BATCH or method == LAYER
    elif d.c == 1 and method != LAYER:
        last = False
    p.pooled = method == BATCH
    p.row_is_channel = not last
    p.by_col = last != (method == LAYER)
    p.segs = p.planes = p.group = p.samples = 1
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
    p.pitch = d.sample if p.period == 1 else 1 if d.s == 1 else d.pitch
    p.even = p.sample == p.period * p.pitch


cdef Operand make_operand(Strides v, const Plan *p) noexcept nogil:
    cdef Operand o
    cdef bint pooled_rows = p.pooled and not p.by_col
    o.p = v.p
    o.outer = 0 if pooled_rows else v.n
    o.seg = v.n if pooled_rows else 0
    o.row = v.c if p.row_is_channel else v.s
    o.step = <int>(v.s if p.row_is_channel else v.c)
    o.folds = (o.row == 0 and o.step == 1) if p.by_col else (o.row == 1 and o.step == 0)
    return o
