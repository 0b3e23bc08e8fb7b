/* Merging moments: the parallel form of Welford's update (Chan, Golub and LeVeque), in float64. */
#ifndef NORMCY_MOMENTS_MERGE_TPL_H
#define NORMCY_MOMENTS_MERGE_TPL_H

#include "kernels/simd/vec.h"

/* The compiler vectorizes this loop, which cannot change its bits: IEEE's operations round correctly either way. */
static void merge(ptrdiff_t count, double n, double *restrict mean, double *restrict m2, double n_b,
                  const double *restrict mean_b, const double *restrict m2_b) {
    double share = n_b / (n + n_b), weight = n * share;
    for (ptrdiff_t k = 0; k < count; k++) {
        double d = mean_b[k] - mean[k];
        mean[k] += d * share;
        m2[k] += m2_b[k] + d * d * weight;
    }
}

#endif
