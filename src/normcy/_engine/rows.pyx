from libc.string cimport memcpy

from normcy._engine.chunks cimport Chunks, merge_chunks
from normcy._engine.coefficients cimport (
    SCRATCH_VECTORS, elementwise_at, epilogue_at, fill_coefficients, is_elementwise,
)
from normcy._engine.job cimport SLOT_DOUBLES, Job, Slots, add_first, shifts_after, slots_in, x_at
from normcy._engine.kernels cimport NORMCY_MAX_SLOTS, normcy_coef, normcy_elementwise, normcy_epilogue, normcy_operand
from normcy._engine.plan cimport Operand, Plan, goes_on, operand_at, row_at
from normcy._engine.schedule cimport FIXED, PHASED, Schedule, chunks_of_slot
from normcy._engine.statistics cimport SlotReader, finish_statistics, total_of
from normcy._engine.tuning cimport MAX_TILE_FLOATS
from normcy._engine.work cimport Work

cdef enum:
    POINTS_AT_ONCE = 256        # rows of one float whose coefficients are made by one call, on the stack
    REPEATED_FLOATS = 512       # of a weight or bias for few values a sample, on the stack


cdef double chunk_of_rows(const Job *job, const Chunks *c, ptrdiff_t slot, ptrdiff_t n, ptrdiff_t j, bint again,
                          double *mean, double *m2) noexcept nogil:
    """Moments of the j-th chunk of n slots whose rows follow each other evenly; returns how many values it has."""
    cdef const Plan *p = &job.plan
    cdef ptrdiff_t seg = j // c.across, col = j % c.across * c.cols, width = min(c.cols, p.planes * p.length - col)
    cdef ptrdiff_t at = row_at(p, slot * p.planes) + seg * p.seg_stride + col, stride = p.planes * p.pitch
    if not again:
        add_first(job, at, n, width, stride)
    job.k.moments_rows(x_at(job, at), n, stride, width, job.about, job.exact or again, mean, m2)
    return width


cdef void moments_of_rows(const Job *job, const Chunks *c, ptrdiff_t slot, ptrdiff_t n, bint again,
                          double *mean, double *m2) noexcept nogil:
    """Moments of at most NORMCY_MAX_SLOTS slots: the same chunk of all, which is one piece of memory, then the next.

    `again`: exactly, of slots that are out of float32's range."""
    cdef double mean_b[NORMCY_MAX_SLOTS]
    cdef double m2_b[NORMCY_MAX_SLOTS]
    cdef double more, values = chunk_of_rows(job, c, slot, n, 0, again, mean, m2)
    cdef ptrdiff_t j
    for j in range(1, c.count):
        more = chunk_of_rows(job, c, slot, n, j, again, mean_b, m2_b)
        job.k.merge(n, values, mean, m2, more, mean_b, m2_b)
        values += more


cdef double mean_of_row_slot(const Job *job, ptrdiff_t slot) noexcept nogil:
    """The mean of a slot that has no finite one: a plain sum is as infinite, or as NaN, as it is."""
    cdef const Plan *p = &job.plan
    cdef ptrdiff_t seg, row
    cdef double total = 0
    for seg in range(p.segs):
        for row in range(slot * p.planes, (slot + 1) * p.planes):
            total += total_of(x_at(job, seg * p.seg_stride + row_at(p, row)), 1, p.length, 1)
    return total


cdef void measure_exactly(const Job *job, ptrdiff_t slot, double *mean, double *m2) noexcept nogil:
    cdef Chunks c = chunks_of_slot(&job.plan)
    moments_of_rows(job, &c, slot, 1, True, mean, m2)


cdef SlotReader reader
reader.exactly, reader.total = measure_exactly, mean_of_row_slot


cdef void slots_of_run(const Slots *s, const Plan *p, ptrdiff_t first, ptrdiff_t r, ptrdiff_t n,
                       Slots *of_rows) noexcept nogil:
    """The statistics that rows r:r + n go by."""
    cdef ptrdiff_t i, left, k = r - first
    of_rows.scaled = s.scaled
    if p.planes == 1:       # a slot a row: no need to copy
        of_rows.mean, of_rows.rstd, of_rows.scale = s.mean + k, s.rstd + k, s.scale + k
        of_rows.shift_after = s.shift_after + k if s.shift_after != NULL else NULL
        return
    k, left = r // p.planes - first, p.planes - r % p.planes      # rows left of the first slot
    for i in range(n):
        of_rows.mean[i], of_rows.rstd[i] = s.mean[k], s.rstd[k]
        if s.scaled:
            of_rows.scale[i] = s.scale[k]
        if s.shift_after != NULL:
            of_rows.shift_after[i] = s.shift_after[k]
        left -= 1
        if not left:
            k, left = k + 1, p.planes


cdef struct Repeated:       # weights and biases that are the same for each sample, for the rows of several of them
    ptrdiff_t rows          # how many, from a sample's first on; 0: they are taken one sample after the other
    float weight[REPEATED_FLOATS]
    float bias[REPEATED_FLOATS]


cdef inline ptrdiff_t width_of(const Operand *o, const Plan *p) noexcept nogil:
    """How many values a row has."""
    return 1 if o.folds else p.length


cdef inline bint can_repeat(const Operand *o, const Plan *p) noexcept nogil:
    return goes_on(o, p) or o.outer == 0 and o.row == width_of(o, p) and (
        o.folds or o.step == 1) and 2 * p.period * o.row <= REPEATED_FLOATS


cdef ptrdiff_t repeat(const Operand *o, const Plan *p, ptrdiff_t rows, float *room) noexcept nogil:
    """Write an operand's values for up to that many rows, a sample's values again and again; returns for how many."""
    cdef ptrdiff_t done = p.period * o.row, n = min(rows, REPEATED_FLOATS // max(<ptrdiff_t>1, o.row)), more
    if goes_on(o, p):
        return rows
    memcpy(room, o.p, done * sizeof(float))
    while done < n * o.row:
        more = min(done, n * o.row - done)
        memcpy(room + done, room, more * sizeof(float))
        done += more
    return n


cdef void repeat_operands(const Job *job, ptrdiff_t begin, ptrdiff_t end, Repeated *to) noexcept nogil:
    """Repeat what rows of several samples need, if they follow each other and there are more than one sample has."""
    cdef const Plan *p = &job.plan
    cdef ptrdiff_t rows = end - begin + begin % p.period
    to.rows = 0
    if rows <= p.period or not p.even or job.batch_std != NULL or not goes_on(&job.gate, p):
        return
    if can_repeat(&job.weight, p) and can_repeat(&job.bias, p):
        to.rows = min(repeat(&job.weight, p, rows, to.weight), repeat(&job.bias, p, rows, to.bias))


cdef inline normcy_operand operand_of_rows(const Operand *o, const Plan *p, ptrdiff_t seg, ptrdiff_t r, ptrdiff_t left,
                                           const float *repeated) noexcept nogil:
    """The operand as the panel that starts at row r, column `left` of a segment sees it; NULL: it is not repeated."""
    cdef normcy_operand at = operand_at(o, p, seg, r, left)
    if repeated != NULL and not goes_on(o, p):
        at.p = repeated + r % p.period * o.row + left * o.step
    return at


cdef inline normcy_operand turned(normcy_operand o) noexcept nogil:
    """The operand of rows of one float each, with one value for each or for all, as one row of as many columns."""
    o.step, o.row = <int>o.row, 0
    return o


cdef void apply_rows(const Job *job, const Schedule *how, const Slots *s, ptrdiff_t first, ptrdiff_t seg,
                     ptrdiff_t begin, ptrdiff_t end, ptrdiff_t left, ptrdiff_t right) noexcept nogil:
    """The apply pass over rows begin:end and columns left:right of a segment; s holds slots from `first` on.

    Rows of one float each, as (N, C) arrays have, are one row of as many columns.
    """
    cdef const Plan *p = &job.plan
    cdef double doubles[SLOT_DOUBLES * POINTS_AT_ONCE]
    cdef float scale[POINTS_AT_ONCE]
    cdef float room[SCRATCH_VECTORS * POINTS_AT_ONCE]
    cdef Repeated repeated
    cdef bint elementwise = is_elementwise(job)
    cdef ptrdiff_t n, at, rows, r = begin, most = POINTS_AT_ONCE if how.points else NORMCY_MAX_SLOTS
    cdef Slots of_rows = slots_in(doubles, scale, most, s.shift_after != NULL)
    cdef normcy_coef coef
    cdef normcy_elementwise element
    cdef normcy_epilogue epilogue
    cdef normcy_operand weight, bias, gate
    repeat_operands(job, begin, end, &repeated)
    rows = repeated.rows or p.period
    while r < end:
        n = min(most, min(end - r, rows - r % p.period))
        slots_of_run(s, p, first, r, n, &of_rows)
        weight = operand_of_rows(&job.weight, p, seg, r, left, repeated.weight if repeated.rows else NULL)
        bias = operand_of_rows(&job.bias, p, seg, r, left, repeated.bias if repeated.rows else NULL)
        gate = operand_at(&job.gate, p, seg, r, 0)
        fill_coefficients(job, n, &of_rows, &weight, &bias, &gate, r % p.period, &coef, room, most)
        if elementwise:
            element = elementwise_at(job, &weight, &bias, room, most)
        at = seg * p.seg_stride + row_at(p, r) + left
        if job.fixed_mean != NULL:
            add_first(job, at, n, right - left, p.pitch)
        if how.points:
            if elementwise:
                element.weight, element.bias = turned(element.weight), turned(element.bias)
            job.k.apply_cols(x_at(job, at), job.y + at, 1, n, n, &coef, &element if elementwise else NULL,
                             epilogue_at(job, at, &epilogue), &how.access)
        else:
            job.k.apply_rows(x_at(job, at), job.y + at, n, right - left, p.pitch, &coef,
                             &element if elementwise else NULL, epilogue_at(job, at, &epilogue), &how.access)
        r += n


cdef void task_of_rows(const Job *job, const Schedule *how, ptrdiff_t begin, ptrdiff_t end) noexcept nogil:
    """Both passes over slots begin:end, in tiles that stay in cache."""
    cdef const Plan *p = &job.plan
    cdef double doubles[SLOT_DOUBLES * NORMCY_MAX_SLOTS]
    cdef float scale[NORMCY_MAX_SLOTS]
    cdef float sum_tile[2 * MAX_TILE_FLOATS]
    cdef Slots s = slots_in(doubles, scale, NORMCY_MAX_SLOTS, shifts_after(job))
    cdef Job local = job[0]
    cdef ptrdiff_t n, seg, tile = how.tile_slots, slot = begin, sample = p.period // p.planes
    while slot < end:
        n = min(tile, end - slot if p.even else min(end - slot, sample - slot % sample))
        if how.sum_in_l1:
            local.x, local.x_from = sum_tile, row_at(p, slot * p.planes)
        moments_of_rows(&local, &how.chunks, slot, n, False, s.mean, s.m2)
        finish_statistics(&local, &reader, slot, n, &s)
        if job.y != NULL:
            for seg in range(p.segs):
                apply_rows(&local, how, &s, slot, seg, slot * p.planes, (slot + n) * p.planes, 0, p.length)
        slot += n


cdef void rows_task(const Work *w, ptrdiff_t part) noexcept nogil:
    cdef const Schedule *how = &w.schedule
    task_of_rows(w.job, how, part * how.part_slots, min((part + 1) * how.part_slots, w.job.plan.slots))


cdef void rows_measure(const Work *w, ptrdiff_t slot, ptrdiff_t chunk) noexcept nogil:
    w.values[chunk] = chunk_of_rows(w.job, &w.schedule.chunks, slot, 1, chunk, False, w.mean + chunk, w.m2 + chunk)


cdef void rows_combine(Work *w, ptrdiff_t slot) noexcept nogil:
    merge_chunks(w.job.k, 1, w.schedule.chunks.count, 1, w.values, w.mean, w.m2)
    finish_statistics(w.job, &reader, slot, 1, &w.stats)


cdef void rows_apply(const Work *w, ptrdiff_t unit, ptrdiff_t part) noexcept nogil:
    """A strip of a unit's rows, over all segments."""
    cdef const Plan *p = &w.job.plan
    cdef const Chunks *c = &w.schedule.strips
    cdef ptrdiff_t rows = w.schedule.unit_rows, begin = unit * rows, n
    cdef ptrdiff_t row = part // c.across * c.rows, left = part % c.across * c.cols
    cdef ptrdiff_t last = min(row + c.rows, rows * p.segs), right = min(left + c.cols, p.length)
    while row < last:
        n = min(last - row, rows - row % rows)
        apply_rows(w.job, &w.schedule, &w.stats, unit, row // rows, begin + row % rows, begin + row % rows + n, left,
                   right)
        row += n


cdef void rows_lay_out(Work *w, char *scratch) noexcept nogil:
    w.mean = <double *>scratch
    w.m2, w.values = w.mean + w.schedule.chunks.count, w.mean + 2 * w.schedule.chunks.count
    w.stats.mean, w.stats.m2, w.stats.rstd, w.stats.scale = w.mean, w.m2, &w.rstd, &w.scale
    w.stats.shift_after = &w.shift_after if shifts_after(w.job) else NULL


cdef void work_on_rows(Work *w) noexcept nogil:
    """What parts of such slots are, and the scratch that they need."""
    w.task, w.measure, w.combine, w.apply, w.lay_out = rows_task, rows_measure, rows_combine, rows_apply, rows_lay_out
    if w.schedule.mode == FIXED:
        w.stats.mean, w.stats.rstd = <double *>w.job.fixed_mean, <double *>w.job.fixed_rstd
    elif w.schedule.mode == PHASED:
        w.scratch_bytes = 3 * w.schedule.chunks.count * sizeof(double)
