/* Every constant of the kernels that decides how fast something is and nothing else. None of them changes a bit of any
 * result.
 *
 * They choose which rows and columns are done together, in which order, and what is prefetched. Each value of y is
 * computed from its own x and coefficients alone, and each column is summed in a lane of its own, row after row, so
 * that no choice can be seen in a result. Constants that define bits are in numerics.h. Those of the drivers that
 * decide speed are in src/normcy/_engine/tuning.pyx.
 *
 * A name ends with its unit. docs/decisions/0005-memory.md has measurements of most of them.
 */
#ifndef NORMCY_TUNING_H
#define NORMCY_TUNING_H

/* The apply pass. */
enum {
    /* A tile has this many rows: more would share each load, but their coefficients would not fit sixteen registers. */
    TILE_ROWS = 4,
    /* Rows a multiple of this apart are not done together, which would save loads, because they fall into the same sets
     * of L1: this is the 4 KiB of one way of it. */
    PAGE_FLOATS = 1024,
    /* Rows that share weights or coefficients are done together below this length, which saves loads; longer ones are
     * often a power of two apart, and would push each other out of L1. */
    LONG_ROW_FLOATS = 2048,
    /* Rows that share nothing are done together below this length, so that they do not wait for each other; longer ones
     * have enough to do by themselves. */
    SHORT_ROW_FLOATS = 256,
    /* Rows up to this length are done together even out of cache, as four of them are contiguous; of longer ones, those
     * without weights or gaps are one stream, which has no partial vectors but takes the coefficients of two rows where
     * they meet. */
    TINY_ROW_FLOATS = 192,
    /* Rows of at least this length first store a few floats up to where y is aligned, which costs a partial vector and
     * saves stores that straddle cache lines; it must not be less than the floats of a vector. */
    ALIGNED_ROW_FLOATS = 256,
    /* Rows that are no whole vectors are stored past the caches from this length on, because the line that two rows
     * share has to wait for memory, which costs shorter rows more than they gain. */
    STREAM_STORE_ROW_FLOATS = 2048,
    /* So many floats of a shared weight and bias are used for all rows before the next ones, which reads rows in pieces
     * and keeps both in L1: together they are 16 KiB, half of an L1 of 32 KiB. */
    SHARED_TILE_FLOATS = 2048,
    /* A costly activation follows after so many columns of a tile, so few that it finds y in L1 (four rows are 16 KiB,
     * half of an L1 of 32 KiB), and so many that starting its loop costs little. */
    ACTIVATION_TILE_COLUMNS = 1024,
};

/* The coefficients. */
enum {
    /* They are made in blocks of so many, as long as the constant arrays that stand in for absent ones, which take
     * little of L1. */
    COEFFICIENT_BLOCK = 64,
};

/* The moments of rows. */
enum {
    /* A call prefetches this far ahead at most: far enough that memory answers in time, and so near (8 KiB, a quarter
     * of an L1 of 32 KiB) that the lines are still in L1 when they are read. */
    ROWS_PREFETCH_FLOATS = 2048,
};

/* The moments of columns. */
enum {
    /* A tile has up to this many columns: long rows of memory are fast to read, but the two sums in float64 of each
     * column have to stay in L1 (they are 16 KiB, half of an L1 of 32 KiB). */
    MOMENTS_TILE_COLUMNS = 1024,
    /* So many rows are added to the sums at once: more would load and store the sums less often, but they would be more
     * streams from memory than are fast. */
    SUMMED_ROWS = 8,
    /* Rows without a gap between them prefetch this far ahead, for the same reasons as ROWS_PREFETCH_FLOATS. */
    COLS_PREFETCH_FLOATS = 2048,
    /* They do so if they have at least this many columns; for fewer, the additional instructions gain nothing. */
    COLS_PREFETCH_MIN_COLUMNS = 64,
    /* Rows with gaps prefetch the rows after them if at least so many are added at once; for fewer, the additional
     * instructions gain nothing. */
    COLS_PREFETCH_MIN_ROWS = 4,
};

#endif
