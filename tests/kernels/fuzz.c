/* A kernel on arrays, shapes and options that are read from bytes: on every instruction set, with the same results to
 * the bit, in memory that ends where the arrays do, and with nothing written between rows.
 *
 * Built with -fsanitize=fuzzer,address,undefined it is a libFuzzer target; with -DALONE a program that makes its bytes
 * up, as many times as its argument says, and prints a hash of the results, one line for each: for valgrind and
 * emulators.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/isa/dispatch.h"

enum { MOST = 40000, MOST_BLOCKS = 32, ISAS = 4 };
static const uint32_t UNTOUCHED = 0x4b3c2d1e;

static const uint8_t *bytes; /* still to be read */
static size_t left;
static const normcy_kernels *k;
static int isa; /* of those that run here */
static uint64_t hashes[ISAS];

/* What the first instruction set computed, block by block, for the others to compare with. */
static char *results[MOST_BLOCKS];
static size_t sizes[MOST_BLOCKS];
static int result;

static void *blocks[MOST_BLOCKS]; /* to be freed */
static int used;

static unsigned take(unsigned most) {
    unsigned v = 0;
    for (int i = 0; i < 2 && left; i++, left--)
        v = v << 8 | *bytes++;
    return v % (most + 1);
}

static void fail(const char *what) {
    fprintf(stderr, "%s: %s\n", k->isa, what);
    abort();
}

/* Memory that ends with the last of `count` values, and begins up to `shift` of them early. */
static void *memory(ptrdiff_t count, size_t size, unsigned shift) {
    char *p = malloc(((size_t)count + shift) * size);
    if (!p || used == MOST_BLOCKS)
        fail("out of memory");
    blocks[used++] = p;
    return p + shift * size;
}

static float value(uint32_t *state, int wild) {
    *state = *state * 1664525u + 1013904223u;
    uint32_t bits = *state ^ *state >> 15;
    float v;
    memcpy(&v, &bits, sizeof v);
    return wild ? v : (float)(int32_t)bits / 2147483648.0f;
}

/* Values that the bytes choose: tame, about a mean, some early ones far from the others, or any bits at all. */
static float *floats(ptrdiff_t count) {
    float *p = memory(count, sizeof *p, take(15)), mean = (float)(take(3) * 1000), scale = (float)(1 << take(9));
    uint32_t state = take(65535);
    int wild = take(7) == 0;
    ptrdiff_t far_until = take(3) ? 0 : count / 2, far_every = 1 + take(16);
    for (ptrdiff_t i = 0; i < count; i++)
        p[i] = wild ? value(&state, 1) : (value(&state, 0) + mean) * scale;
    for (ptrdiff_t i = 0; i < far_until; i += far_every)
        p[i] += 1e4f;
    return p;
}

static float *powers_of_two(ptrdiff_t count) {
    float *p = floats(count);
    for (ptrdiff_t i = 0; i < count; i++)
        p[i] = (const float[]){1, 4, 0x1p-70f, 0x1p100f}[(uint32_t)i * 2654435761u >> 30];
    return p;
}

static double *doubles(ptrdiff_t count, int positive) {
    float *from = floats(count);
    double *p = memory(count, sizeof *p, 0);
    for (ptrdiff_t i = 0; i < count; i++)
        p[i] = positive && from[i] < 0 ? -from[i] : from[i];
    return p;
}

/* NaN has many bits, of which none is promised. */
static void plain_nans(char *copy, ptrdiff_t count, size_t size) {
    for (ptrdiff_t i = 0; i < count; i++, copy += size)
        if (size == sizeof(float) ? *(float *)copy != *(float *)copy : *(double *)copy != *(double *)copy)
            memset(copy, 0xff, size);
}

/* A block of results: floats, or doubles. */
static void compare(const void *p, ptrdiff_t count, size_t size) {
    size_t length = (size_t)count * size;
    char *copy = malloc(length);
    if (!copy || result == MOST_BLOCKS)
        fail("out of memory");
    memcpy(copy, p, length);
    plain_nans(copy, count, size);
    for (size_t i = 0; i < length; i++)
        hashes[isa] = (hashes[isa] ^ (unsigned char)copy[i]) * 1099511628211u;
    if (isa == 0) {
        results[result] = copy, sizes[result++] = length;
        return;
    }
    if (sizes[result] != length || memcmp(results[result++], copy, length))
        fail("bits differ from those of the first instruction set");
    free(copy);
}

typedef struct {
    ptrdiff_t rows, cols, stride;
} shape;

static shape some_shape(void) {
    shape s;
    s.rows = 1 + take(NORMCY_MAX_SLOTS - 1); /* one statement for each: within one the order is the compiler's */
    s.cols = 1 + take(take(7) ? 300 : 5000);
    s.stride = s.cols + (take(1) ? take(40) : 0);
    if (s.rows * s.stride > MOST)
        s.rows = 1 + MOST / s.stride;
    return s;
}

static ptrdiff_t floats_of(shape s) {
    return (s.rows - 1) * s.stride + s.cols;
}

/* A panel to write to: between its rows nothing may be written. */
static float *target(shape s) {
    float *y = memory(floats_of(s), sizeof *y, take(15));
    for (ptrdiff_t i = 0; i < floats_of(s); i++)
        memcpy(y + i, &UNTOUCHED, sizeof *y);
    return y;
}

static void compare_panel(const float *y, const float *before, shape s) {
    for (ptrdiff_t i = 0; i < floats_of(s); i++)
        if (i % s.stride >= s.cols && memcmp(y + i, before ? before + i : (const float *)&UNTOUCHED, sizeof *y))
            fail("written between rows");
    compare(y, floats_of(s), sizeof *y);
}

static void try_add(shape s) {
    float *x = floats(floats_of(s)), *addend = floats(floats_of(s)), *sum = target(s);
    k->add(x, addend, sum, s.rows, s.cols, s.stride);
    compare_panel(sum, NULL, s);
}

static void try_moments(shape s, int by_col) {
    ptrdiff_t slots = by_col ? s.cols : s.rows;
    ptrdiff_t room = by_col ? (slots + NORMCY_LANES - 1) / NORMCY_LANES * NORMCY_LANES : slots;
    const float *x = floats(floats_of(s));
    double *mean = memory(room, sizeof *mean, 0), *m2 = memory(room, sizeof *m2, 0);
    normcy_about about = (normcy_about)take(NORMCY_ABOUT_MEAN);
    int exact = (int)take(1);
    if (by_col)
        k->moments_cols(x, s.rows, s.cols, s.stride, about, mean, m2);
    else
        k->moments_rows(x, s.rows, s.stride, s.cols, about, exact, mean, m2);
    compare(mean, slots, sizeof *mean);
    compare(m2, slots, sizeof *m2);
}

static void try_small(shape s) {
    ptrdiff_t n = s.cols;
    double *mean = doubles(n, 0), *m2 = doubles(n, 1), *rstd = memory(n, sizeof *rstd, 0);
    double *mean_b = doubles(n, 0), *m2_b = doubles(n, 1);
    normcy_rstd_options options;
    options.count = 1 + take(1000);
    options.correction = take(1);
    options.eps = take(1) ? 1e-5 : 0;
    options.outside_sqrt = (int)take(1);
    options.zero_guard = (int)take(1);
    k->merge(n, s.rows, mean, m2, 3, mean_b, m2_b);
    ptrdiff_t abnormal = k->rstd(n, mean, m2, &options, rstd);
    float *mean_f32 = memory(n, sizeof *mean_f32, 0), *a = memory(n, sizeof *a, 0), *b = memory(n, sizeof *b, 0);
    const double *fixed_mean = take(1) ? mean : NULL, *fixed_rstd = take(3) ? rstd : NULL;
    const double *shift_after = take(1) ? doubles(n, 0) : NULL;
    const float *scale = take(1) ? powers_of_two(n) : NULL, *weight = take(1) ? floats(n) : NULL;
    const float *bias = take(1) ? floats(n) : NULL;
    double odd = (double)k->coefficients(n, fixed_mean, fixed_rstd, shift_after, scale, weight, take(1), bias,
                                         NORMCY_LEAST_A, NORMCY_MOST_A, mean_f32, a, b);
    compare(mean, n, sizeof *mean);
    compare(m2, n, sizeof *m2);
    compare(rstd, n, sizeof *rstd);
    double outside = (double)abnormal, range = weight ? k->weight_range(weight, n, (float)take(1)) : 0;
    compare(&outside, 1, sizeof outside);
    compare(&odd, 1, sizeof odd);
    compare(&range, 1, sizeof range);
    double huge = weight ? k->huge(weight, n) : 0;
    compare(&huge, 1, sizeof huge);
    compare(mean_f32, n, sizeof *mean_f32);
    compare(a, n, sizeof *a);
    compare(b, n, sizeof *b);
}

/* A weight or bias that is shared by all rows, is each row's own, or has a value a row. */
static normcy_operand operand(shape s) {
    switch (take(2)) {
    case 0:
        return (normcy_operand){floats(s.cols), 0, 1};
    case 1:
        return (normcy_operand){floats(s.rows * s.cols), s.cols, 1};
    default:
        return (normcy_operand){floats(s.rows), 1, 0};
    }
}

static const normcy_elementwise *some_elementwise(shape s, const normcy_coef *coef, normcy_elementwise *room) {
    int which = (int)take(3);
    if (which == 0)
        return NULL;
    memset(room, 0, sizeof *room);
    if (which & 1)
        room->weight = operand(s), room->offset = (float)take(1);
    if (which & 2)
        room->bias = operand(s);
    room->extreme = coef->scale && take(1);
    return room;
}

static normcy_coef some_coef(ptrdiff_t n) {
    const float *mean_f32 = floats(n), *a = floats(n), *b = floats(n);
    normcy_coef c = {(normcy_apply_op)take(NORMCY_RATIO), mean_f32, a, b, NULL, NULL, NULL, NULL};
    if (c.op != NORMCY_AFFINE || take(1))
        c.scale = powers_of_two(n);
    if (c.op != NORMCY_AFFINE)
        c.gate = floats(n);
    if (c.op == NORMCY_RATIO)
        c.batch = floats(n), c.own = floats(n);
    return c;
}

static void try_apply(shape s, int by_col) {
    normcy_coef coef = some_coef(by_col ? s.cols : s.rows);
    normcy_elementwise room;
    const normcy_elementwise *elementwise = some_elementwise(s, &coef, &room);
    normcy_access access;
    access.in_cache = (int)take(1);
    access.nontemporal = (int)take(1);
    access.columns = (int)take(2) * 16;
    normcy_epilogue epilogue = {take(1) ? floats(floats_of(s)) : NULL, NORMCY_IDENTITY};
    epilogue.activation = (normcy_activation)take(NORMCY_GELU_TANH);
    int finishes = take(1), in_place = take(2) == 0;
    float *x = floats(floats_of(s)), *y = in_place ? x : target(s), *before = memory(floats_of(s), sizeof *x, 0);
    memcpy(before, x, (size_t)floats_of(s) * sizeof *x);
    (by_col ? k->apply_cols : k->apply_rows)(x, y, s.rows, s.cols, s.stride, &coef, elementwise,
                                             finishes ? &epilogue : NULL, &access);
    compare_panel(y, in_place ? before : NULL, s);
}

static void try_one(void) {
    shape s = some_shape();
    switch (take(7)) {
    case 0:
        try_add(s);
        break;
    case 1:
        try_small(s);
        break;
    case 2:
        try_moments(s, 0);
        break;
    case 3:
        try_moments(s, 1);
        break;
    default:
        try_apply(s, (int)take(1));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    isa = 0;
    for (int l = 0; (k = normcy_isa(l)); l++)
        if (normcy_isa_runs(l)) {
            bytes = data, left = size, result = 0;
            try_one();
            while (used)
                free(blocks[--used]);
            isa++;
        }
    while (result)
        free(results[--result]);
    return 0;
}

#ifdef ALONE
int main(int argc, char **argv) {
    uint32_t state = 1;
    for (int i = argc > 1 ? atoi(argv[1]) : 1000; i > 0; i--) {
        uint8_t data[200];
        for (size_t j = 0; j < sizeof data; j++) {
            state = state * 1664525u + 1013904223u;
            data[j] = (uint8_t)(state >> 24);
        }
        LLVMFuzzerTestOneInput(data, sizeof data);
    }
    for (int l = 0, run = 0; normcy_isa(l); l++)
        if (normcy_isa_runs(l))
            printf("%s %016llx\n", normcy_isa(l)->isa, (unsigned long long)hashes[run++]);
    return 0;
}
#endif
