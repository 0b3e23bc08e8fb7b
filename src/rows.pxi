# Slots along rows. A slot is `segs` segments of `planes` rows; see panels.pxi.

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
    """Moments of at most NORMCY_MAX_SLOTS slots: the same chunk of all, which is one piece of memory, then the next;
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
    """The mean of a slot that is known not to have a finite one."""
    cdef const Plan *p = &job.plan
    cdef ptrdiff_t seg, row
    cdef double total = 0
    for seg in range(p.segs):
        for row in range(slot * p.planes, (slot + 1) * p.planes):
            total += total_of(x_at(job, seg * p.seg_stride + row_at(p, row)), 1, p.length, 1)
    return total


cdef void rstd_of_rows(const Job *job, const Chunks *c, ptrdiff_t slot, ptrdiff_t count, Slots *s) noexcept nogil:
    """1 / std of a run of slots whose moments are known; a slot out of float32's range is measured again."""
    cdef ptrdiff_t i
    s.scaled = False
    if job.k.rstd(count, s.mean, s.m2, &job.how, s.rstd):
        for i in range(count):
            s.scale[i] = 1
            if job.k.rstd(1, s.mean + i, s.m2 + i, &job.how, s.rstd + i):
                moments_of_rows(job, c, slot + i, 1, True, s.mean + i, s.m2 + i)
                if job.k.rstd(1, s.mean + i, s.m2 + i, &job.how, s.rstd + i):
                    s.scale[i] = rescue_scale(s.mean[i], s.m2[i], job.how.count)
                    s.scaled = s.scaled or s.scale[i] != 1
    if job.mean != NULL:
        for i in range(count):
            if not fabs(s.mean[i]) < HUGE_VAL:
                s.mean[i] = mean_of_row_slot(job, slot + i)
        memcpy(job.mean + slot, s.mean, count * sizeof(double))
        memcpy(job.m2 + slot, s.m2, count * sizeof(double))
        memcpy(job.rstd + slot, s.rstd, count * sizeof(double))
    adjust(&job.target, slot, count, job.plan.count, s)


cdef Slots slots_in(double *memory, float *scale, ptrdiff_t room, bint lifted) noexcept nogil:
    """Room for the statistics of that many slots, in SLOT_DOUBLES * room doubles."""
    cdef Slots s
    s.mean, s.m2, s.rstd, s.scale, s.scaled = memory, memory + room, memory + 2 * room, scale, False
    s.shift_after = memory + 3 * room if lifted else NULL
    return s


cdef void slots_of_run(const Slots *s, const Plan *p, ptrdiff_t first, ptrdiff_t r, ptrdiff_t n,
                       Slots *of_rows) noexcept nogil:
    """The statistics that rows r:r + n go by."""
    cdef ptrdiff_t i, k = r - first
    of_rows.scaled = s.scaled
    if p.planes == 1:       # a slot a row: no need to copy
        of_rows.mean, of_rows.rstd, of_rows.scale = s.mean + k, s.rstd + k, s.scale + k
        of_rows.shift_after = s.shift_after + k if s.shift_after != NULL else NULL
        return
    for i in range(n):
        k = (r + i) // p.planes - first
        of_rows.mean[i], of_rows.rstd[i] = s.mean[k], s.rstd[k]
        if s.scaled:
            of_rows.scale[i] = s.scale[k]
        if s.shift_after != NULL:
            of_rows.shift_after[i] = s.shift_after[k]


cdef void apply_rows(const Job *job, const Slots *s, ptrdiff_t first, ptrdiff_t seg, ptrdiff_t begin, ptrdiff_t end,
                     ptrdiff_t left, ptrdiff_t right) noexcept nogil:
    """The apply pass over rows begin:end and columns left:right of a segment; s holds slots from `first` on."""
    cdef const Plan *p = &job.plan
    cdef double doubles[SLOT_DOUBLES * NORMCY_MAX_SLOTS]
    cdef float scale[NORMCY_MAX_SLOTS]
    cdef float room[ROOM * NORMCY_MAX_SLOTS]
    cdef Slots of_rows = slots_in(doubles, scale, NORMCY_MAX_SLOTS, s.shift_after != NULL)
    cdef normcy_coef coef
    cdef normcy_elementwise elementwise
    cdef normcy_epilogue epilogue
    cdef normcy_operand weight, bias, gate
    cdef ptrdiff_t n, at, r = begin
    cdef bint staged = elementwise_stage(job)
    while r < end:
        n = min(<ptrdiff_t>NORMCY_MAX_SLOTS, joined_rows(job, r, end))
        slots_of_run(s, p, first, r, n, &of_rows)
        weight = operand_at(&job.weight, p, seg, r, left)
        bias = operand_at(&job.bias, p, seg, r, left)
        gate = operand_at(&job.gate, p, seg, r, 0)
        fill_coefficients(job, n, &of_rows, &weight, &bias, &gate, r % p.period, &coef, room, NORMCY_MAX_SLOTS)
        if staged:
            elementwise = elementwise_at(job, seg, r, left, room, NORMCY_MAX_SLOTS)
        at = seg * p.seg_stride + row_at(p, r) + left
        if job.fixed_mean != NULL:
            add_first(job, at, n, right - left, p.pitch)
        job.k.apply_rows(x_at(job, at), job.y + at, n, right - left, p.pitch, &coef, &elementwise if staged else NULL,
                         epilogue_at(job, at, &epilogue), &job.access)
        r += n


cdef ptrdiff_t run_of(const Job *job) noexcept nogil:
    """How many slots go through both passes together: in L1, x need not come from memory, or L3, for the apply pass.

    Of near arrays, whose x is in L2 anyway, long runs cost less where slots are short, or weights are the bound. Rows
    that share long weights find them in L1 piece by piece. Where slots have segments, those of a run are to be long
    pieces of memory: jumps cost more than L2 gains.
    """
    cdef const Plan *p = &job.plan
    cdef ptrdiff_t size = max(<ptrdiff_t>1, p.segs * p.planes * p.length)
    cdef bint staged = elementwise_stage(job)
    cdef bint long_weights = staged and p.length > LONG_WEIGHT and not job.access.nontemporal
    cdef bint in_l2 = long_weights or job.local_near and (staged or size < SHORT_SLOT)
    cdef bint in_l1 = job.y != NULL and p.segs == 1 and not in_l2
    cdef ptrdiff_t run = ((2 * RUN if job.access.nontemporal or job.local_near else RUN) if in_l1 else TASK) // size
    if long_weights:
        run = max(run, SHARING)
    if p.segs > 1:
        run = max(run, PIECE // max(<ptrdiff_t>1, p.length))
    return max(<ptrdiff_t>1, min(<ptrdiff_t>NORMCY_MAX_SLOTS, run))


cdef void task_of_rows(const Job *job, const Chunks *c, ptrdiff_t begin, ptrdiff_t end) noexcept nogil:
    """Both passes over slots begin:end, in runs that stay in cache; a sum that nobody asked for never leaves it."""
    cdef const Plan *p = &job.plan
    cdef double doubles[SLOT_DOUBLES * NORMCY_MAX_SLOTS]
    cdef float scale[NORMCY_MAX_SLOTS]
    cdef float aside[2 * RUN]
    cdef Slots s = slots_in(doubles, scale, NORMCY_MAX_SLOTS, job.target.how >= TO_STYLE)
    cdef Job local = job[0]
    cdef ptrdiff_t n, seg, run, slot = begin, sample = p.period // p.planes, pitch = p.planes * p.pitch
    cdef bint dropped = job.addend != NULL and job.x == job.y and p.segs == 1
    local.access.in_cache = job.local_near
    local.access.nontemporal = job.access.nontemporal or dropped and job.beyond
    run = run_of(&local)
    if dropped and run * pitch > 2 * RUN:
        dropped, local.access.nontemporal = False, job.access.nontemporal
    while slot < end:
        n = min(run, end - slot if p.even else min(end - slot, sample - slot % sample))
        if dropped:
            local.x, local.x_from = aside, row_at(p, slot * p.planes)
        moments_of_rows(&local, c, slot, n, False, s.mean, s.m2)
        rstd_of_rows(&local, c, slot, n, &s)
        if job.y != NULL:
            for seg in range(p.segs):
                apply_rows(&local, &s, slot, seg, slot * p.planes, (slot + n) * p.planes, 0, p.length)
        slot += n


cdef void tasks_of_rows(const Job *job, const Chunks *c, normcy_work_queue *queues, ptrdiff_t per_task,
                        int part) noexcept nogil:
    """One thread's tasks of `per_task` slots."""
    cdef unsigned long saved = begin_part(job)
    cdef ptrdiff_t task = normcy_work_queue_pop(queues, job.threads, part)
    while task >= 0:
        task_of_rows(job, c, task * per_task, min((task + 1) * per_task, job.plan.slots))
        task = normcy_work_queue_pop(queues, job.threads, part)
    normcy_fp_leave(saved)


cdef void apply_share(const Job *job, const Slots *s, ptrdiff_t first, ptrdiff_t begin, ptrdiff_t end,
                      int part) noexcept nogil:
    """One thread's share of the apply pass over all segments of rows begin:end; after moments, last part first."""
    cdef const Plan *p = &job.plan
    cdef Chunks c = split_rows((end - begin) * p.segs, p.length)
    cdef ptrdiff_t i, j, lo, hi, row, last, left, n, rows = end - begin
    cdef unsigned long saved = begin_part(job)
    share(c.count, job.threads, part, &lo, &hi)
    for i in range(hi - lo):
        j = lo + i if job.fixed_mean != NULL else hi - 1 - i
        row, left = j // c.across * c.rows, j % c.across * c.cols
        last = min(row + c.rows, rows * p.segs)
        while row < last:
            n = min(last - row, rows - row % rows)
            apply_rows(job, s, first, row // rows, begin + row % rows, begin + row % rows + n, left,
                       min(left + c.cols, p.length))
            row += n
    normcy_fp_leave(saved)


cdef void chunks_share(const Job *job, const Chunks *c, ptrdiff_t slot, int part, double *mean, double *m2,
                       double *n) noexcept nogil:
    cdef ptrdiff_t j, lo, hi
    cdef unsigned long saved = begin_part(job)
    share(c.count, job.threads, part, &lo, &hi)
    for j in range(lo, hi):
        n[j] = chunk_of_rows(job, c, slot, 1, j, False, mean + j, m2 + j)
    normcy_fp_leave(saved)


cdef int phased_rows(Job *job, const Chunks *c) noexcept:
    """Slot after slot, all threads on each: moments by chunk, merge, apply."""
    cdef const Plan *p = &job.plan
    cdef double *room = <double *>malloc(3 * c.count * sizeof(double))
    cdef double *mean = room
    cdef double *m2 = room + c.count
    cdef double *n = room + 2 * c.count
    cdef double rstd, shift_after
    cdef float scale
    cdef Slots s
    cdef ptrdiff_t slot, j
    cdef int t, team
    if room == NULL:
        return -1
    with nogil:
        divide(job, c.count)
        team = team_of(job)
        s.mean, s.m2, s.rstd, s.scale = mean, m2, &rstd, &scale
        s.shift_after = &shift_after if job.target.how >= TO_STYLE else NULL
        for slot in range(p.slots):
            for t in prange(job.threads, num_threads=team, schedule="static", chunksize=1):
                chunks_share(job, c, slot, t, mean, m2, n)
            for j in range(1, c.count):
                job.k.merge(1, n[0], mean, m2, n[j], mean + j, m2 + j)
                n[0] += n[j]
            rstd_of_rows(job, c, slot, 1, &s)
            if job.y != NULL:
                for t in prange(job.threads, num_threads=team, schedule="static", chunksize=1):
                    apply_share(job, &s, slot, slot * p.planes, (slot + 1) * p.planes, t)
    free(room)
    return 0


cdef int fixed_rows(Job *job) noexcept:
    """Statistics from outside: the apply pass alone."""
    cdef const Plan *p = &job.plan
    cdef Slots s
    cdef int t, team
    cdef ptrdiff_t rows = p.slots * p.planes
    s.mean, s.rstd, s.shift_after = <double *>job.fixed_mean, <double *>job.fixed_rstd, NULL
    s.scale, s.scaled = NULL, False
    with nogil:
        divide(job, split_rows(rows * p.segs, p.length).count)
        team = team_of(job)
        if team == 1:
            for t in range(job.threads):
                apply_share(job, &s, 0, 0, rows, t)
        else:
            for t in prange(job.threads, num_threads=team, schedule="static", chunksize=1):
                apply_share(job, &s, 0, 0, rows, t)
    return 0


cdef int drive_rows(Job *job) noexcept:
    cdef const Plan *p = &job.plan
    cdef ptrdiff_t size = p.segs * p.planes * p.length
    cdef Chunks c = chunks_of_slot(p)
    cdef ptrdiff_t per_task, tasks
    cdef normcy_work_queue *queues
    cdef int t, team
    if job.fixed_mean != NULL:
        return fixed_rows(job)
    if job.threads > 1 and p.slots < 4 * job.threads and c.count > 1:
        return phased_rows(job, &c)
    if job.threads == 1:
        with nogil:
            task_of_rows(job, &c, 0, p.slots)
        return 0
    per_task = max(<ptrdiff_t>1, min(max(TASK // size, run_of(job)), ceil_div(p.slots, 4 * job.threads)))
    tasks = ceil_div(p.slots, per_task)
    divide(job, tasks)
    queues = normcy_work_queue_init(tasks, job.threads)
    if queues == NULL:
        return -1
    with nogil:
        team = team_of(job)
        for t in prange(job.threads, num_threads=team, schedule="static", chunksize=1):
            tasks_of_rows(job, &c, queues, per_task, t)
    free(queues)
    return 0
