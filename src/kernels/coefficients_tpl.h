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

INLINE void coefficient_loop(ptrdiff_t count, const double *restrict mean, const double *restrict rstd,
                             const double *restrict shift_after, const float *restrict weight, double offset,
                             const float *restrict bias, float *restrict mean_f32, float *restrict a,
                             float *restrict b) {
    for (ptrdiff_t k = 0; k < count; k++) {
        double w = weight ? weight[k] + offset : 1, gain = rstd ? rstd[k] * w : w;
        double after = (bias ? bias[k] : 0) + (shift_after ? shift_after[k] * w : 0);
        float rounded = mean ? (float)mean[k] : 0;
        mean_f32[k] = rounded;
        a[k] = gain_to_float(gain);
        b[k] = (float)(mean ? after - mean_rest(mean[k], rounded, gain) : after);
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
