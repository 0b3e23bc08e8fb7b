from libc.string cimport memcpy, memmove

from normcy._engine.chunks cimport Chunks, ceil_div, fold_of, merge_chunks
from normcy._engine.coefficients cimport (
    LAST_BIAS, LAST_WEIGHT, SCRATCH_VECTORS, bias_folds, coefficients_in, elementwise_at, epilogue_at,
    fill_coefficients, is_elementwise, vectors_used,
)
from normcy._engine.job cimport SLOT_DOUBLES, Job, Slots, add_first, shifts_after, slots_in
from normcy._engine.kernels cimport (
    NORMCY_FOLDED_ROWS, NORMCY_LANES, NORMCY_NARROW_COLUMNS, normcy_coef, normcy_elementwise, normcy_epilogue,
    normcy_operand,
)
from normcy._engine.plan cimport Operand, Plan, goes_on, operand_at, panel_rows, row_at
from normcy._engine.schedule cimport FIXED, LOCAL, PHASED, Schedule
from normcy._engine.statistics cimport SlotReader, finish_statistics, total_of
from normcy._engine.tuning cimport CACHE_LINE_BYTES, MAX_PANELS_FLOATS
from normcy._engine.work cimport (
    Columns, Work, normcy_pool, normcy_pool_give_back, normcy_pool_init, normcy_pool_take,
)


cdef enum:
    PANELS_STRIDE = MAX_PANELS_FLOATS + NORMCY_LANES    # room for as many floats, and for the end of a whole vector


cdef struct Stream:         # rows without gaps, from s.at on
    const Job *job
    const Schedule *how
    ptrdiff_t at
    const normcy_coef *coef
    const normcy_elementwise *element   # which begins there too, and lies as x does; NULL: there is none


cdef inline ptrdiff_t stride_of(const Plan *p, ptrdiff_t width) noexcept nogil:
    """Room for `width` of a panel's columns, from any place in a cache line on; only whole panels are folded."""
    return (ceil_div(width * (fold_of(p.cols) if width == p.cols else 1), NORMCY_LANES) + 1) * NORMCY_LANES


cdef inline ptrdiff_t column_bytes(ptrdiff_t stride) noexcept nogil:
    return stride * ((SLOT_DOUBLES + 2) * sizeof(double) + (SCRATCH_VECTORS + 1) * sizeof(float))


cdef inline char *to_cache_line(char *memory) noexcept nogil:
    """Where the first cache line begins; a load that straddles two takes twice as long."""
    return memory + (-<Py_ssize_t>memory & (CACHE_LINE_BYTES - 1))


cdef Columns columns_in(char *memory, ptrdiff_t stride, bint shifted) noexcept nogil:
    cdef Columns w
    cdef double *d = <double *>memory
    w.stride = stride
    w.mean_b, w.m2_b = d + SLOT_DOUBLES * stride, d + (SLOT_DOUBLES + 1) * stride
    w.room = <float *>(d + (SLOT_DOUBLES + 2) * stride)
    w.stats = slots_in(d, w.room + SCRATCH_VECTORS * stride, stride, shifted)
    return w


cdef void repeat(float *v, ptrdiff_t cols, ptrdiff_t k) noexcept nogil:
    """v[:cols] k times over, in place."""
    cdef ptrdiff_t i
    for i in range(1, k):
        memcpy(v + i * cols, v, cols * sizeof(float))


cdef void folded_moments(const Job *job, const float *x, ptrdiff_t rows, ptrdiff_t k, double *mean,
                         double *m2) noexcept nogil:
    """Moments of the columns of a narrow panel, k rows at a time: every k-th row adds up, and the k sums are merged."""
    cdef double wide_mean[(NORMCY_LANES + 1) * NORMCY_NARROW_COLUMNS]
    cdef double wide_m2[(NORMCY_LANES + 1) * NORMCY_NARROW_COLUMNS]
    cdef ptrdiff_t cols = job.plan.cols, pitch = job.plan.pitch, group = job.plan.group, slots = cols // group
    cdef ptrdiff_t i, whole = rows // k, rest = rows % k
    if pitch == cols:       # side by side
        job.k.moments_cols(x, whole, cols * k, cols * k, group, job.about, wide_mean, wide_m2)
    else:
        for i in range(k):      # each writes whole vectors, of which the next one overwrites what is too much
            job.k.moments_cols(x + i * pitch, whole, cols, k * pitch, group, job.about, wide_mean + i * slots,
                               wide_m2 + i * slots)
    memcpy(mean, wide_mean, slots * sizeof(double))
    memcpy(m2, wide_m2, slots * sizeof(double))
    for i in range(1, k):
        job.k.merge(slots, whole * i * group, mean, m2, whole * group, wide_mean + i * slots, wide_m2 + i * slots)
    if rest:
        job.k.moments_cols(x + whole * k * pitch, rest, cols, pitch, group, job.about, wide_mean, wide_m2)
        job.k.merge(slots, whole * k * group, mean, m2, rest * group, wide_mean, wide_m2)


cdef ptrdiff_t chunk_of_cols(const Job *job, const Chunks *c, ptrdiff_t panel, ptrdiff_t j, ptrdiff_t left,
                             ptrdiff_t width, double *mean, double *m2) noexcept nogil:
    """Moments of the j-th chunk of rows of a panel's columns; returns how many values of a slot it has."""
    cdef const Plan *p = &job.plan
    cdef ptrdiff_t rows = panel_rows(p), row = j * c.rows, height = min(c.rows, rows - row), k = fold_of(p.cols)
    cdef ptrdiff_t at = panel * p.sample + row * p.pitch + left
    add_first(job, at, height, width, p.pitch)
    if k > 1 and height >= NORMCY_FOLDED_ROWS * k:
        folded_moments(job, job.x + at, height, k, mean, m2)
    else:
        job.k.moments_cols(job.x + at, height, width, p.pitch, p.group, job.about, mean, m2)
    return height * p.group


cdef void slots_of_cols(const Job *job, const Chunks *c, ptrdiff_t panel, ptrdiff_t left, ptrdiff_t width,
                        Columns *w) noexcept nogil:
    cdef ptrdiff_t j, n_b, n = chunk_of_cols(job, c, panel, 0, left, width, w.stats.mean, w.stats.m2)
    for j in range(1, c.count):
        n_b = chunk_of_cols(job, c, panel, j, left, width, w.mean_b, w.m2_b)
        job.k.merge(width // job.plan.group, n, w.stats.mean, w.stats.m2, n_b, w.mean_b, w.m2_b)
        n += n_b


cdef double mean_of_col_slot(const Job *job, ptrdiff_t slot) noexcept nogil:
    """The mean of a slot that has no finite one: a plain sum is as infinite, or as NaN, as it is."""
    cdef const Plan *p = &job.plan
    cdef ptrdiff_t across = p.cols // p.group
    return total_of(job.x + slot // across * p.sample + slot % across * p.group, panel_rows(p), p.group, p.pitch)


cdef SlotReader reader
reader.exactly, reader.total = NULL, mean_of_col_slot      # moments of columns are exact


cdef void finish_columns(const Job *job, ptrdiff_t panel, ptrdiff_t left, ptrdiff_t width, Slots *s) noexcept nogil:
    """Statistics of columns whose moments are known: one for each set of coefficients."""
    cdef ptrdiff_t group = job.plan.group
    finish_statistics(job, &reader, (panel * job.plan.cols + left) // group, width // group, s)
    if group > job.plan.repeats:
        to_columns(width, group, s)


cdef void to_columns(ptrdiff_t width, ptrdiff_t group, Slots *s) noexcept nogil:
    """The statistics of groups become those of their columns, in place and so from the last one on."""
    cdef ptrdiff_t g
    for g in range(width // group - 1, -1, -1):
        repeat_double(s.mean, g, group)
        repeat_double(s.rstd, g, group)
        if s.shift_after != NULL:
            repeat_double(s.shift_after, g, group)
        if s.scaled:
            repeat_float(s.scale, g, group)


cdef inline void repeat_double(double *v, ptrdiff_t g, ptrdiff_t group) noexcept nogil:
    """v[g] becomes v[g * group:(g + 1) * group]."""
    cdef double value = v[g]
    cdef ptrdiff_t i
    for i in range(g * group, (g + 1) * group):
        v[i] = value


cdef inline void repeat_float(float *v, ptrdiff_t g, ptrdiff_t group) noexcept nogil:
    cdef float value = v[g]
    cdef ptrdiff_t i
    for i in range(g * group, (g + 1) * group):
        v[i] = value


cdef void rotate(float *v, ptrdiff_t cols, ptrdiff_t head) noexcept nogil:
    """v[head:cols] first, then v[:head]; head < NORMCY_LANES."""
    cdef float[NORMCY_LANES] first
    memcpy(first, v, head * sizeof(float))
    memmove(v, v + head, (cols - head) * sizeof(float))
    memcpy(v + cols - head, first, head * sizeof(float))


cdef inline ptrdiff_t place_in_line(const float *p) noexcept nogil:
    """How many floats p is behind the last place where vectors are aligned."""
    return <ptrdiff_t>(<size_t>p // sizeof(float)) & (NORMCY_LANES - 1)


cdef inline void move_along(normcy_operand *o, ptrdiff_t at, ptrdiff_t stride) noexcept nogil:
    """The operand, which lies as x does, from `at` floats further on, in rows of another length."""
    if o.p != NULL:
        o.p, o.row = o.p + at, stride


cdef void apply_rows_of(const Stream *s, ptrdiff_t at, ptrdiff_t rows, ptrdiff_t width,
                        ptrdiff_t stride) noexcept nogil:
    """The apply pass over a piece of the stream, which begins `at` floats after it."""
    cdef const Job *job = s.job
    cdef normcy_elementwise element
    cdef normcy_epilogue epilogue
    if s.element != NULL:       # as x lies
        element = s.element[0]
        move_along(&element.weight, at, stride)
        move_along(&element.bias, at, stride)
    at += s.at
    job.k.apply_cols(job.x + at, job.y + at, rows, width, stride, s.coef, &element if s.element != NULL else NULL,
                     epilogue_at(job, at, &epilogue), &s.how.access)


cdef void apply_stream(const Stream *s, ptrdiff_t at, ptrdiff_t rows, ptrdiff_t cols, Columns *w) noexcept nogil:
    """Rows without gaps are one stream of y, which may begin at any column if the coefficients begin there, too.

    Many rows begin where y is aligned: the floats before that and after the last whole row are done by themselves.
    """
    cdef ptrdiff_t i, head = -place_in_line(s.job.y + s.at + at) & (NORMCY_LANES - 1)
    if head and cols % NORMCY_LANES == 0 and rows >= s.how.turned_rows:
        apply_rows_of(s, at, 1, head, cols)
        for i in range(vectors_used(s.coef)):
            rotate(w.room + i * w.stride, cols, head)
        at, rows = at + head, rows - 1
        apply_rows_of(s, at + rows * cols, 1, cols - head, cols)
    apply_rows_of(s, at, rows, cols, cols)


cdef void apply_folded(const Stream *s, ptrdiff_t rows, ptrdiff_t cols, Columns *w) noexcept nogil:
    """Rows without gaps, of narrow panels several side by side.

    The rows that are left over come first, as they need the coefficients of one row, which are then repeated in place.
    """
    cdef ptrdiff_t i, folded = fold_of(cols), whole = rows // folded
    apply_stream(s, whole * folded * cols, rows % folded, cols, w)
    for i in range(vectors_used(s.coef) if folded > 1 else 0):
        repeat(w.room + i * w.stride, cols, folded)
    apply_stream(s, 0, whole, cols * folded, w)


cdef inline bint in_one_call(const Operand *o, const Plan *p) noexcept nogil:
    """Whether rows of all samples can take the operand: it goes on, or is in coefficients that all share."""
    return o.outer == 0 if o.folds else goes_on(o, p)


cdef inline bint lies_as_x(const Operand *o, const Plan *p) noexcept nogil:
    return o.p == NULL or (o.row == p.pitch and o.step == 1)


cdef void repeat_each(const Job *job, ptrdiff_t width, float *room, ptrdiff_t stride,
                      const normcy_coef *coef) noexcept nogil:
    """The coefficients of channels become those of their columns, in place and so from the last one on."""
    cdef ptrdiff_t g, v, k = job.plan.repeats
    for v in range(SCRATCH_VECTORS if job.extreme else vectors_used(coef)):
        for g in range(width // k - 1, -1, -1):
            repeat_float(room + v * stride, g, k)


cdef void apply_cols(const Job *job, const Schedule *how, Columns *w, ptrdiff_t begin, ptrdiff_t end, ptrdiff_t left,
                     ptrdiff_t width) noexcept nogil:
    """The apply pass over rows begin:end of the whole array, at columns left:left + width."""
    cdef const Plan *p = &job.plan
    cdef normcy_coef coef
    cdef normcy_elementwise element
    cdef normcy_epilogue epilogue
    cdef normcy_operand weight, bias, gate
    cdef float *room = w.room
    cdef ptrdiff_t n, at, r = begin
    cdef bint elementwise = is_elementwise(job), all_rows = in_one_call(&job.weight, p) and in_one_call(&job.bias, p)
    cdef bint stream = width == p.pitch and (not elementwise or not job.extreme and lies_as_x(&job.weight, p) and
                                             lies_as_x(&job.bias, p))
    cdef Stream s = Stream(job, how, 0, &coef, NULL)
    while r < end:
        n = end - r if all_rows else min(end - r, p.period - r % p.period)
        at = row_at(p, r) + left
        if not stream:      # y and the coefficients are in the same place of a cache line: both are read in whole lines
            room = w.room + place_in_line(job.y + at)
        weight = operand_at(&job.weight, p, 0, r, left // p.repeats if job.weight.folds else left)
        bias = operand_at(&job.bias, p, 0, r, left // p.repeats if job.bias.folds else left)
        gate = operand_at(&job.gate, p, 0, r, left)
        fill_coefficients(job, width // p.repeats, &w.stats, &weight, &bias, &gate, left, &coef, room, w.stride)
        if p.repeats > 1:
            repeat_each(job, width, room, w.stride, &coef)
        if elementwise:
            element = elementwise_at(job, &weight, &bias, room, w.stride)
            s.element = &element
        if job.fixed_mean != NULL:
            add_first(job, at, n, width, p.pitch)
        if stream:
            s.at = at
            apply_folded(&s, n, width, w)
        else:
            job.k.apply_cols(job.x + at, job.y + at, n, width, p.pitch, &coef, &element if elementwise else NULL,
                             epilogue_at(job, at, &epilogue), &how.access)
        r += n


cdef void task_of_cols(const Job *job, const Schedule *how, ptrdiff_t panel, ptrdiff_t left, ptrdiff_t width,
                       char *memory, ptrdiff_t stride) noexcept nogil:
    """Both passes over some columns of a panel."""
    cdef Columns w = columns_in(memory, stride, shifts_after(job))
    cdef ptrdiff_t rows = panel_rows(&job.plan)
    slots_of_cols(job, &how.chunks, panel, left, width, &w)
    finish_columns(job, panel, left, width, &w.stats)
    if job.y != NULL:
        apply_cols(job, how, &w, panel * rows, (panel + 1) * rows, left, width)


cdef const float *for_panels(const Operand *o, ptrdiff_t first, ptrdiff_t panels, ptrdiff_t cols,
                             float *room) noexcept nogil:
    """Values that fold, for the columns of several panels; the same for all, or others for each."""
    cdef ptrdiff_t i
    if o.p == NULL or not o.folds or o.outer == cols:
        return o.p + first * o.outer if o.p != NULL else NULL
    for i in range(panels):
        memcpy(room + i * cols, o.p, cols * sizeof(float))
    return room


cdef void to_rows(const Plan *p, ptrdiff_t panels, const float *v, float *wide) noexcept nogil:
    """Values for the columns of several panels become values for all floats of these.

    Whole vectors are copied, of which the next ones overwrite what is too much.
    """
    cdef ptrdiff_t j, cols = p.cols
    cdef ptrdiff_t _panel, _row
    for _panel in range(panels):
        for _row in range(p.rows):
            for j in range(ceil_div(cols, NORMCY_LANES)):
                memcpy(wide + j * NORMCY_LANES, v + j * NORMCY_LANES, NORMCY_LANES * sizeof(float))
            wide += cols
        v += cols


cdef normcy_operand of_panels(const Operand *o, const Plan *p, ptrdiff_t first, ptrdiff_t panels,
                              float *wide) noexcept nogil:
    """A weight or bias that does not fold, for the floats of several panels."""
    cdef ptrdiff_t i, r, j
    cdef const float *v
    if o.p == NULL:
        return normcy_operand(NULL, 0, 0)
    if lies_as_x(o, p) and goes_on(o, p):
        return normcy_operand(o.p + first * o.outer, 0, 1)
    for i in range(first, first + panels):
        for r in range(p.rows):
            v = o.p + i * o.outer + r * o.row
            for j in range(p.cols):
                wide[j] = v[j * o.step]
            wide += p.cols
    return normcy_operand(wide - panels * p.rows * p.cols, 0, 1)


cdef void apply_panels(const Job *job, const Schedule *how, Columns *w, ptrdiff_t first,
                       ptrdiff_t panels) noexcept nogil:
    """The apply pass over several small panels as one row, with coefficients for each float."""
    cdef const Plan *p = &job.plan
    cdef float wide[SCRATCH_VECTORS * PANELS_STRIDE]
    cdef ptrdiff_t v, count = panels * p.cols, n = count * p.rows, at = first * p.sample
    cdef normcy_operand weight, bias, gate
    cdef normcy_coef coef
    cdef normcy_elementwise element
    cdef normcy_epilogue epilogue
    weight.p = for_panels(&job.weight, first, panels, p.cols, wide)
    bias.p = for_panels(&job.bias, first, panels, p.cols, wide + PANELS_STRIDE)
    gate.p = for_panels(&job.gate, first, panels, p.cols, wide + 2 * PANELS_STRIDE)
    fill_coefficients(job, count, &w.stats, &weight, &bias, &gate, 0, &coef, w.room, w.stride)
    for v in range(SCRATCH_VECTORS if job.extreme else vectors_used(&coef)):
        to_rows(p, panels, w.room + v * w.stride, wide + v * PANELS_STRIDE)
    coef = coefficients_in(wide, PANELS_STRIDE, job.op, coef.scale != NULL)
    if is_elementwise(job):
        element = elementwise_at(job, &weight, &bias, wide, PANELS_STRIDE)
        if not job.weight.folds:
            element.weight = of_panels(&job.weight, p, first, panels, wide + LAST_WEIGHT * PANELS_STRIDE)
        if not bias_folds(job):
            element.bias = of_panels(&job.bias, p, first, panels, wide + LAST_BIAS * PANELS_STRIDE)
    job.k.apply_cols(job.x + at, job.y + at, 1, n, n, &coef, &element if is_elementwise(job) else NULL,
                     epilogue_at(job, at, &epilogue), &how.access)


cdef void task_of_panels(const Job *job, const Schedule *how, ptrdiff_t first, ptrdiff_t panels, char *memory,
                         ptrdiff_t stride) noexcept nogil:
    """Both passes over several small panels. Their statistics follow each other, as those of one panel's columns do."""
    cdef const Plan *p = &job.plan
    cdef Columns w = columns_in(memory, stride, shifts_after(job))
    cdef ptrdiff_t i, slots = p.cols // p.group
    for i in range(panels):
        chunk_of_cols(job, &how.chunks, first + i, 0, 0, p.cols, w.stats.mean + i * slots, w.stats.m2 + i * slots)
    finish_columns(job, first, 0, panels * p.cols, &w.stats)
    if job.y != NULL:
        apply_panels(job, how, &w, first, panels)


cdef void cols_task(const Work *w, ptrdiff_t part) noexcept nogil:
    """Tiles side by side share a cache line of y in every row: they follow each other, so that one thread has both."""
    cdef ptrdiff_t cols = w.job.plan.cols, tile = w.schedule.tile_cols, across = ceil_div(cols, tile)
    cdef ptrdiff_t left = part % across * tile, panels = w.schedule.part_panels
    cdef int area = normcy_pool_take(w.pool)
    cdef char *memory = w.areas + area * w.area_bytes
    if panels > 1:
        task_of_panels(w.job, &w.schedule, part * panels, min(panels, w.job.plan.samples - part * panels), memory,
                       w.stride)
    else:
        task_of_cols(w.job, &w.schedule, part // across, left, min(tile, cols - left), memory, w.stride)
    normcy_pool_give_back(w.pool, area)


cdef void cols_measure(const Work *w, ptrdiff_t panel, ptrdiff_t chunk) noexcept nogil:
    w.values[chunk] = chunk_of_cols(w.job, &w.schedule.chunks, panel, chunk, 0, w.job.plan.cols,
                                    w.mean + chunk * w.stride, w.m2 + chunk * w.stride)


cdef void cols_combine(Work *w, ptrdiff_t panel) noexcept nogil:
    cdef Slots *s = &w.columns.stats
    cdef ptrdiff_t cols = w.job.plan.cols
    merge_chunks(w.job.k, cols // w.job.plan.group, w.schedule.chunks.count, w.stride, w.values, w.mean, w.m2)
    memcpy(s.mean, w.mean, cols * sizeof(double))
    memcpy(s.m2, w.m2, cols * sizeof(double))
    finish_columns(w.job, panel, 0, cols, s)


cdef void cols_apply(const Work *w, ptrdiff_t panel, ptrdiff_t part) noexcept nogil:
    """A strip of a panel's rows."""
    cdef Columns c = w.columns
    cdef ptrdiff_t cols = w.job.plan.cols, rows = w.schedule.unit_rows, strip = w.schedule.strips.rows
    cdef ptrdiff_t begin = part * strip, end = min(begin + strip, rows), tile = w.schedule.tile_cols, left = 0
    cdef int area = normcy_pool_take(w.pool)
    c.room = <float *>(w.areas + area * w.area_bytes)
    if w.schedule.mode == FIXED:
        c.stats.mean = <double *>w.job.fixed_mean + panel * cols
        c.stats.rstd = <double *>w.job.fixed_rstd + panel * cols
    while left < cols:
        apply_cols(w.job, &w.schedule, &c, panel * rows + begin, panel * rows + end, left, min(tile, cols - left))
        left += tile
        c.stats.mean += tile
        c.stats.rstd += tile
    normcy_pool_give_back(w.pool, area)


cdef void cols_lay_out(Work *w, char *scratch) noexcept nogil:
    """The pool and its areas, then what the columns of a panel need, and the moments of its chunks."""
    cdef int threads = w.schedule.threads
    w.pool = <normcy_pool *>scratch
    normcy_pool_init(w.pool, threads)
    w.areas = to_cache_line(scratch + sizeof(normcy_pool))
    scratch = w.areas + threads * w.area_bytes
    if w.schedule.mode == LOCAL:
        return
    w.columns = columns_in(scratch, w.stride, w.schedule.mode == PHASED and shifts_after(w.job))
    w.mean = <double *>(scratch + column_bytes(w.stride))
    w.m2 = w.mean + w.stride * w.schedule.chunks.count
    w.values = w.m2 + w.stride * w.schedule.chunks.count


cdef void work_on_cols(Work *w) noexcept nogil:
    """What parts of such slots are, and the scratch that they need."""
    cdef const Plan *p = &w.job.plan
    cdef bint local = w.schedule.mode == LOCAL
    w.task, w.measure, w.combine, w.apply, w.lay_out = cols_task, cols_measure, cols_combine, cols_apply, cols_lay_out
    w.stride = stride_of(p, w.schedule.tile_cols)
    if local and w.schedule.part_panels > 1:
        w.stride = (ceil_div(w.schedule.part_panels * p.cols, NORMCY_LANES) + 1) * NORMCY_LANES
    w.area_bytes = column_bytes(w.stride) if local else SCRATCH_VECTORS * w.stride * sizeof(float)
    w.scratch_bytes = sizeof(normcy_pool) + CACHE_LINE_BYTES + w.schedule.threads * w.area_bytes
    if not local:
        w.scratch_bytes += column_bytes(w.stride)
    if w.schedule.mode == PHASED:
        w.scratch_bytes += (2 * w.stride + 1) * w.schedule.chunks.count * sizeof(double)
