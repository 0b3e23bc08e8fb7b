/* The small vectors between the two passes: merging moments, 1 / std, and the affine coefficients, all in float64.
 * Plain loops: the compiler vectorizes them, and IEEE's correctly rounded operations give the same bits either way. */
#ifndef NORMCY_SPREAD_TPL_H
#define NORMCY_SPREAD_TPL_H

#include <float.h>
#include <math.h>

#include "vec.h"

static void merge(ptrdiff_t count, double n, double *restrict mean, double *restrict m2, double n_b,
                  const double *restrict mean_b, const double *restrict m2_b) {
    double share = n_b / (n + n_b), weight = n * share;
    for (ptrdiff_t k = 0; k < count; k++) {
        double d = mean_b[k] - mean[k];
        mean[k] += d * share;
        m2[k] += m2_b[k] + d * d * weight;
    }
}

/* Smallest variance that float32 squares still resolve beside eps: below it underflow could show. */
static double least_variance(const normcy_spread *how) {
    if (how->outside_sqrt)
        return how->eps >= 0x1p-48 ? 0 : 0x1p-120;
    return 0x1p-120 - how->eps;
}

static ptrdiff_t spread(ptrdiff_t count, const double *restrict mean, const double *restrict m2,
                        const normcy_spread *how, double *restrict rstd) {
    double dof = how->count - how->correction, eps = how->eps, least = least_variance(how);
    double inside = how->outside_sqrt ? 0 : eps, outside = how->outside_sqrt ? eps : 0;
    double at_zero = how->zero_guard ? 0 : INFINITY, share = 1 / (dof < 0 ? 0 : dof);
    ptrdiff_t abnormal = 0;
    for (ptrdiff_t k = 0; k < count; k++) {
        double var = m2[k] * share, std = sqrt(var + inside) + outside;
        rstd[k] = std == 0 ? at_zero : 1 / std;
        abnormal += !((var >= least) & (var < 0x1p124) & (fabs(mean[k]) < 0x1p100));
    }
    return abnormal;
}

static int extreme(const float *v, ptrdiff_t count) {
    vf most[4] = {{0}};
    ptrdiff_t i = 0;
    for (; i + 4 * W <= count; i += 4 * W)
        for (int k = 0; k < 4; k++)
            most[k] = larger(magnitude(load(v + i + k * W)), most[k]);
    for (; i < count; i += W)
        most[0] = larger(magnitude(load_part(v + i, first(lanes_left(i, count)))), most[0]);
    return any(larger(larger(most[0], most[1]), larger(most[2], most[3])) >= set1(NORMCY_EXTREME));
}

/* A finite gain stays finite: in a constant slot with a tiny eps it multiplies an exact 0. */
INLINE float gain_to_float(double gain) {
    double limited = gain > FLT_MAX ? FLT_MAX : gain < -FLT_MAX ? -FLT_MAX : gain;
    return (float)(fabs(gain) < INFINITY ? limited : gain);
}

INLINE void coefficient_loop(ptrdiff_t count, const double *restrict mean, const double *restrict rstd,
                             const double *restrict lift, const float *restrict weight, double offset,
                             const float *restrict bias, float *restrict hi, float *restrict a, float *restrict b) {
    for (ptrdiff_t k = 0; k < count; k++) {
        double w = weight ? weight[k] + offset : 1, gain = rstd ? rstd[k] * w : w;
        double shift = (bias ? bias[k] : 0) + (lift ? lift[k] * w : 0);
        float h = mean ? (float)mean[k] : 0;
        hi[k] = h;
        a[k] = gain_to_float(gain);
        b[k] = (float)(mean ? shift - (mean[k] - h) * gain : shift);
    }
}

/* Never x * a + b with the whole mean in b, which cancels: hi is the float32 mean, what it lacks goes into b. */
static void coefficients(ptrdiff_t count, const double *mean, const double *rstd, const double *lift,
                         const float *restrict scale, const float *restrict weight, double offset,
                         const float *restrict bias, float *restrict hi, float *restrict a, float *restrict b) {
    if (mean && rstd && !lift) /* nearly always: a loop without choices */
        coefficient_loop(count, mean, rstd, NULL, weight, offset, bias, hi, a, b);
    else
        coefficient_loop(count, mean, rstd, lift, weight, offset, bias, hi, a, b);
    if (!scale)
        return;
    for (ptrdiff_t k = 0; k < count; k++) {
        double gain = (rstd ? rstd[k] : 1) * (weight ? weight[k] + offset : 1);
        hi[k] *= scale[k];
        a[k] = gain_to_float(gain / scale[k]);
    }
}

#endif
