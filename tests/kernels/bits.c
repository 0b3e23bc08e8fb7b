/* Runs every kernel of every instruction set of this build on fixed inputs and prints a hash of the output bits, one
 * line for each.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "kernels/isa/dispatch.h"

enum { ROOM = 1 << 16, SLOTS = 40, ROWS = 90, LONG_ROW = 15000 };

static float x[ROOM], y[ROOM], weight[ROOM], scale[ROOM], mean_f32[ROOM], a[ROOM], b[ROOM], own[ROOM];
static double mean[ROOM], m2[ROOM], mean_b[ROOM], m2_b[ROOM], rstd[ROOM];
static uint64_t hash;
static uint32_t state;

static void feed(const void *p, size_t bytes) {
    for (const unsigned char *c = p; bytes--; c++)
        hash = (hash ^ *c) * 1099511628211u; /* FNV-1a */
}

static float uniform(void) {
    state = state * 1664525u + 1013904223u;
    return (float)(int32_t)state / 2147483648.0f;
}

static void moments(const normcy_kernels *k, int length) {
    for (int about = NORMCY_ABOUT_ZERO; about <= NORMCY_ABOUT_MEAN; about++) {
        for (int exact = 0; exact < 2; exact++) {
            k->moments_rows(x, SLOTS, length, length, about, exact, mean, m2);
            feed(mean, SLOTS * sizeof *mean);
            feed(m2, SLOTS * sizeof *m2);
        }
        k->moments_cols(x, ROWS, length, length, about, mean, m2);
        feed(mean, length * sizeof *mean);
        feed(m2, length * sizeof *m2);
    }
    k->moments_rows(x, 4, LONG_ROW + length, LONG_ROW + length, NORMCY_ABOUT_MEAN, 0, mean_b, m2_b);
    feed(mean_b, 4 * sizeof *mean_b);
    feed(m2_b, 4 * sizeof *m2_b);
    memcpy(mean_b, mean, sizeof mean);
    memcpy(m2_b, m2, sizeof m2);
    k->merge(length, ROWS, mean, m2, 3, mean_b, m2_b);
    feed(m2, length * sizeof *m2);
}

/* The mean of one column is far from zero; the others must keep their bits, whatever else a vector holds. */
static void moments_of_one_far(const normcy_kernels *k, int length) {
    static float kept[ROWS];
    int column = length / 2;
    for (int i = 0; i < ROWS; i++)
        kept[i] = x[i * length + column], x[i * length + column] += 1e4f;
    k->moments_cols(x, ROWS, length, length, NORMCY_ABOUT_MEAN, mean, m2);
    feed(mean, length * sizeof *mean);
    feed(m2, length * sizeof *m2);
    for (int i = 0; i < ROWS; i++)
        x[i * length + column] = kept[i];
}

static void apply_all(const normcy_kernels *k, int length, int by_col, const normcy_coef *coef,
                      const normcy_epilogue *epilogue) {
    normcy_elementwise shared = {{weight, 0, 1}, {weight + 3, 0, 1}, 0, 0},
                       own_rows = {{weight, length, 1}, {weight + 3, 1, 0}, 0.5f, 0}, extreme = own_rows;
    extreme.extreme = 1;
    const normcy_elementwise *elementwise[] = {NULL, &shared, &own_rows, &extreme};
    for (int e = 0; e < (coef->scale ? 4 : 3); e++)
        for (int hint = 0; hint < 3; hint++) {
            normcy_access access = {.in_cache = hint == 1, .nontemporal = hint == 2, .columns = hint == 1 ? 16 : 0};
            (by_col ? k->apply_cols : k->apply_rows)(x, y, SLOTS, length, length, coef, elementwise[e], epilogue,
                                                     &access);
            feed(y, sizeof *y * SLOTS * length);
        }
}

static void apply(const normcy_kernels *k, int length, int by_col) {
    normcy_rstd_options options = {length, by_col, 1e-5, by_col, 0};
    int count = by_col ? length : SLOTS;
    k->rstd(count, mean, m2, &options, rstd);
    for (int scaled = 0; scaled < 2; scaled++) {
        const double *shift_after = scaled ? mean_b : NULL;
        k->coefficients(count, mean, rstd, shift_after, scaled ? scale : NULL, weight, 1.0, weight + 50, NORMCY_LEAST_A,
                        NORMCY_MOST_A, mean_f32, a, b);
        normcy_coef coef = {NORMCY_AFFINE, mean_f32, a, b, scaled ? scale : NULL, NULL, NULL, NULL};
        apply_all(k, length, by_col, &coef, NULL);
        for (int how_ends = NORMCY_IDENTITY; how_ends <= NORMCY_GELU_TANH; how_ends++) {
            normcy_epilogue epilogue = {how_ends % 2 ? x + 1 : NULL, (normcy_activation)how_ends};
            if (length % 4 == how_ends % 4)
                apply_all(k, length, by_col, &coef, &epilogue);
        }
    }
    normcy_coef swish = {NORMCY_SWISH, NULL, a, b, scale, weight, NULL, NULL};
    normcy_coef ratio = {NORMCY_RATIO, NULL, a, b, scale, weight, own, own + 1};
    apply_all(k, length, by_col, &swish, NULL);
    apply_all(k, length, by_col, &ratio, NULL);
    k->add(x, weight, y, SLOTS, length, length);
    feed(y, sizeof *y * SLOTS * length);
}

int main(void) {
    static const float means[] = {0, 1, 1000, 1e6f};
    for (int i = 0; i < ROOM; i++) {
        weight[i] = uniform();
        own[i] = 1.5f + uniform();
        scale[i] = i % 3 ? 1 : 4;
    }
    for (int l = 0; normcy_isa(l); l++) {
        const normcy_kernels *k = normcy_isa(l);
        if (!normcy_isa_runs(l))
            continue;
        hash = 14695981039346656037u;
        state = 777;
        for (int m = 0; m < 6;
             m++) { /* then jumps, and slots far from zero but for single values of many more digits */
            for (int i = 0; i < ROOM; i++)
                x[i] = uniform() + uniform() + (m < 4 ? means[m] : m == 5 ? 1000 : i / 10000 % 2 ? 300 : -7);
            for (int i = 0; i < ROOM && m == 5; i += 331)
                x[i] = uniform() * 1e-3f;
            for (int length = 1; length < 700; length += length < 70 ? 1 : 37) {
                moments_of_one_far(k, length);
                moments(k, length);
                apply(k, length, 0);
                apply(k, length, 1);
            }
        }
        printf("%s %016llx\n", k->isa, (unsigned long long)hash);
    }
    return 0;
}
