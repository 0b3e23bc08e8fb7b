from normcy._engine.chunks cimport Chunks, merge_chunks
from normcy._engine.coefficients cimport (
    SCRATCH_VECTORS, elementwise_at, epilogue_at, fill_coefficients, is_elementwise, rows_in_one_call,
)
from normcy._engine.job cimport SLOT_DOUBLES, Job, Slots, add_first, shifts_after, slots_in, x_at
from normcy._engine.kernels cimport NORMCY_MAX_SLOTS, normcy_coef, normcy_elementwise, normcy_epilogue, normcy_operand
from normcy._engine.plan cimport Plan, operand_at, row_at
from normcy._engine.schedule cimport FIXED, PHASED, Schedule, chunks_of_slot
from normcy._engine.statistics cimport SlotReader, finish_statistics, total_of
from normcy._engine.tuning cimport MAX_TILE_FLOATS
from normcy._engine.work cimport Work

cdef enum:
    POINTS_AT_ONCE = 256        # rows of one float whose coefficients are made by one call, on the stack


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
    cdef bint elementwise = is_elementwise(job)
    cdef ptrdiff_t n, at, r = begin, most = POINTS_AT_ONCE if how.points else NORMCY_MAX_SLOTS
    cdef Slots of_rows = slots_in(doubles, scale, most, s.shift_after != NULL)
    cdef normcy_coef coef
    cdef normcy_elementwise element
    cdef normcy_epilogue epilogue
    cdef normcy_operand weight, bias, gate
    while r < end:
        n = min(most, rows_in_one_call(job, r, end))
        slots_of_run(s, p, first, r, n, &of_rows)
        weight = operand_at(&job.weight, p, seg, r, left)
        bias = operand_at(&job.bias, p, seg, r, left)
        gate = operand_at(&job.gate, p, seg, r, 0)
        fill_coefficients(job, n, &of_rows, &weight, &bias, &gate, r % p.period, &coef, room, most)
        if elementwise:
            element = elementwise_at(job, seg, r, left, room, most)
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
