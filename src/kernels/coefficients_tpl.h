/* The coefficients of the affine step y = (x - mean_f32) * a + b, computed in float64.
 *
 * (A) b holds no more of the mean than mean_f32 lacks: b = bias - (mean - mean_f32) * a.
 *     Reason: x * a + b with the whole mean in b cancels where the mean is large beside the deviation.
 * (B) A gain that is beyond float32 becomes its largest value, unless it is infinite.
 *     Reason: in a constant slot with a tiny eps it multiplies an exact 0, and the product has to be 0, not NaN.
 */
#ifndef NORMCY_COEFFICIENTS_TPL_H
#define NORMCY_COEFFICIENTS_TPL_H

#include <float.h>
#include <math.h>

#include "kernels/simd/vec.h"
#include "kernels/tuning.h"

INLINE float gain_to_float(double gain) {
    double limited = gain > FLT_MAX ? FLT_MAX : gain < -FLT_MAX ? -FLT_MAX : gain;
    return (float)(fabs(gain) < INFINITY ? limited : gain);
}

/* The part of b that makes up for the rounding of the mean. It would be infinite or NaN where the mean or the gain is
 * infinite. The mean is exact in float32 then, and the part is 0. */
INLINE double mean_rest(double mean, float mean_f32, double gain) {
    double rest = (mean - mean_f32) * gain;
    return fabs(rest) < INFINITY ? rest : 0;
}

/* What stands in for arrays that are absent, a block of them. With a choice in the loop instead, the compiler would
 * load from NULL under an empty mask, which costs hundreds of cycles each time. */
static const double absent_mean[COEFFICIENT_BLOCK];
static const float absent_bias[COEFFICIENT_BLOCK];
#define ONES_4 1, 1, 1, 1
#define ONES_16 ONES_4, ONES_4, ONES_4, ONES_4
#define ONES_64 ONES_16, ONES_16, ONES_16, ONES_16
static const double absent_rstd[COEFFICIENT_BLOCK] = {ONES_64};
static const float absent_weight[COEFFICIENT_BLOCK] = {ONES_64};

/* The coefficients of a block, of which no array is absent but shift_after, for which a 0 would not do beside an
 * infinite weight. `limited`, a compile-time constant, says whether gains may be beyond float32, or means infinite. */
INLINE void coefficients_of_block(int count, const double *restrict mean, const double *restrict rstd,
                                  const double *restrict shift_after, const float *restrict weight, double offset,
                                  const float *restrict bias, float *restrict mean_f32, float *restrict a,
                                  float *restrict b, int limited) {
    for (int k = 0; k < count; k++) {
        double w = weight[k] + offset, gain = rstd[k] * w, after = bias[k] + (shift_after ? shift_after[k] * w : 0);
        float rounded = (float)mean[k];
        mean_f32[k] = rounded;
        a[k] = limited ? gain_to_float(gain) : (float)gain;
        b[k] = (float)(after - (limited ? mean_rest(mean[k], rounded, gain) : (mean[k] - rounded) * gain));
    }
}

/* The same with a scale for x. */
INLINE void scale_block(int count, const double *restrict rstd, const float *restrict scale,
                        const float *restrict weight, double offset, float *restrict mean_f32, float *restrict a) {
    for (int k = 0; k < count; k++) {
        mean_f32[k] *= scale[k];
        a[k] = gain_to_float(rstd[k] * (weight[k] + offset) / scale[k]);
    }
}

/* The coefficients of all, block by block. */
INLINE void all_coefficients(ptrdiff_t count, const double *mean, const double *rstd, const double *shift_after,
                             const float *scale, const float *weight, double offset, const float *bias, float *mean_f32,
                             float *a, float *b, int limited) {
    for (ptrdiff_t k = 0; k < count; k += COEFFICIENT_BLOCK) {
        int n = count - k < COEFFICIENT_BLOCK ? (int)(count - k) : COEFFICIENT_BLOCK;
        const double *means = mean ? mean + k : absent_mean, *rstds = rstd ? rstd + k : absent_rstd;
        const float *weights = weight ? weight + k : absent_weight, *biases = bias ? bias + k : absent_bias;
        double plus = weight ? offset : 0;
        if (shift_after)
            coefficients_of_block(n, means, rstds, shift_after + k, weights, plus, biases, mean_f32 + k, a + k, b + k,
                                  limited);
        else
            coefficients_of_block(n, means, rstds, NULL, weights, plus, biases, mean_f32 + k, a + k, b + k, limited);
        if (scale)
            scale_block(n, rstds, scale + k, weights, plus, mean_f32 + k, a + k);
    }
}

/* Returns 1 if float32 holds all coefficients well, which is nearly always so. This check is cheap, because it looks at
 * the results alone; after a 0, count_unfit has to take a closer look. */
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
    ptrdiff_t unfit = 0;
    for (ptrdiff_t k = 0; k < count; k++) {
        double gain = (rstd ? rstd[k] : 1) * (weight ? weight[k] + offset : 1) / (scale ? scale[k] : 1);
        int small = fabs(gain) < least && gain != 0, large = fabs(gain) >= most;
        unfit += small || large || (mean && !scale && fabs(mean[k]) >= NORMCY_MOST_MEAN);
    }
    return unfit;
}

/* Where all coefficients fit, no limit could have changed them: they are computed without limits first. */
static ptrdiff_t coefficients(ptrdiff_t count, const double *mean, const double *rstd, const double *shift_after,
                              const float *scale, const float *weight, double offset, const float *bias, double least,
                              double most, float *mean_f32, float *a, float *b) {
    if (!scale) {
        all_coefficients(count, mean, rstd, shift_after, NULL, weight, offset, bias, mean_f32, a, b, 0);
        if (all_fit(count, mean_f32, a, (float)least, (float)most))
            return 0;
    }
    all_coefficients(count, mean, rstd, shift_after, scale, weight, offset, bias, mean_f32, a, b, 1);
    if (all_fit(count, mean_f32, a, (float)least, (float)most))
        return 0;
    return count_unfit(count, mean, rstd, scale, weight, offset, least, most);
}

#endif
