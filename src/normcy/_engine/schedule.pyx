from normcy._engine.chunks cimport ceil_div, pieces, split_cols, split_rows
from normcy._engine.kernels cimport NORMCY_MAX_SLOTS
from normcy._engine.plan cimport panel_rows, panels_of

cdef extern from "runtime/clear.h" nogil:
    void normcy_clear(void *p, size_t size)

cdef enum:
    TILE_STEP_COLUMNS = 64      # whole cache lines, at which the next tile begins
    L2_TILES = 8                # so many times the columns whose coefficients stay in L1: theirs stay in L2


cdef void make_schedule(const Plan *p, const Tuning *t, int max_threads, const Operands *o,
                        Schedule *s) noexcept nogil:
    normcy_clear(s, sizeof(Schedule))
    s.threads = <int>min(<ptrdiff_t>max_threads, max(<ptrdiff_t>1, o.size // t.part_min_floats))
    s.turned_rows = t.turned_rows
    if p.by_col:
        schedule_cols(p, t, o, s)
    else:
        schedule_rows(p, t, o, s)
    set_phases(p, o, s)


cdef bint is_beyond_caches(const Tuning *t, const Operands *o, int threads) noexcept nogil:
    """Whether y is better stored past the caches; where an input shares its memory, those lines are in the caches.

    Several threads fill memory's bandwidth sooner, so that it pays for them from half as much more on."""
    return o.size >= (t.nontemporal_floats * 3 // 2 if threads > 1 else t.nontemporal_floats) and not o.rereads


cdef void set_access(const Tuning *t, const Operands *o, Schedule *s) noexcept nogil:
    cdef bint local_in_cache = o.size <= t.local_in_cache_floats
    s.access.nontemporal = not o.in_place and is_beyond_caches(t, o, s.threads)
    s.access.in_cache = not s.access.nontemporal and (local_in_cache if s.mode == LOCAL else
                                                      o.size <= t.in_cache_floats)
    s.access.columns = <int>t.coefficient_columns if local_in_cache else 0


cdef ptrdiff_t ahead_of(const Tuning *t, const Operands *o, ptrdiff_t tile, ptrdiff_t floats) noexcept nogil:
    """How far ahead x is prefetched in the apply pass: by a tile, which has so many floats, unless all of x is in L2
    anyway, or a tile of it is too much for L2."""
    return tile if floats <= 4 * t.task_floats and o.size > 2 * t.task_floats and not o.adds else 0


cdef void set_phases(const Plan *p, const Operands *o, Schedule *s) noexcept nogil:
    cdef ptrdiff_t parts
    s.rounds, s.phase_count = 1, 1
    if s.mode == LOCAL:
        if p.by_col:
            parts = ceil_div(panels_of(p), s.part_panels) * ceil_div(p.cols, s.tile_cols)
        else:
            parts = ceil_div(p.slots, s.part_slots)
        s.phases[0] = ScheduledPhase(TASK, parts, False)
    elif s.mode == FIXED:
        s.phases[0] = ScheduledPhase(APPLY, s.strips.count, False)
        s.rounds, parts = panels_of(p) if p.by_col else 1, s.strips.count
    else:
        s.phases[0] = ScheduledPhase(MEASURE, s.chunks.count, False)
        s.phases[1] = ScheduledPhase(COMBINE, 1, False)
        s.phases[2] = ScheduledPhase(APPLY, s.strips.count, True)
        s.phase_count = 3 if o.writes else 2
        s.rounds, parts = panels_of(p) if p.by_col else p.slots, max(s.chunks.count, s.strips.count)
    s.threads = <int>min(<ptrdiff_t>s.threads, parts)


cdef bint shares_units(const Tuning *t, ptrdiff_t tasks, const Schedule *s) noexcept nogil:
    """Whether all threads work on one unit after the other: there are so few tasks that some threads would wait for
    others, and a unit has chunks for all threads, or more of them than there are tasks."""
    return s.threads > 1 and tasks < t.thread_tasks * s.threads and (
        s.chunks.count >= s.threads or s.chunks.count > tasks)


# --- Slots along rows ---

cdef Chunks chunks_of_slot(const Plan *p) noexcept nogil:
    """Pieces of one segment each."""
    cdef Chunks c = split_rows(1, p.planes * p.length)
    c.count *= p.segs
    return c


cdef void schedule_rows(const Plan *p, const Tuning *t, const Operands *o, Schedule *s) noexcept nogil:
    s.chunks, s.points = chunks_of_slot(p), p.length == 1 and p.pitch == 1
    if o.fixed:
        s.mode, s.unit_rows = FIXED, p.slots * p.planes
    elif s.chunks.count > 1 and shares_units(t, p.slots, s):
        s.mode, s.unit_rows = PHASED, p.planes
    else:
        s.mode = LOCAL
    set_access(t, o, s)
    if s.mode == LOCAL:
        set_tiles(p, t, o, s)
    elif s.mode == FIXED:
        s.strips = pieces(s.unit_rows * p.segs, p.length, t.run_floats)
    else:       # a thread applies what it has measured, and has it in its caches
        s.strips = split_rows(s.unit_rows * p.segs, p.length)


cdef void set_tiles(const Plan *p, const Tuning *t, const Operands *o, Schedule *s) noexcept nogil:
    """How many slots are taken together. A sum that nobody asked for, which y would hold, is kept in L1 if it fits."""
    cdef ptrdiff_t size = p.segs * p.planes * p.length
    cdef bint nontemporal = s.access.nontemporal
    s.sum_in_l1 = o.adds and o.in_place and p.segs == 1
    s.access.nontemporal = nontemporal or s.sum_in_l1 and is_beyond_caches(t, o, s.threads)
    s.tile_slots = tile_slots(p, t, o, s)
    if s.sum_in_l1 and s.tile_slots * p.planes * p.pitch > 2 * t.tile_floats:
        s.sum_in_l1, s.access.nontemporal = False, nontemporal
    s.access.ahead = ahead_of(t, o, s.tile_slots * p.planes * p.pitch, s.tile_slots * size)
    s.part_slots = p.slots
    if s.threads > 1:
        s.part_slots = max(<ptrdiff_t>1, min(max(t.task_floats // size, s.tile_slots),
                                             ceil_div(p.slots, t.thread_parts * s.threads)))


cdef ptrdiff_t tile_slots(const Plan *p, const Tuning *t, const Operands *o, const Schedule *s) noexcept nogil:
    """How many slots go through both passes together: their x comes from L1, not from memory or L3, in the apply pass.

    Of arrays in cache, whose x is in L2 anyway, long tiles cost less where slots are short, or weights are the bound.
    Rows that share long weights find them in L1 piece by piece. Where slots have segments, those of a tile are to be
    long pieces of memory. What is stored past L1 leaves room for twice as much.
    """
    cdef ptrdiff_t tile, size = p.segs * p.planes * p.length
    cdef bint long_weights = o.elementwise and p.length > t.long_weight_floats and not s.access.nontemporal
    cdef bint in_l2 = long_weights or s.access.in_cache and (o.elementwise or size < t.short_slot_floats)
    if not o.writes or p.segs > 1 or in_l2:
        tile = t.task_floats // size
    else:
        tile = (2 if s.access.nontemporal or s.access.in_cache else 1) * t.tile_floats // size
    if long_weights:
        tile = max(tile, t.sharing_rows)
    if p.segs > 1:
        tile = max(tile, t.run_floats // p.length)
    return max(<ptrdiff_t>1, min(<ptrdiff_t>NORMCY_MAX_SLOTS, tile))


# --- Slots along columns ---

cdef void schedule_cols(const Plan *p, const Tuning *t, const Operands *o, Schedule *s) noexcept nogil:
    cdef ptrdiff_t rows = panel_rows(p), tile = tile_columns(p, t), tiles = panels_of(p) * ceil_div(p.cols, tile)
    s.chunks = split_cols(rows, p.cols)
    s.unit_rows, s.strips, s.tile_cols = rows, s.chunks, p.cols
    if o.fixed:
        s.mode = FIXED
        s.strips.rows = max(t.task_floats // p.cols, min(t.fixed_rows, ceil_div(rows, s.threads)))
        s.strips.count = ceil_div(rows, s.strips.rows)
    elif rows * tile <= 2 * t.task_floats and not shares_units(t, tiles, s):
        s.mode, s.tile_cols, s.part_panels = LOCAL, tile, part_panels(p, t, o, s)
    else:
        s.mode = PHASED
    set_access(t, o, s)
    if s.mode == FIXED and not s.access.nontemporal and p.repeats == 1:     # else rows are to follow each other
        s.tile_cols = min(p.cols, L2_TILES * t.coefficient_columns)
    if s.mode == LOCAL:
        s.access.ahead = ahead_of(t, o, tile if tile < p.cols else s.part_panels * rows * p.pitch,
                                  rows * max(tile, s.part_panels * p.cols))


cdef ptrdiff_t part_panels(const Plan *p, const Tuning *t, const Operands *o, const Schedule *s) noexcept nogil:
    """How many panels without gaps are done together, since a kernel takes longer to begin than for a small one."""
    if p.pooled or p.pitch != p.cols or not p.even or o.ratio or s.chunks.count > 1:
        return 1
    return max(<ptrdiff_t>1, min(t.panels_floats // (p.rows * p.cols), ceil_div(p.samples, t.thread_parts * s.threads)))


cdef ptrdiff_t tile_columns(const Plan *p, const Tuning *t) noexcept nogil:
    """How many columns go through both passes together: whole cache lines that stay in L2, or all."""
    cdef ptrdiff_t rows = panel_rows(p), step = TILE_STEP_COLUMNS * p.repeats
    if p.group == p.repeats and rows * max(t.tile_min_columns, step) <= 2 * t.task_floats:
        return min(p.cols, max(ceil_div(t.tile_min_columns, step) * step, t.task_floats // rows // step * step))
    return p.cols
