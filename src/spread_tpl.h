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

typedef struct {
    vf least, most;
} extent;

/* The larger of what there was and |v + offset|, and the smaller; `zeros`: 0 counts as `zero` in the smaller. */
INLINE extent widened(extent e, vf v, vf offset, int zeros, vf zero) {
    vf size = magnitude(v + offset);
    e.most = larger(size, e.most);
    e.least = smaller(zeros ? choose(size == 0, zero, size) : size, e.least);
    return e;
}

INLINE extent extent_of(const float *v, ptrdiff_t count, float offset, int zeros) {
    vf one = set1(1), shift = set1(offset);
    extent e[4] = {{one, one}, {one, one}, {one, one}, {one, one}};
    ptrdiff_t i = 0;
    for (; i + 4 * W <= count; i += 4 * W)
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++)
            e[k] = widened(e[k], load(v + i + k * W), shift, zeros, one);
    for (; i < count; i += W) {
        lanes some = first(lanes_left(i, count));
        e[0] = widened(e[0], load_or(one - shift, v + i, some), shift, zeros, one);
    }
    for (int k = 1; k < 4; k++)
        e[0] = (extent){smaller(e[k].least, e[0].least), larger(e[k].most, e[0].most)};
    return e[0];
}

/* Thresholds that the kernels' own choice, element by element, is well within. */
static int weight_range(const float *v, ptrdiff_t count, float offset) {
    vf least = set1(2 * NORMCY_LEAST_GAIN / (float)NORMCY_LEAST_A), most = set1(NORMCY_HUGE_WEIGHT / 2);
    extent e = extent_of(v, count, offset, 0);
    if (any(e.least == 0)) /* rarely: zeros hide what is just above them */
        e.least = extent_of(v, count, offset, 1).least;
    return (any(e.most >= most) ? NORMCY_HUGE : 0) | (any(e.least < least) ? NORMCY_TINY : 0) |
           (any(e.most == set1(INFINITY)) ? NORMCY_INFINITE : 0);
}

/* A finite gain stays finite: in a constant slot with a tiny eps it multiplies an exact 0. */
INLINE float gain_to_float(double gain) {
    double limited = gain > FLT_MAX ? FLT_MAX : gain < -FLT_MAX ? -FLT_MAX : gain;
    return (float)(fabs(gain) < INFINITY ? limited : gain);
}

/* What the float32 mean lacks, as a term of b. Without a finite mean and gain it is NaN, where it has to be nothing. */
INLINE double lack_of(double mean, float hi, double gain) {
    double lack = (mean - hi) * gain;
    return fabs(lack) < INFINITY ? lack : 0;
}

/* Whether a gain is one that `coefficients` counts; NaN is not. */
INLINE int beyond(double gain, double least, double most) {
    return ((fabs(gain) < least) & (gain != 0)) | (fabs(gain) >= most);
}

INLINE ptrdiff_t coefficient_loop(ptrdiff_t count, const double *restrict mean, const double *restrict rstd,
                                  const double *restrict lift, const float *restrict weight, double offset,
                                  const float *restrict bias, double least, double most, float *restrict hi,
                                  float *restrict a, float *restrict b) {
    ptrdiff_t odd = 0;
    for (ptrdiff_t k = 0; k < count; k++) {
        double w = weight ? weight[k] + offset : 1, gain = rstd ? rstd[k] * w : w;
        double shift = (bias ? bias[k] : 0) + (lift ? lift[k] * w : 0);
        float h = mean ? (float)mean[k] : 0;
        hi[k] = h;
        a[k] = gain_to_float(gain);
        b[k] = (float)(mean ? shift - lack_of(mean[k], h, gain) : shift);
        odd += beyond(gain, least, most) | (mean ? fabs(mean[k]) >= 0x1p100 : 0);
    }
    return odd;
}

/* Never x * a + b with the whole mean in b, which cancels: hi is the float32 mean, what it lacks goes into b. */
static ptrdiff_t coefficients(ptrdiff_t count, const double *mean, const double *rstd, const double *lift,
                              const float *restrict scale, const float *restrict weight, double offset,
                              const float *restrict bias, double least, double most, float *restrict hi,
                              float *restrict a, float *restrict b) {
    ptrdiff_t odd;
    if (mean && rstd && !lift) /* nearly always: a loop without choices */
        odd = coefficient_loop(count, mean, rstd, NULL, weight, offset, bias, least, most, hi, a, b);
    else
        odd = coefficient_loop(count, mean, rstd, lift, weight, offset, bias, least, most, hi, a, b);
    if (!scale)
        return odd;
    odd = 0;
    for (ptrdiff_t k = 0; k < count; k++) {
        double gain = (rstd ? rstd[k] : 1) * (weight ? weight[k] + offset : 1) / scale[k];
        hi[k] *= scale[k];
        a[k] = gain_to_float(gain);
        odd += beyond(gain, least, most);
    }
    return odd;
}

#endif
