/* Computes 1 / std from moments, in float64. */
#ifndef NORMCY_RSTD_TPL_H
#define NORMCY_RSTD_TPL_H

#include <math.h>

#include "kernels/simd/vec.h"

/* The smallest variance whose squares in float32 are exact enough beside eps. Below it, their underflow could show. */
static double least_variance(const normcy_rstd_options *options) {
    if (options->outside_sqrt)
        return options->eps >= NORMCY_LEAST_OUTSIDE_EPS ? 0 : NORMCY_LEAST_VARIANCE;
    return NORMCY_LEAST_VARIANCE - options->eps;
}

static ptrdiff_t rstd(ptrdiff_t count, const double *restrict mean, const double *restrict m2,
                      const normcy_rstd_options *options, double *restrict rstd) {
    double dof = options->count - options->correction, eps = options->eps, least = least_variance(options);
    double inside = options->outside_sqrt ? 0 : eps, outside = options->outside_sqrt ? eps : 0;
    double at_zero = options->zero_guard ? 0 : INFINITY, share = 1 / (dof < 0 ? 0 : dof);
    ptrdiff_t abnormal = 0;
    for (ptrdiff_t k = 0; k < count; k++) {
        double var = m2[k] * share, std = sqrt(var + inside) + outside;
        rstd[k] = std == 0 ? at_zero : 1 / std;
        abnormal += !((var >= least) & (var < NORMCY_MOST_VARIANCE) & (fabs(mean[k]) < NORMCY_MOST_MEAN));
    }
    return abnormal;
}

#endif
