"""Which panel a method works on: the one table that maps (method, memory order) to the geometry of the drivers.

(A) Every array is (N, C, S) in memory, or (N, S, C) when channels come last; LayerNorm over D trailing values is the
    channels-last array (N, rows, D). A method says which axes a slot spans, the values that share one mean and
    variance:

    method      spans        (N, C, S)                        (N, S, C)
    BATCH       N, S         rows: slot c, a segment a sample  columns of the whole array
    INSTANCE    S            rows: slot (n, c)                 columns of each sample
    GROUP       S and C/G    rows: slot (n, g), C/G planes     columns of each sample, C/G neighbours together
    LAYER       C            columns of each sample            rows: slot (n, s)

(B) Memory need not be dense: `sample` floats lie between one sample and the next, `pitch` between one row and the
    next, so that a slice of the channels is served in place.

(C) weight and bias have strides over n, c and s; the plan says which of those the panel's rows and columns are.
    A value for each row (by row) or column (by column) folds into the coefficients; anything else is elementwise.

(D) Once the weights are known, `fit_plan` may choose another panel, as a kernel begins anew for each row:

    if                                                                      the panel has
    channels of a group have no weights, weights of x's shape, or are       a row for each group
        single values
    a batch has one channel, statistics are given, memory and weights       one row
        have no gaps
    a batch has up to NORMCY_SHORT_SEGMENT positions of at least            a row for each sample, and a column for
        NORMCY_SHORT_SEGMENTS samples, channels first                       each of its values

    The last one changes what is summed, and so depends on the shape alone; weights that cannot follow are written out.
"""
from normcy._engine.kernels cimport normcy_operand

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
    ptrdiff_t repeats       # so many neighbouring columns share all coefficients
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

cdef void init_plan(Plan *p, Method method, const Dims *d) noexcept nogil
cdef Operand make_operand(Strides v, const Plan *p) noexcept nogil
cdef bint turns(const Plan *p) noexcept nogil
cdef bint can_turn(const Plan *p, const Strides *weight, const Strides *bias) noexcept nogil
cdef void fit_plan(Plan *p, bint fixed, Strides *weight, Strides *bias) noexcept nogil


cdef inline ptrdiff_t row_at(const Plan *p, ptrdiff_t r) noexcept nogil:
    """Where row r of the panel (of all samples, of one segment) starts."""
    return r * p.pitch if p.even else r // p.period * p.sample + r % p.period * p.pitch


cdef inline normcy_operand operand_at(const Operand *o, const Plan *p, ptrdiff_t seg, ptrdiff_t r,
                                      ptrdiff_t col) noexcept nogil:
    """The operand as the panel that starts at row r, column col of a segment sees it."""
    cdef normcy_operand at
    at.row, at.step = o.row, o.step
    at.p = NULL
    if o.p != NULL:
        at.p = o.p + seg * o.seg + r // p.period * o.outer + r % p.period * o.row + col * o.step
    return at


cdef inline bint goes_on(const Operand *o, const Plan *p) noexcept nogil:
    """Whether the rows of the next sample follow those of a sample at the same distance."""
    return o.p == NULL or o.outer == o.row * p.period


cdef inline ptrdiff_t panels_of(const Plan *p) noexcept nogil:
    """By column: how many panels there are."""
    return 1 if p.pooled else p.samples


cdef inline ptrdiff_t panel_rows(const Plan *p) noexcept nogil:
    """By column: how many rows a panel has."""
    return p.rows * p.samples if p.pooled else p.rows
