/* Every constant that defines bits of results.
 *
 * Whoever changes one changes results. The hashes have to be made anew (`make bits`), the CHANGELOG has to say so, and
 * the error bounds have to be derived again: docs/decisions/0002-numerics.md takes its figures from here, and
 * tests/bounds.py has them in a table. Constants that decide speed and nothing else are in tuning.h.
 *
 * The coefficients of the activations are in activation_tpl.h, beside the polynomials that they belong to.
 */
#ifndef NORMCY_NUMERICS_H
#define NORMCY_NUMERICS_H

#ifdef __FAST_MATH__
#error "normcy promises the same bits everywhere: build it without -ffast-math"
#endif

enum {
    /* Virtual lanes of a row: lane i sums the values i, i + 16, i + 32, ... on every instruction set. */
    NORMCY_LANES = 16,
    /* Floats of four vectors of sixteen lanes, whose values add up pairwise. */
    NORMCY_QUAD = 4 * NORMCY_LANES,
    /* Floats of a block, whose four quads add up pairwise in registers, in float32; blocks add up in float64. */
    NORMCY_BLOCK = 4 * NORMCY_QUAD,
    /* Rows of up to this many values are summed in float64. RMSNorm, which takes no mean, does it only for shorter
     * ones. */
    NORMCY_EXACT_ROW = NORMCY_BLOCK,
    NORMCY_EXACT_ROW_ABOUT_ZERO = NORMCY_QUAD,
    /* A slot that was summed about zero is summed again about its mean where that is more than 16 std away. */
    NORMCY_FAR_STDS = 16,
    /* A row that was summed about a shift is summed again where the squares about it are more than 7 / 6 of those
     * about the mean: where the shift is more than 0.41 std away from the mean. */
    NORMCY_EXCESS_NUMERATOR = 7,
    NORMCY_EXCESS_DENOMINATOR = 6,

    /* Floats of a slot that one call of a moments kernel takes, and the most such chunks of a slot: longer slots have
     * longer chunks. Chunks merge in the order of their index. */
    NORMCY_CHUNK_FLOATS = 16384,
    NORMCY_MAX_CHUNKS = 64,
    /* Along columns: the floats of a chunk; its fewest rows; and the rows that it grows to while a panel still has
     * NORMCY_LONG_CHUNKS chunks of them. */
    NORMCY_COLS_CHUNK_FLOATS = 2 * NORMCY_CHUNK_FLOATS,
    NORMCY_CHUNK_ROWS = 64,
    NORMCY_LONG_CHUNK_ROWS = 256,
    NORMCY_LONG_CHUNKS = 8,
    /* Slots of a batch that have up to so many values in each sample, and this many samples or more, are summed along
     * columns: their values lie side by side there. */
    NORMCY_SHORT_SEGMENT = 16,
    NORMCY_SHORT_SEGMENTS = 4,
    /* Panels of fewer columns have their rows folded side by side: see cols.pxd. */
    NORMCY_NARROW_COLUMNS = 64,
    /* They are folded where each of the rows that lie side by side gets at least so many rows to add up: their sums are
     * merged, which takes longer than it saves for fewer. */
    NORMCY_FOLDED_ROWS = 8,
    /* Slots of this many values or more are summed in float64 along rows, too: they are out of L1, where memory is the
     * bound and not the arithmetic. */
    NORMCY_EXACT_SLOT = 32768,

    /* Where float32 holds a gain badly, x is scaled by a power of two. It brings the gain to about two to the power of
     * this where the gain is large, and of minus this where it is small; both are within NORMCY_LEAST_A and
     * NORMCY_MOST_A. */
    NORMCY_SCALED_GAIN_EXPONENT = 60,
    /* Such a scale keeps the scaled mean below two to this power: a factor of four below float32's limit. */
    NORMCY_SCALED_MEAN_EXPONENT = 126,
    /* The exponents of float32's smallest and largest power of two, between which every such scale is. */
    NORMCY_LEAST_SCALE_EXPONENT = -149,
    NORMCY_MOST_SCALE_EXPONENT = 127,
};

/* Moments are within float32's comfortable range where the variance is between these and the mean below its limit.
 * Outside, squares in float32 could have underflowed or overflowed. A variance need not reach the least where eps
 * makes up for it: added to it, or, added to its root instead, where eps is at least NORMCY_LEAST_OUTSIDE_EPS. */
#define NORMCY_LEAST_VARIANCE 0x1p-120
#define NORMCY_MOST_VARIANCE 0x1p124
#define NORMCY_MOST_MEAN 0x1p100
#define NORMCY_LEAST_OUTSIDE_EPS 0x1p-48

/* Slots outside of it are rescued: x is scaled by one of these. The first is for large or infinite variances, the
 * second for large means, and the third for variances below NORMCY_SMALL_VARIANCE, if the mean is below
 * NORMCY_SMALL_MEAN: beside a larger mean, float32 has no variance that small but 0. */
#define NORMCY_SCALE_DOWN 0x1p-70
#define NORMCY_SCALE_MEAN 0x1p-2
#define NORMCY_SCALE_UP 0x1p100
#define NORMCY_SMALL_VARIANCE 0x1p-100
#define NORMCY_SMALL_MEAN 0x1p-16

/* A ratio (EvoNorm-B0) whose largest term is this large takes the first of these scales, and one whose largest term is
 * below NORMCY_SMALL_RATIO_TERM the third. */
#define NORMCY_LARGE_RATIO_TERM 0x1p100
#define NORMCY_SMALL_RATIO_TERM 0x1p-100

/* A weight of this magnitude or more, one a value, is applied last: (u * a + b) * w + bias, as a * w could overflow. */
#define NORMCY_HUGE_WEIGHT 0x1p64f

/* Below this magnitude a product a * w is subnormal and has lost digits, so that w is applied last, too. */
#define NORMCY_LEAST_GAIN 0x1p-126f

/* From this magnitude on, a gain into which the weight has folded needs another scale, as float32 ends at twice it. */
#define NORMCY_MOST_GAIN 0x1p127

/* Between these, a times any weight that is not NORMCY_HUGE or NORMCY_TINY is a normal float32. */
#define NORMCY_LEAST_A 0x1p-62
#define NORMCY_MOST_A 0x1p60

#endif
