# Which panel a method works on: the one table that maps (method, memory order) to the geometry of the drivers.
#
# (A) Every array is (N, C, S) in memory, or (N, S, C) when channels come last; LayerNorm over D trailing values is the
#     channels-last array (N, rows, D). A method says which axes a slot of statistics spans:
#
#     method      spans        (N, C, S)                        (N, S, C)
#     BATCH       N, S         rows: slot c, a segment a sample  columns of the whole array
#     INSTANCE    S            rows: slot (n, c)                 columns of each sample
#     GROUP       S and C/G    rows: slot (n, g), C/G planes     columns of each sample, C/G neighbours merged
#     LAYER       C            columns of each sample            rows: slot (n, s)
#
# (B) Memory need not be dense: `sample` floats lie between one sample and the next, `pitch` between one row and the
#     next, so that a slice of the channels is served in place.
#
# (C) weight and bias have strides over n, c and s; the plan says which of those the panel's rows and columns are.
#     A value a row (by row) or a column (by column) folds into the coefficients; anything else is an element operand.

cdef enum Method:
    BATCH, INSTANCE, GROUP, LAYER

cdef struct Dims:           # an array in memory, and how many groups its channels form
    ptrdiff_t n, c, s, groups
    ptrdiff_t sample, pitch
    bint channels_last

cdef struct Plan:
    bint by_col
    bint row_is_channel     # panel rows run over c and columns over s; otherwise rows over s and columns over c
    bint pooled             # a slot spans all samples
    ptrdiff_t slots         # how many statistics there are
    double count            # values in a slot
    # by row: slot k is `segs` segments of `planes` rows of `length` floats; rows (of one segment) follow each other
    ptrdiff_t segs, seg_stride, planes, length
    # by column: `samples` panels of rows x cols; `group` neighbouring columns share a slot
    ptrdiff_t samples, rows, cols, group
    ptrdiff_t period        # rows of a sample
    ptrdiff_t sample, pitch     # floats from one sample, and from one row, to the next
    bint even               # all rows follow each other at the same pitch

cdef struct Strides:        # of weight or bias over sample, channel and position; p NULL: absent
    const float *p
    ptrdiff_t n, c, s
    ptrdiff_t size          # how many values there are

cdef struct Operand:        # the same, in the terms of the plan
    const float *p
    ptrdiff_t outer, seg, row
    int step
    bint folds


cdef Plan make_plan(Method method, Dims d) noexcept nogil:
    cdef Plan p
    cdef bint last = d.channels_last
    memset(&p, 0, sizeof(Plan))
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
        p.rows, p.cols = (d.s, d.c) if last else (d.c, d.s)
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
    return p


cdef inline ptrdiff_t row_at(const Plan *p, ptrdiff_t r) noexcept nogil:
    """Where row r of the panel (of all samples, of one segment) starts."""
    return r * p.pitch if p.even else r // p.period * p.sample + r % p.period * p.pitch


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
