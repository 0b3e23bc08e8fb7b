"""Every constant of the engine that decides how fast something is and nothing else. None changes a bit of any result.

They were measured on CPUs with 1 to 2 MiB of L2 for each core. A name says its unit. Those of the kernels are in
src/kernels/tuning.h.
"""

cdef enum:
    # Threads
    PARALLEL_MIN_FLOATS = 49152     # from which a second thread pays for its start
    PART_MIN_FLOATS = 4096          # of a part, in arrays that have enough for two

    # What stays in which cache
    TILE_FLOATS = 2048              # of short slots that go through both passes within L1: 8 KiB, and their y
    TASK_FLOATS = 49152             # of a local task, 192 KiB: both passes find them in L2
    IN_CACHE_FLOATS = 1048576       # of an array that is in some cache even beside others' use of it
    LOCAL_IN_CACHE_FLOATS = 4194304     # the same where the apply pass finds x in L2
    NONTEMPORAL_FLOATS = 4194304    # a thread, of an array whose y is better written past the caches
    COLUMNS_IN_L1 = 1024            # columns whose coefficients stay in L1 while rows of arrays in cache go by

    # Slots along rows
    SHORT_SLOT_FLOATS = 128         # below which what a tile costs counts more than where x is
    SEGMENT_RUN_FLOATS = 16384      # of slots with segments: shorter pieces of memory cost more jumps than L2 gains
    LONG_WEIGHT_FLOATS = 1024       # of a weight and of a bias that leave room for a tile
    SHARING_ROWS = 8                # the fewest of a tile where they share longer weights

    # Slots along columns
    TURNED_ROWS = 32                # from which it pays to begin them where y is aligned
    FIXED_STATISTICS_ROWS = 256     # that coefficients are made for; they take as long as some rows
    CACHE_LINE_BYTES = 64

    # Copies
    COPY_FLOATS = 16384             # of one memcpy: one of megabytes goes past the caches, and took a fifth longer
