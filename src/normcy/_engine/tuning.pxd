"""Every constant of the engine that decides how fast something is and nothing else. None changes a bit of any result.

They were measured on CPUs with 32 to 48 KiB of L1 and 1 to 2 MiB of L2 for each core, and 32 MiB of L3 and more. A name
ends with its unit. Those of the kernels are in src/kernels/tuning.h. NORMCY_CHUNK_FLOATS and NORMCY_EXACT_SLOT in
src/kernels/numerics.h came from cache sizes, too, but define bits.
"""

cdef enum:
    # --- Threads ---
    # A second thread pays for its start in arrays of this many floats and more.
    PARALLEL_MIN_FLOATS = 49152
    # Each thread has at least this many floats to work on.
    PART_MIN_FLOATS = 4096
    # Calls over this many floats and more read for how long their caller had a CPU, which takes 1 us and tells whether
    # it was without one. The other constants of crowded machines are in src/runtime/crowding.c.
    CPU_TIME_MIN_FLOATS = 524288

    # --- L1 ---
    # A tile of short slots goes through both passes while it is in L1: 8 KiB of x and 8 KiB of y are half of 32 KiB.
    # Arrays out of the caches have tiles of twice that, since y is stored past L1. A part has room for such a tile on
    # its stack (sum_tile in rows.pyx), which MIN_STACK_BYTES in src/runtime/threads.c counts on.
    TILE_FLOATS = 2048
    # In arrays that are in cache, the coefficients of this many columns stay in L1 while rows go by.
    COLUMNS_IN_L1 = 1024
    # A weight and a bias up to this length leave room for a tile in L1. Rows that share longer ones are taken in tiles
    # of at least SHARING_ROWS rows, so that the weights are loaded once for all of them.
    LONG_WEIGHT_FLOATS = 1024
    SHARING_ROWS = 8
    # Slots below this length are taken in long tiles if they are in L2: to start a tile costs more than L1 gains.
    SHORT_SLOT_FLOATS = 128

    # --- L2 ---
    # A task takes about this many floats through both passes while they are in L2: 192 KiB of x and 192 KiB of y are a
    # third of 1 MiB. Columns may have twice that, which is two thirds. It goes in proportion to L2.
    TASK_FLOATS = 49152
    # A tile of columns has at least so many, and a multiple of so many, because narrower ones are slow to read. The
    # least must not be below NORMCY_NARROW_COLUMNS: only whole panels are folded.
    TILE_MIN_COLUMNS = 128
    TILE_STEP_COLUMNS = 64

    # --- L3 ---
    # Arrays up to this size, 4 MiB, an eighth of 32 MiB, are in L2 or L3 when they are read for the second time,
    # whatever else is there.
    IN_CACHE_FLOATS = 1048576
    # Arrays up to this size are in L3 for the next call: 16 MiB of x and of y are 32 MiB. The second pass of a task
    # finds x in L2.
    LOCAL_IN_CACHE_FLOATS = 4194304
    # A y of this many floats and more for each thread is stored past the caches, where it would only evict x. It goes
    # in proportion to L3.
    NONTEMPORAL_FLOATS = 4194304

    # --- Memory ---
    # Slots of several segments are taken in tiles of so many floats of each segment: shorter pieces of memory cost
    # more, as each begins with a jump, than L2 gains.
    SEGMENT_RUN_FLOATS = 16384
    # Columns of at least this many rows begin where y is aligned, and their coefficients are rotated for that.
    TURNED_ROWS = 32
    # Statistics from outside: coefficients are made for this many rows at a time, as they take as long as some rows.
    FIXED_STATISTICS_ROWS = 256
    CACHE_LINE_BYTES = 64
    # A copy for comparison is made of calls of memcpy of this size; for megabytes, memcpy itself goes past the caches,
    # which took a fifth longer.
    COPY_FLOATS = 16384
