/* Activations: relu, and z / (1 + exp(-p(z))) for silu and both gelus, which differ in the polynomial p alone.
 *
 * (A) exp(-p) = 2^(8 t) with t = -p / (8 ln 2). The integer n = round(8 t) is found by adding a magic constant, which
 *     leaves n + 127 in the lowest bits of the sum: the exponent of 2^n. With 8 t = n + 8 f, 2^(8 f) is a ratio
 *     (u + v) / (u - v), where u is even in f and v is odd; it is within 2^-33 of it for 8 f from -1/2 to 1/2.
 *     So one division is enough: z (u - v) / ((u - v) + (u + v) 2^n).
 *     Reason: a polynomial for exp and then the division take half as long again.
 * (B) The highest coefficient of v is 1, which saves a multiplication. t counts eighths, so that u - v is from 0.58 to
 *     0.83, and no z overflows in the numerator.
 * (C) silu: p(z) = z. gelu_tanh: p(z) = 2 sqrt(2 / pi) (z + 0.044715 z^3), as (1 + tanh u) / 2 = 1 / (1 + exp(-2u)).
 *     gelu: p(z) = log(Phi(z) / Phi(-z)), an odd function, is z Q(z^2). Q is fitted so that 1 / (1 + exp(-p)) is within
 *     0.53 * 2^-24 of Phi for every z. The coefficients include -1 / (8 ln 2), so that each gives t at once.
 *     Reason: that costs a third of what a series for erf would, and all the rest is shared.
 * (D) The error is at most 3 * 2^-24 * |z|, which is the size of the error that z itself brings.
 * (E) There is no contraction and no call of a library, so that the bits are the same everywhere.
 */
#ifndef NORMCY_ACTIVATION_TPL_H
#define NORMCY_ACTIVATION_TPL_H

#include "kernels/simd/vec.h"

/* numerator / (1 + 2^(8 t)). All activations but relu are of this form, and so is EvoNorm-S0. */
INLINE vf logistic(vf numerator, vf t) {
    const float magic = 0x1.8p20f + 127 / 8.f;
    t = at_most(at_least(t, -127 / 8.f), 128 / 8.f); /* at these limits 2^n is 0 and inf */
    vf shifted = t + magic, f = t - (shifted - magic), w = f * f;
    vf u = 0x1.68e008p-1f + 0x1.15580ep+1f * w, v = f * (0x1.f44778p+0f + w), below = u - v;
    return numerator * below / (below + (u + v) * (vf)((vu)shifted << 23));
}

INLINE vf silu_logit(vf z) {
    return -0x1.715476p-3f * z;
}

INLINE vf gelu_tanh_logit(vf z) {
    return z * (-0x1.26aec2p-2f + z * z * -0x1.a5a7dp-7f);
}

INLINE vf gelu_logit(vf z) {
    vf t = at_most(z * z, 36);
    vf u = t * t, even = -0x1.26aeccp-2f + u * (0x1.87e81ap-17f + u * (-0x1.823ebap-20f + u * -0x1.6c1468p-31f));
    vf odd = -0x1.ad672p-7f + u * (0x1.4f53eap-16f + u * 0x1.a12bcep-25f);
    return z * (even + t * odd);
}

INLINE vf relu(vf z) {
    return at_least(z, 0);
}

#define ACTIVATE(f)                                                                                                    \
    do {                                                                                                               \
        ptrdiff_t j = 0;                                                                                               \
        for (; j + W <= n; j += W) {                                                                                   \
            vf z = load(y + j);                                                                                        \
            prefetch_to_l2(next + j);                                                                                  \
            store(y + j, f);                                                                                           \
        }                                                                                                              \
        if (j < n) {                                                                                                   \
            vf z = load_part(y + j, first((int)(n - j)));                                                              \
            store_part(y + j, f, first((int)(n - j)));                                                                 \
        }                                                                                                              \
    } while (0)

/* Applies a costly activation, any but relu, to n floats in L1, in place, and meanwhile prefetches n floats from `next`
 * on. */
static void activate(float *y, ptrdiff_t n, normcy_activation how, const float *next) {
    if (how == NORMCY_SILU)
        ACTIVATE(logistic(z, silu_logit(z)));
    else if (how == NORMCY_GELU)
        ACTIVATE(logistic(z, gelu_logit(z)));
    else
        ACTIVATE(logistic(z, gelu_tanh_logit(z)));
}

#undef ACTIVATE
#endif
