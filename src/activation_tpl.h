/* Activations: relu, and z / (1 + exp(-p(z))) for silu and both gelus, which differ in the polynomial p alone.
 *
 * (A) exp: n = round(t / ln 2) by the magic constant, e^r by a polynomial of degree 5 on |r| <= ln 2 / 2, 2^n by the
 *     exponent bits. Relative error below 4 * 2^-24; no contraction, no library: the same bits everywhere.
 * (B) silu: p(z) = z. gelu_tanh: p(z) = 2 sqrt(2 / pi) (z + 0.044715 z^3), as (1 + tanh u) / 2 = 1 / (1 + exp(-2u)).
 *     gelu: p(z) = log(Phi(z) / Phi(-z)), an odd function, as z Q(z^2); Q is fitted so that 1 / (1 + exp(-p)) is within
 *     0.5 * 2^-24 of Phi for every z. That costs a third of erf by its own series, and shares all the rest.
 * (C) The error is at most 3 * 2^-24 * |z|, on the scale of the error that z itself brings.
 */
#ifndef NORMCY_ACTIVATION_TPL_H
#define NORMCY_ACTIVATION_TPL_H

#include "vec.h"

INLINE vf exp_of(vf t) {
    const float magic = 0x1.8p23f;
    t = at_most(at_least(t, -87), 89); /* 89 gives n = 128, whose exponent bits are those of inf */
    vf shifted = t * 0x1.715476p+0f + magic, n = shifted - magic;
    vf r = (t - n * 0x1.63p-1f) - n * -0x1.bd0106p-13f;
    vf q = 0x1.fffdfcp-2f + r * (0x1.5557aep-3f + r * (0x1.572a06p-5f + r * 0x1.10627ap-7f));
    vu exponent = ((vu)shifted << 23) + (127u << 23);
    return (1 + (r + r * r * q)) * (vf)exponent;
}

/* numerator / (1 + exp(-p)): what every activation here, and EvoNorm-S0, come to. */
INLINE vf logistic(vf numerator, vf p) {
    return numerator / (1 + exp_of(-p));
}

INLINE vf gelu_tanh_logit(vf z) {
    return z * (0x1.988454p+0f + z * z * 0x1.2444f2p-4f);
}

INLINE vf gelu_logit(vf z) {
    vf t = at_most(z * z, 36);
    vf q = -0x1.1c087p-22f + t * 0x1.e2bb4p-29f;
    q = 0x1.0a11bep-17f + t * q;
    q = -0x1.cff11cp-14f + t * q;
    q = -0x1.116d44p-14f + t * q;
    q = 0x1.29a4p-4f + t * q;
    return z * (0x1.98846p+0f + t * q);
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
            vf z = load_part(y + j, (int)(n - j));                                                                     \
            store_part(y + j, f, (int)(n - j));                                                                        \
        }                                                                                                              \
    } while (0)

/* The costly ones, in place over a few floats in L1: a pass of their own there, so that the apply pass has no variant
 * for each. */
static void activate(float *y, ptrdiff_t n, normcy_activation how) {
    if (how == NORMCY_SILU)
        ACTIVATE(logistic(z, z));
    else if (how == NORMCY_GELU)
        ACTIVATE(logistic(z, gelu_logit(z)));
    else
        ACTIVATE(logistic(z, gelu_tanh_logit(z)));
}

#undef ACTIVATE
#endif
