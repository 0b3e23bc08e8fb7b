"""The numbers that decide how fast something is and nothing else: none changes a bit of any result.

They are computed from the caches of the machine, once, at import. docs/tuning.md says what each trades, and where it
was measured. `schedule.pyx` alone uses them, and `parallel.pyx` one. A name ends with its unit. What is measured in
instructions rather than in caches is a constant of the kernels, in src/kernels/tuning.h. NORMCY_CHUNK_FLOATS and
NORMCY_EXACT_SLOT in src/kernels/numerics.h came from cache sizes, too, but define bits.
"""

cdef extern from "runtime/caches.h" nogil:
    ctypedef struct normcy_caches:
        ptrdiff_t l1_bytes, l2_bytes, l3_bytes

cdef enum:
    # A tile of sums is on the stack of a part (sum_tile in rows.pyx), which MIN_STACK_BYTES in src/runtime/threads.c
    # counts on.
    MAX_TILE_FLOATS = 4096
    MAX_PANELS_FLOATS = 512     # coefficients for so many floats are on it, too
    CACHE_LINE_BYTES = 64

cdef struct Tuning:
    # Threads
    ptrdiff_t parallel_min_floats   # a second thread pays for its start in arrays of this size and more
    ptrdiff_t part_min_floats       # each thread has at least this many floats to work on
    ptrdiff_t cpu_time_min_floats   # in calls of this size it pays to read how long the caller had a CPU: 1 us
    ptrdiff_t thread_tasks          # slots or tiles are tasks of one thread each if each thread has so many
    ptrdiff_t thread_parts          # parts that each thread has at least, where there are many slots
    # L1
    ptrdiff_t tile_floats           # a tile of short slots goes through both passes while it is in L1
    ptrdiff_t short_slot_floats     # shorter slots are taken in long tiles if they are in L2
    ptrdiff_t long_weight_floats    # rows share longer weights tile by tile, so many rows at a time:
    ptrdiff_t sharing_rows
    ptrdiff_t panels_floats         # small panels of columns are done together, as many as have this size
    ptrdiff_t coefficient_columns   # the coefficients of so many columns stay in L1 while rows go by
    # L2
    ptrdiff_t task_floats           # what goes through both passes while it is in L2
    ptrdiff_t tile_min_columns      # narrower tiles of columns are slow to read
    # L3
    ptrdiff_t in_cache_floats       # arrays of this size are in L2 or L3 when they are read for the second time
    ptrdiff_t local_in_cache_floats     # the same for arrays whose second reading is from L2
    ptrdiff_t nontemporal_floats    # y is stored past the caches from this size on; by several threads, 3 / 2 of it
    # Memory
    ptrdiff_t run_floats            # pieces of memory that are shorter cost more, as each begins with a jump
    ptrdiff_t turned_rows           # so many rows of columns begin where y is aligned, and rotate their coefficients
    ptrdiff_t fixed_rows            # coefficients of given statistics are made for so many rows at a time

cdef Tuning tuning      # that of this process
cdef Tuning tuning_for(const normcy_caches *caches) noexcept nogil
cdef void use_tuning(const Tuning *wanted) noexcept nogil
cdef normcy_caches machine_caches() noexcept nogil
