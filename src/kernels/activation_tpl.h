/* Activations: relu, and z / (1 + exp(-p(z))) for silu and both gelus, which differ in the polynomial p alone.
 *
 * (A) exp(-p) = 2^(8 t), t = -p / (8 ln 2). 8 t = n + 8 f with n = round(8 t) by the magic constant, which leaves
 *     n + 127 in its low bits: the exponent of 2^n. 2^(8 f) is a ratio (u + v) / (u - v), u even and v odd in f, to
 *     2^-33 on [-1/2, 1/2]; so one division is enough: z (u - v) / ((u - v) + (u + v) 2^n). exp by a polynomial, and
 *     then the division, takes half as long again. That v's highest coefficient is 1 saves a multiplication; t counts
 *     eighths because u - v is then 0.58 to 0.83, so that no z overflows in the numerator.
 * (B) silu: p(z) = z. gelu_tanh: p(z) = 2 sqrt(2 / pi) (z + 0.044715 z^3), as (1 + tanh u) / 2 = 1 / (1 + exp(-2u)).
 *     gelu: p(z) = log(Phi(z) / Phi(-z)), an odd function, as z Q(z^2); Q is fitted so that 1 / (1 + exp(-p)) is within
 *     0.53 * 2^-24 of Phi for every z. That costs a third of erf by its own series, and shares all the rest.
 *     All of them give t at once: -1 / (8 ln 2) is in the coefficients.
 * (C) The error is at most 3 * 2^-24 * |z|, on the scale of the error that z itself brings. No contraction, no library:
 *     the same bits everywhere.
 */
#ifndef NORMCY_ACTIVATION_TPL_H
#define NORMCY_ACTIVATION_TPL_H

#include "kernels/simd/vec.h"

/* numerator / (1 + 2^(8 t)): what every activation here, and EvoNorm-S0, come to. */
INLINE vf logistic(vf numerator, vf t) {
    const float magic = 0x1.8p20f + 127 / 8.f;
    t = at_most(at_least(t, -127 / 8.f), 128 / 8.f); /* the ends are 2^n = 0 and inf */
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
            store(y + j, f);                                                                                           \
        }                                                                                                              \
        if (j < n) {                                                                                                   \
            vf z = load_part(y + j, first((int)(n - j)));                                                              \
            store_part(y + j, f, first((int)(n - j)));                                                                 \
        }                                                                                                              \
    } while (0)

/* The costly ones, in place over a few floats in L1: a pass of their own there, so that the apply pass has no variant
 * for each. */
static void activate(float *y, ptrdiff_t n, normcy_activation how) {
    if (how == NORMCY_SILU)
        ACTIVATE(logistic(z, silu_logit(z)));
    else if (how == NORMCY_GELU)
        ACTIVATE(logistic(z, gelu_logit(z)));
    else
        ACTIVATE(logistic(z, gelu_tanh_logit(z)));
}

#undef ACTIVATE
#endif
