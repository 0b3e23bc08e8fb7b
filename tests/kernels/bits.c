/* Runs every kernel on fixed inputs and prints a line for each instruction set that runs here: its name, and a hash of
 * the bits of all results.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "every_kernel.h"
#include "kernels/isa/dispatch.h"

enum { ROOM = 1 << 16, SLOTS = 40, ROWS = 90, LONG_ROW = 15000, INPUTS = 6 };

static const normcy_kernels *k;
static float x[ROOM], y[ROOM], weight[ROOM], scale[ROOM], mean_f32[ROOM], a[ROOM], b[ROOM], own[ROOM];
static double mean[ROOM], m2[ROOM], mean_b[ROOM], m2_b[ROOM], rstd[ROOM];
static uint64_t hash, ranges; /* what weights are found to be is compared, but not in the hash */
static uint32_t state;

static uint64_t hashed(uint64_t h, const void *p, size_t bytes) {
    for (const unsigned char *c = p; bytes--; c++)
        h = (h ^ *c) * 1099511628211u; /* FNV-1a */
    return h;
}

static void feed(const void *p, size_t bytes) {
    hash = hashed(hash, p, bytes);
}

static float uniform(void) {
    state = state * 1664525u + 1013904223u;
    return (float)(int32_t)state / 2147483648.0f;
}

static void run_moments(int length) {
    for (int about = NORMCY_ABOUT_ZERO; about <= NORMCY_ABOUT_MEAN; about++) {
        for (int exact = 0; exact < 2; exact++) {
            RUN(k, moments_rows)(x, SLOTS, length, length, about, exact, mean, m2);
            feed(mean, SLOTS * sizeof *mean);
            feed(m2, SLOTS * sizeof *m2);
        }
        RUN(k, moments_cols)(x, ROWS, length, length, 1, about, mean, m2);
        feed(mean, length * sizeof *mean);
        feed(m2, length * sizeof *m2);
    }
    for (int group = 2; group <= length; group++)
        if (length % group == 0) {
            RUN(k, moments_cols)(x, ROWS, length, length, group, NORMCY_ABOUT_MEAN, mean, m2);
            feed(mean, length / group * sizeof *mean);
            feed(m2, length / group * sizeof *m2);
        }
    RUN(k, moments_rows)(x, 4, LONG_ROW + length, LONG_ROW + length, NORMCY_ABOUT_MEAN, 0, mean_b, m2_b);
    feed(mean_b, 4 * sizeof *mean_b);
    feed(m2_b, 4 * sizeof *m2_b);
    memcpy(mean_b, mean, sizeof mean);
    memcpy(m2_b, m2, sizeof m2);
    RUN(k, merge)(length, ROWS, mean, m2, 3, mean_b, m2_b);
    feed(m2, length * sizeof *m2);
}

/* The mean of one column is far from zero. The others must keep their bits, whatever else their vector holds. */
static void run_one_far_column(int length) {
    static float kept[ROWS];
    int column = length / 2;
    for (int i = 0; i < ROWS; i++)
        kept[i] = x[i * length + column], x[i * length + column] += 1e4f;
    RUN(k, moments_cols)(x, ROWS, length, length, 1, NORMCY_ABOUT_MEAN, mean, m2);
    feed(mean, length * sizeof *mean);
    feed(m2, length * sizeof *m2);
    for (int i = 0; i < ROWS; i++)
        x[i * length + column] = kept[i];
}

/* One apply operation with every kind of element-wise operands, and with every hint on memory. */
static void run_apply(int length, int by_col, const normcy_coef *coef, const normcy_epilogue *epilogue) {
    normcy_elementwise shared = {.weight = {.p = weight, .step = 1}, .bias = {.p = weight + 3, .step = 1}};
    normcy_elementwise of_rows = {
        .weight = {.p = weight, .row = length, .step = 1}, .bias = {.p = weight + 3, .row = 1}, .offset = 0.5f};
    normcy_elementwise extreme = of_rows;
    extreme.extreme = 1;
    const normcy_elementwise *elementwise[] = {NULL, &shared, &of_rows, &extreme};
    for (int e = 0; e < (coef->scale ? 4 : 3); e++)
        for (int hint = 0; hint < 3; hint++) {
            normcy_access access = {.in_cache = hint == 1, .nontemporal = hint == 2, .columns = hint == 1 ? 16 : 0};
            (by_col ? RUN(k, apply_cols) : RUN(k, apply_rows))(x, y, SLOTS, length, length, coef, elementwise[e],
                                                               epilogue, &access);
            feed(y, sizeof *y * SLOTS * length);
        }
}

static void run_affine(int length, int by_col, int scaled) {
    const double *shift_after = scaled ? mean_b : NULL;
    RUN(k, coefficients)(by_col ? length : SLOTS, mean, rstd, shift_after, scaled ? scale : NULL, weight, 1.0,
                         weight + 50, NORMCY_LEAST_A, NORMCY_MOST_A, mean_f32, a, b);
    normcy_coef coef = {.op = NORMCY_AFFINE, .mean_f32 = mean_f32, .a = a, .b = b, .scale = scaled ? scale : NULL};
    run_apply(length, by_col, &coef, NULL);
    normcy_coef gain = coef;
    gain.op = NORMCY_GAIN;
    run_apply(length, by_col, &gain, NULL);
    for (int i = NORMCY_IDENTITY; i <= NORMCY_GELU_TANH; i++) {
        normcy_epilogue epilogue = {.add = i % 2 ? x + 1 : NULL, .activation = (normcy_activation)i};
        if (length % 4 == i % 4)
            run_apply(length, by_col, &coef, &epilogue);
    }
}

static void run_norms(int length, int by_col) {
    normcy_rstd_options options = {.count = length, .correction = by_col, .eps = 1e-5, .outside_sqrt = by_col};
    normcy_coef swish = {.op = NORMCY_SWISH, .a = a, .b = b, .scale = scale, .gate = weight};
    normcy_coef ratio = swish;
    ratio.op = NORMCY_RATIO, ratio.batch = own, ratio.own = own + 1;
    RUN(k, rstd)(by_col ? length : SLOTS, mean, m2, &options, rstd);
    run_affine(length, by_col, 0);
    run_affine(length, by_col, 1);
    run_apply(length, by_col, &swish, NULL);
    run_apply(length, by_col, &ratio, NULL);
    RUN(k, add)(x, weight, y, SLOTS, length, length);
    feed(y, sizeof *y * SLOTS * length);
}

static void run_ranges(int length) {
    for (float factor = 0x1p-126f; factor <= 0x1p70f; factor *= 0x1p28f) {
        for (int i = 0; i < length; i++)
            y[i] = weight[i] * factor;
        int found[] = {RUN(k, weight_range)(y, length, 0), RUN(k, weight_range)(y, length, 1), RUN(k, huge)(y, length)};
        ranges = hashed(ranges, found, sizeof found);
    }
}

/* Values about some means, values that jump, and slots far from zero but for single values of many more digits. */
static void make_input(int which) {
    static const float means[] = {0, 1, 1000, 1e6f};
    for (int i = 0; i < ROOM; i++)
        x[i] = uniform() + uniform() + (which < 4 ? means[which] : which == 5 ? 1000 : i / 10000 % 2 ? 300 : -7);
    for (int i = 0; i < ROOM && which == 5; i += 331)
        x[i] = uniform() * 1e-3f;
}

static void run_all(void) {
    hash = ranges = 14695981039346656037u;
    state = 777;
    for (int which = 0; which < INPUTS; which++) {
        make_input(which);
        for (int length = 1; length < 700; length += length < 70 ? 1 : 37) {
            run_one_far_column(length);
            run_moments(length);
            run_norms(length, 0);
            run_norms(length, 1);
            run_ranges(length);
        }
    }
}

int main(void) {
    uint64_t first_ranges = 0;
    for (int i = 0; i < ROOM; i++) {
        weight[i] = uniform();
        own[i] = 1.5f + uniform();
        scale[i] = i % 3 ? 1 : 4;
    }
    for (int i = 0; (k = normcy_isa(i)); i++) {
        if (!normcy_isa_runs(i))
            continue;
        run_all();
        first_ranges = first_ranges ? first_ranges : ranges;
        if (ranges != first_ranges)
            return fprintf(stderr, "%s: the ranges of weights differ from those of the first\n", k->isa), 1;
        printf("%s %016llx\n", k->isa, (unsigned long long)hash);
    }
    check_every_kernel();
    return 0;
}
