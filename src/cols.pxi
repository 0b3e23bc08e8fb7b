# Slots along columns: panels of rows x cols, one a sample or, pooled, one for all; see panels.pxi.
#
# Narrow panels (RGB pictures, a few positions) would leave most of a vector idle. Rows follow each other in memory, so
# k of them side by side are one row of k * cols virtual columns, which fill whole vectors; moments of the k copies of
# a column are merged. k depends on cols alone.

cdef enum:
    NARROW = 64             # columns below which rows are folded
    TURNED = 32             # rows from which it pays to begin them where y is aligned
    FIXED_ROWS = 256        # rows that coefficients of given statistics are made for; they take as long as some rows
    LINE = 64               # bytes

cdef struct Columns:        # scratch for the columns of one panel
    Slots stats
    double *mean_b          # moments of the next chunk
    double *m2_b
    float *room             # coefficients: ROOM * stride
    ptrdiff_t stride        # virtual columns rounded up to whole vectors


cdef inline ptrdiff_t fold_of(ptrdiff_t cols) noexcept nogil:
    """How many rows lie side by side: the least that fill whole vectors."""
    cdef ptrdiff_t k = 1
    if cols < NARROW:
        while cols * k % NORMCY_LANES:
            k *= 2
    return k


cdef inline ptrdiff_t stride_of(const Plan *p, ptrdiff_t width) noexcept nogil:
    """Room for `width` of a panel's columns, from any place in a cache line on; only whole panels are folded."""
    return (ceil_div(width * (fold_of(p.cols) if width == p.cols else 1), NORMCY_LANES) + 1) * NORMCY_LANES


cdef inline ptrdiff_t column_bytes(ptrdiff_t stride) noexcept nogil:
    return stride * ((SLOT_DOUBLES + 2) * sizeof(double) + (ROOM + 1) * sizeof(float))


cdef inline char *lined_up(char *memory) noexcept nogil:
    """Where the first cache line begins; a load that straddles two takes twice as long."""
    return memory + (-<Py_ssize_t>memory & (LINE - 1))


cdef Columns columns_in(char *memory, ptrdiff_t stride, bint lifted) noexcept nogil:
    cdef Columns w
    cdef double *d = <double *>memory
    w.stride = stride
    w.mean_b, w.m2_b = d + SLOT_DOUBLES * stride, d + (SLOT_DOUBLES + 1) * stride
    w.room = <float *>(d + (SLOT_DOUBLES + 2) * stride)
    w.stats = slots_in(d, w.room + ROOM * stride, stride, lifted)
    return w


cdef void repeat(float *v, ptrdiff_t cols, ptrdiff_t k) noexcept nogil:
    """v[:cols] k times over, in place."""
    cdef ptrdiff_t i
    for i in range(1, k):
        memcpy(v + i * cols, v, cols * sizeof(float))


cdef void folded_moments(const Job *job, const float *x, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t k,
                         double *mean, double *m2) noexcept nogil:
    """Moments of the columns of rows that follow each other, k of them at a time."""
    cdef double wide_mean[NORMCY_LANES * NARROW]
    cdef double wide_m2[NORMCY_LANES * NARROW]
    cdef ptrdiff_t i, whole = rows // k, rest = rows % k
    job.k.moments_cols(x, whole, cols * k, cols * k, job.about, wide_mean, wide_m2)
    memcpy(mean, wide_mean, cols * sizeof(double))
    memcpy(m2, wide_m2, cols * sizeof(double))
    for i in range(1, k):
        job.k.merge(cols, whole * i, mean, m2, whole, wide_mean + i * cols, wide_m2 + i * cols)
    if rest:
        job.k.moments_cols(x + whole * k * cols, rest, cols, cols, job.about, wide_mean, wide_m2)
        job.k.merge(cols, whole * k, mean, m2, rest, wide_mean, wide_m2)


cdef inline ptrdiff_t panel_rows(const Plan *p) noexcept nogil:
    return p.rows * p.samples if p.pooled else p.rows


cdef ptrdiff_t chunk_of_cols(const Job *job, const Chunks *c, ptrdiff_t panel, ptrdiff_t j, ptrdiff_t left,
                             ptrdiff_t width, double *mean, double *m2) noexcept nogil:
    """Moments of the j-th chunk of rows of a panel's columns; returns its number of rows."""
    cdef const Plan *p = &job.plan
    cdef ptrdiff_t rows = panel_rows(p), row = j * c.rows, height = min(c.rows, rows - row), k = fold_of(p.cols)
    cdef ptrdiff_t at = panel * p.sample + row * p.pitch + left
    add_first(job, at, height, width, p.pitch)
    if k > 1 and height >= k:
        folded_moments(job, job.x + at, height, p.cols, k, mean, m2)
    else:
        job.k.moments_cols(job.x + at, height, width, p.pitch, job.about, mean, m2)
    return height


cdef void slots_of_cols(const Job *job, const Chunks *c, ptrdiff_t panel, ptrdiff_t left, ptrdiff_t width,
                        Columns *w) noexcept nogil:
    cdef ptrdiff_t j, n_b, n = chunk_of_cols(job, c, panel, 0, left, width, w.stats.mean, w.stats.m2)
    for j in range(1, c.count):
        n_b = chunk_of_cols(job, c, panel, j, left, width, w.mean_b, w.m2_b)
        job.k.merge(width, n, w.stats.mean, w.stats.m2, n_b, w.mean_b, w.m2_b)
        n += n_b


cdef void merge_groups(const Job *job, ptrdiff_t width, Slots *s) noexcept nogil:
    """Columns of a group take on the moments of the group: sums about the mean of its first column, which just add up.

    Merged one after the other they would round a mean that is large beside its deviations once for each.
    """
    cdef ptrdiff_t j, i, group = job.plan.group
    cdef double rows = panel_rows(&job.plan), k, d, off, squares, m2
    for j in range(width // group):
        k = s.mean[j * group]
        off = squares = m2 = 0
        for i in range(j * group, (j + 1) * group):
            d = s.mean[i] - k
            off += d
            squares += d * d
            m2 += s.m2[i]
        m2 += rows * (squares - off * (off / group))
        for i in range(j * group, (j + 1) * group):
            s.mean[i], s.m2[i] = k + off / group, m2 if not m2 < 0 else 0


cdef double mean_of_col_slot(const Job *job, ptrdiff_t panel, ptrdiff_t left) noexcept nogil:
    """The mean of a slot, from column `left` on, that is known not to have a finite one."""
    cdef const Plan *p = &job.plan
    return total_of(job.x + panel * p.sample + left, panel_rows(p), p.group, p.pitch)


cdef void rstd_of_cols(const Job *job, ptrdiff_t panel, ptrdiff_t left, ptrdiff_t width,
                         Columns *w) noexcept nogil:
    """1 / std of columns whose moments are known, and what x is to be scaled by where they leave float32's range."""
    cdef Slots *s = &w.stats
    cdef ptrdiff_t i, j, slot
    if job.plan.group > 1:
        merge_groups(job, width, s)
    s.scaled = False
    if job.k.rstd(width, s.mean, s.m2, &job.how, s.rstd):
        for i in range(width):
            s.scale[i] = 1
            if job.k.rstd(1, s.mean + i, s.m2 + i, &job.how, s.rstd + i):
                s.scale[i] = rescue_scale(s.mean[i], s.m2[i], job.how.count)
                s.scaled = s.scaled or s.scale[i] != 1
    if job.mean != NULL:
        slot = (panel * job.plan.cols + left) // job.plan.group
        for j in range(width // job.plan.group):
            i = j * job.plan.group
            if not fabs(s.mean[i]) < HUGE_VAL:
                s.mean[i] = mean_of_col_slot(job, panel, left + i)
            job.mean[slot + j], job.m2[slot + j], job.rstd[slot + j] = s.mean[i], s.m2[i], s.rstd[i]
    adjust(&job.target, panel * job.plan.cols + left, width, job.plan.count, s)


cdef void rotate(float *v, ptrdiff_t cols, ptrdiff_t head) noexcept nogil:
    """v[head:cols] first, then v[:head]; head < NORMCY_LANES."""
    cdef float[NORMCY_LANES] first
    memcpy(first, v, head * sizeof(float))
    memmove(v, v + head, (cols - head) * sizeof(float))
    memcpy(v + cols - head, first, head * sizeof(float))


cdef void apply_run(const Job *job, ptrdiff_t at, ptrdiff_t rows, ptrdiff_t cols, const normcy_coef *coef,
                    Columns *w) noexcept nogil:
    """Rows that follow each other. They may begin anywhere if the coefficients begin there: where y is aligned."""
    cdef normcy_epilogue epilogue
    cdef ptrdiff_t i, head = -(<ptrdiff_t>(<size_t>(job.y + at) // sizeof(float))) & (NORMCY_LANES - 1)
    if head and cols % NORMCY_LANES == 0 and rows >= TURNED:
        job.k.apply_cols(job.x + at, job.y + at, 1, head, cols, coef, NULL,
                         epilogue_at(job, at, &epilogue), &job.access)
        for i in range(coefs_used(coef)):
            rotate(w.room + i * w.stride, cols, head)
        at, rows = at + head, rows - 1
        job.k.apply_cols(job.x + at + rows * cols, job.y + at + rows * cols, 1, cols - head, cols, coef, NULL,
                         epilogue_at(job, at + rows * cols, &epilogue), &job.access)
    job.k.apply_cols(job.x + at, job.y + at, rows, cols, cols, coef, NULL, epilogue_at(job, at, &epilogue), &job.access)


cdef void apply_cols(const Job *job, Columns *w, ptrdiff_t begin, ptrdiff_t end, ptrdiff_t left,
                     ptrdiff_t width) noexcept nogil:
    """The apply pass over rows begin:end of the whole array, at columns left:left + width."""
    cdef const Plan *p = &job.plan
    cdef Slots *s = &w.stats
    cdef normcy_coef coef
    cdef normcy_elementwise elementwise
    cdef normcy_epilogue epilogue
    cdef normcy_operand weight, bias, gate
    cdef ptrdiff_t i, n, at, phase, r = begin
    cdef bint staged = elementwise_stage(job), shared = job.weight.outer == 0 and job.bias.outer == 0
    cdef bint pieces = width != p.pitch or staged
    cdef ptrdiff_t k = 1 if staged else fold_of(p.cols)
    while r < end:
        n = end - r if shared and not staged else min(end - r, p.period - r % p.period)
        weight = operand_at(&job.weight, p, 0, r, left)
        bias = operand_at(&job.bias, p, 0, r, left)
        gate = operand_at(&job.gate, p, 0, r, left)
        at = row_at(p, r) + left
        # Where y is in its cache line the coefficients are in theirs: then all of them are read in whole lines.
        phase = <ptrdiff_t>(<size_t>(job.y + at) // sizeof(float)) & (NORMCY_LANES - 1) if pieces else 0
        fill_coefficients(job, width, s, &weight, &bias, &gate, left, &coef, w.room + phase, w.stride)
        if staged:
            elementwise = elementwise_at(job, 0, r, left, w.room + phase, w.stride)
        if job.fixed_mean != NULL:
            add_first(job, at, n, width, p.pitch)
        if pieces:
            job.k.apply_cols(job.x + at, job.y + at, n, width, p.pitch, &coef, &elementwise if staged else NULL,
                             epilogue_at(job, at, &epilogue), &job.access)
        else:
            apply_run(job, at + n // k * k * width, n % k, width, &coef, w)
            for i in range(coefs_used(&coef) if k > 1 else 0):
                repeat(w.room + i * w.stride, width, k)
            apply_run(job, at, n // k, width * k, &coef, w)
        r += n


cdef void task_of_cols(const Job *job, const Chunks *c, ptrdiff_t panel, ptrdiff_t left, ptrdiff_t width,
                       char *memory, ptrdiff_t stride) noexcept nogil:
    """Both passes over some columns of a panel."""
    cdef Columns w = columns_in(memory, stride, job.target.how >= TO_STYLE)
    cdef ptrdiff_t rows = panel_rows(&job.plan)
    slots_of_cols(job, c, panel, left, width, &w)
    rstd_of_cols(job, panel, left, width, &w)
    if job.y != NULL:
        apply_cols(job, &w, panel * rows, (panel + 1) * rows, left, width)


cdef void tasks_of_cols(const Job *job, const Chunks *c, normcy_work_queue *queues, ptrdiff_t strip, char *memory,
                        ptrdiff_t stride, int part) noexcept nogil:
    """One thread's tasks of a strip of columns each."""
    cdef const Plan *p = &job.plan
    cdef unsigned long saved = begin_part(job)
    cdef ptrdiff_t left, strips = ceil_div(p.cols, strip), task = normcy_work_queue_pop(queues, job.threads, part)
    while task >= 0:
        left = task % strips * strip
        task_of_cols(job, c, task // strips, left, min(strip, p.cols - left), memory, stride)
        task = normcy_work_queue_pop(queues, job.threads, part)
    normcy_fp_leave(saved)


cdef int local_cols(Job *job, const Chunks *c, ptrdiff_t strip) noexcept:
    """Strips side by side share a cache line of y in every row: shares in memory order keep them on one thread."""
    cdef const Plan *p = &job.plan
    cdef ptrdiff_t tasks = (1 if p.pooled else p.samples) * ceil_div(p.cols, strip)
    cdef ptrdiff_t stride = stride_of(p, strip), bytes = column_bytes(stride)
    cdef char *scratch
    cdef normcy_work_queue *queues
    cdef int t, team
    divide(job, tasks)
    scratch, queues = <char *>malloc(bytes * job.threads + LINE), normcy_work_queue_init(tasks, job.threads)
    if scratch != NULL and queues != NULL:
        with nogil:
            team = team_of(job)
            if team == 1:
                for t in range(job.threads):
                    tasks_of_cols(job, c, queues, strip, lined_up(scratch) + t * bytes, stride, t)
            else:
                for t in prange(job.threads, num_threads=team, schedule="static", chunksize=1):
                    tasks_of_cols(job, c, queues, strip, lined_up(scratch) + t * bytes, stride, t)
    free(queues)
    free(scratch)
    return 0 if scratch != NULL and queues != NULL else -1


cdef void apply_cols_share(const Job *job, const Columns *stats, ptrdiff_t begin, ptrdiff_t rows, ptrdiff_t step,
                           int part, float *room) noexcept nogil:
    """One thread's share of the apply pass over rows begin:begin + rows; after moments, last rows first."""
    cdef Columns w = stats[0]
    cdef ptrdiff_t i, j, lo, hi
    cdef unsigned long saved = begin_part(job)
    w.room = room
    share(ceil_div(rows, step), job.threads, part, &lo, &hi)
    for i in range(hi - lo):
        j = lo + i if job.fixed_mean != NULL else hi - 1 - i
        apply_cols(job, &w, begin + j * step, begin + min((j + 1) * step, rows), 0, job.plan.cols)
    normcy_fp_leave(saved)


cdef void chunks_of_cols_share(const Job *job, const Chunks *c, ptrdiff_t panel, int part, double *mean, double *m2,
                               ptrdiff_t stride) noexcept nogil:
    cdef ptrdiff_t j, lo, hi
    cdef unsigned long saved = begin_part(job)
    share(c.count, job.threads, part, &lo, &hi)
    for j in range(lo, hi):
        chunk_of_cols(job, c, panel, j, 0, job.plan.cols, mean + j * stride, m2 + j * stride)
    normcy_fp_leave(saved)


cdef int phased_cols(Job *job, const Chunks *c) noexcept:
    """Panel after panel, all threads on each: moments by chunk of rows, merge, apply."""
    cdef const Plan *p = &job.plan
    cdef ptrdiff_t panel, j, stride = stride_of(p, p.cols)
    cdef ptrdiff_t rows = panel_rows(p), panels = 1 if p.pooled else p.samples
    cdef ptrdiff_t own = column_bytes(stride), partial = stride * c.count * sizeof(double)
    cdef ptrdiff_t coefs = ROOM * stride * sizeof(float)
    cdef char *scratch
    cdef char *memory
    cdef double *mean
    cdef double *m2
    cdef Columns w
    cdef int t, team
    divide(job, c.count)
    scratch = <char *>malloc(own + 2 * partial + coefs * job.threads + LINE)
    if scratch == NULL:
        return -1
    with nogil:
        team = team_of(job)
        memory = lined_up(scratch)
        mean, m2 = <double *>(memory + own), <double *>(memory + own + partial)
        w = columns_in(memory, stride, job.target.how >= TO_STYLE)
        for panel in range(panels):
            if team == 1:
                for t in range(job.threads):
                    chunks_of_cols_share(job, c, panel, t, mean, m2, stride)
            else:
                for t in prange(job.threads, num_threads=team, schedule="static", chunksize=1):
                    chunks_of_cols_share(job, c, panel, t, mean, m2, stride)
            memcpy(w.stats.mean, mean, stride * sizeof(double))
            memcpy(w.stats.m2, m2, stride * sizeof(double))
            for j in range(1, c.count):
                job.k.merge(p.cols, <double>(j * c.rows), w.stats.mean, w.stats.m2,
                            <double>min(c.rows, rows - j * c.rows), mean + j * stride, m2 + j * stride)
            rstd_of_cols(job, panel, 0, p.cols, &w)
            if job.y != NULL:
                if team == 1:
                    for t in range(job.threads):
                        apply_cols_share(job, &w, panel * rows, rows, c.rows, t,
                                         <float *>(memory + own + 2 * partial + t * coefs))
                else:
                    for t in prange(job.threads, num_threads=team, schedule="static", chunksize=1):
                        apply_cols_share(job, &w, panel * rows, rows, c.rows, t,
                                         <float *>(memory + own + 2 * partial + t * coefs))
    free(scratch)
    return 0


cdef int fixed_cols(Job *job) noexcept:
    """Statistics from outside: the apply pass alone."""
    cdef const Plan *p = &job.plan
    cdef ptrdiff_t panel, stride = stride_of(p, p.cols), rows = panel_rows(p)
    cdef ptrdiff_t own = column_bytes(stride), coefs = ROOM * stride * sizeof(float)
    cdef ptrdiff_t step = max(TASK // p.cols, min(<ptrdiff_t>FIXED_ROWS, ceil_div(rows, job.threads)))
    cdef char *scratch
    cdef char *memory
    cdef Columns w
    cdef int t, team
    divide(job, ceil_div(rows, step))
    scratch = <char *>malloc(own + coefs * job.threads + LINE)
    if scratch == NULL:
        return -1
    with nogil:
        team = team_of(job)
        memory = lined_up(scratch)
        w = columns_in(memory, stride, False)
        for panel in range(1 if p.pooled else p.samples):
            w.stats.mean = <double *>job.fixed_mean + panel * p.cols
            w.stats.rstd = <double *>job.fixed_rstd + panel * p.cols
            if team == 1:
                for t in range(job.threads):
                    apply_cols_share(job, &w, panel * rows, rows, step, t,
                                     <float *>(memory + own + t * coefs))
            else:
                for t in prange(job.threads, num_threads=team, schedule="static", chunksize=1):
                    apply_cols_share(job, &w, panel * rows, rows, step, t,
                                     <float *>(memory + own + t * coefs))
    free(scratch)
    return 0


cdef int drive_cols(Job *job) noexcept:
    cdef const Plan *p = &job.plan
    cdef ptrdiff_t rows = panel_rows(p), panels = 1 if p.pooled else p.samples
    cdef Chunks c = split_cols(rows, p.cols)
    cdef ptrdiff_t strip = p.cols
    cdef Job local = job[0]
    if job.fixed_mean != NULL:
        return fixed_cols(job)
    if p.group == 1 and rows * 128 <= 2 * TASK:     # a strip of columns, whole cache lines, stays in L2
        strip = min(p.cols, max(<ptrdiff_t>128, TASK // rows // 64 * 64))
    if rows * strip <= 2 * TASK and (job.threads == 1 or panels * ceil_div(p.cols, strip) >= 2 * job.threads):
        local.access.in_cache = job.local_near
        return local_cols(&local, &c, strip)
    return phased_cols(job, &c)
