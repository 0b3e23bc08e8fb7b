/* The small vectors between the two passes: merging moments, 1 / std, and the affine coefficients, all in float64.
 * Plain loops: the compiler vectorizes them, and IEEE's correctly rounded operations give the same bits either way. */
#ifndef NORMCY_RSTD_TPL_H
#define NORMCY_RSTD_TPL_H

#include <float.h>
#include <math.h>

#include "kernels/simd/vec.h"

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

typedef struct {
    vf least, most;
} extent;

/* Takes magnitudes into the least and the most of those before. With `zeros`, a zero counts as 1 in the least; a NaN is
 * left out of both. */
INLINE extent widened(extent e, vf v, int zeros) {
    vf size = magnitude(v);
    e.most = larger(size, e.most);
    e.least = smaller(zeros ? choose(size == 0, set1(1), size) : size, e.least);
    return e;
}

INLINE extent extent_of(const float *v, ptrdiff_t count, vf offset, int shifted, int zeros) {
    vf one = set1(1);
    extent e[4] = {{one, one}, {one, one}, {one, one}, {one, one}};
    ptrdiff_t i = 0;
    for (; i + 4 * W <= count; i += 4 * W)
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++)
            e[k] = widened(e[k], shifted ? load(v + i + k * W) + offset : load(v + i + k * W), zeros);
    for (; i < count; i += W) {
        lanes some = first(lanes_left(i, count));
        e[0] = widened(e[0], first_lanes(some, load_part(v + i, some) + offset, one), zeros);
    }
    for (int k = 1; k < 4; k++)
        e[0] = (extent){smaller(e[k].least, e[0].least), larger(e[k].most, e[0].most)};
    return e[0];
}

/* These thresholds leave a factor of 2 to those by which the kernels choose a form for each element. */
static int weight_range(const float *v, ptrdiff_t count, float offset) {
    vf least = set1(2 * NORMCY_LEAST_GAIN / (float)NORMCY_LEAST_A), most = set1(NORMCY_HUGE_WEIGHT / 2);
    vf shift = set1(offset);
    extent e = offset != 0 ? extent_of(v, count, shift, 1, 0) : extent_of(v, count, shift, 0, 0);
    if (any(e.least == 0)) /* rarely: zeros hide what is just above them */
        e.least = extent_of(v, count, shift, 1, 1).least;
    return (any(e.most >= most) ? NORMCY_HUGE : 0) | (any(e.least < least) ? NORMCY_TINY : 0);
}

static int huge(const float *v, ptrdiff_t count) {
    vf most = {0};
    for (ptrdiff_t i = 0; i < count; i += W)
        most = larger(magnitude(load_part(v + i, first(lanes_left(i, count)))), most);
    return any(most >= set1(NORMCY_HUGE_WEIGHT / 2));
}

/* A finite gain stays finite: in a constant slot with a tiny eps it multiplies an exact 0. */
INLINE float gain_to_float(double gain) {
    double limited = gain > FLT_MAX ? FLT_MAX : gain < -FLT_MAX ? -FLT_MAX : gain;
    return (float)(fabs(gain) < INFINITY ? limited : gain);
}

/* The term of b that makes up for the rounding of the mean to float32. An infinite mean or gain would make it NaN or
 * infinite; the mean is exact in float32 then, and the term is 0. */
INLINE double mean_rest(double mean, float mean_f32, double gain) {
    double rest = (mean - mean_f32) * gain;
    return fabs(rest) < INFINITY ? rest : 0;
}

INLINE void coefficient_loop(ptrdiff_t count, const double *restrict mean, const double *restrict rstd,
                             const double *restrict shift_after, const float *restrict weight, double offset,
                             const float *restrict bias, float *restrict mean_f32, float *restrict a,
                             float *restrict b) {
    for (ptrdiff_t k = 0; k < count; k++) {
        double w = weight ? weight[k] + offset : 1, gain = rstd ? rstd[k] * w : w;
        double shift = (bias ? bias[k] : 0) + (shift_after ? shift_after[k] * w : 0);
        float h = mean ? (float)mean[k] : 0;
        mean_f32[k] = h;
        a[k] = gain_to_float(gain);
        b[k] = (float)(mean ? shift - mean_rest(mean[k], h, gain) : shift);
    }
}

/* Whether all coefficients are such as float32 holds well, which nearly all are: a look at a and mean_f32 is cheap. */
INLINE int all_fit(ptrdiff_t count, const float *mean_f32, const float *a, float least, float most) {
    vf fitting = set1(1);
    vi fits = fitting == fitting;
    for (ptrdiff_t i = 0; i < count; i += W) {
        lanes some = first(lanes_left(i, count));
        vf size = magnitude(load_or(fitting, a + i, some));
        fits &= (size >= set1(least)) & (size < set1(most)) &
                (magnitude(load_part(mean_f32 + i, some)) < set1((float)NORMCY_MOST_MEAN));
    }
    return !any(~fits);
}

/* Counts the coefficients that do not fit. A gain that is exactly 0, or NaN, needs no other scale. */
static ptrdiff_t count_unfit(ptrdiff_t count, const double *mean, const double *rstd, const float *scale,
                             const float *weight, double offset, double least, double most) {
    ptrdiff_t odd = 0;
    for (ptrdiff_t k = 0; k < count; k++) {
        double gain = (rstd ? rstd[k] : 1) * (weight ? weight[k] + offset : 1) / (scale ? scale[k] : 1);
        int small = fabs(gain) < least && gain != 0, large = fabs(gain) >= most;
        odd += small || large || (mean && !scale && fabs(mean[k]) >= NORMCY_MOST_MEAN);
    }
    return odd;
}

/* Never x * a + b with the whole mean in b, which cancels: mean_f32 is the float32 mean, what it lacks goes into b. */
static ptrdiff_t coefficients(ptrdiff_t count, const double *mean, const double *rstd, const double *shift_after,
                              const float *restrict scale, const float *restrict weight, double offset,
                              const float *restrict bias, double least, double most, float *restrict mean_f32,
                              float *restrict a, float *restrict b) {
    if (mean && rstd && !shift_after) /* nearly always: a loop without choices */
        coefficient_loop(count, mean, rstd, NULL, weight, offset, bias, mean_f32, a, b);
    else
        coefficient_loop(count, mean, rstd, shift_after, weight, offset, bias, mean_f32, a, b);
    for (ptrdiff_t k = 0; scale && k < count; k++) {
        double gain = (rstd ? rstd[k] : 1) * (weight ? weight[k] + offset : 1);
        mean_f32[k] *= scale[k];
        a[k] = gain_to_float(gain / scale[k]);
    }
    if (all_fit(count, mean_f32, a, (float)least, (float)most))
        return 0;
    return count_unfit(count, mean, rstd, scale, weight, offset, least, most);
}

#endif
