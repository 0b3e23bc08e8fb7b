cdef extern from "runtime/caches.h" nogil:
    normcy_caches normcy_read_caches()

cdef normcy_caches caches = normcy_read_caches()
tuning = tuning_for(&caches)


cdef void use_tuning(const Tuning *wanted) noexcept nogil:
    """Compute with other numbers from now on: for tests, while no call runs."""
    global tuning
    tuning = wanted[0]


cdef normcy_caches machine_caches() noexcept nogil:
    return caches


cdef inline ptrdiff_t in_steps_of(ptrdiff_t step, ptrdiff_t n) noexcept nogil:
    return max(step, n // step * step)


cdef Tuning tuning_for(const normcy_caches *caches) noexcept nogil:
    """What fits caches of these sizes, in floats. A comment has the share of a cache that this is."""
    cdef Tuning t
    cdef ptrdiff_t l1 = caches.l1_bytes // sizeof(float), l2 = caches.l2_bytes // sizeof(float)
    cdef ptrdiff_t l3 = caches.l3_bytes // sizeof(float)
    t.parallel_min_floats, t.part_min_floats, t.cpu_time_min_floats = 49152, 4096, 262144
    t.thread_tasks, t.thread_parts = 2, 4
    t.tile_floats = min(<ptrdiff_t>MAX_TILE_FLOATS, in_steps_of(64, l1 // 4))   # x and y: half
    t.short_slot_floats = 128
    t.long_weight_floats = l1 // 8      # weight and bias: a quarter, which leaves room for a tile
    t.sharing_rows = 8
    t.panels_floats = MAX_PANELS_FLOATS
    t.coefficient_columns = in_steps_of(64, l1 // 8)    # three vectors of them: three eighths
    t.task_floats = l2 * 3 // 16        # x and y: three eighths; columns may have twice that
    t.tile_min_columns = 128            # not below NORMCY_NARROW_COLUMNS, since only whole panels are folded
    t.in_cache_floats = l3 // 8         # whatever else is there
    t.local_in_cache_floats = l3 // 2   # x and y: all of it, for the next call
    t.nontemporal_floats = l3 // 4      # x and y: half of it, as other programs use it, too
    t.run_floats = 16384
    t.turned_rows, t.fixed_rows = 32, 256
    return t
