/* Measures the kernels by themselves, from C and with one thread: how many GB/s of x they read in both passes, apart
 * and together, from the memory or cache that an array of the given size is in. `make bench-kernels` builds and runs
 * it; after that, so does build/kernels/bench ISA MIB.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/isa/dispatch.h"

enum { ROUNDS = 15, TILE_FLOATS = 2048, LONGEST = 1 << 14, CHUNK_FLOATS = 32768 };

static const normcy_kernels *k;
static float *x, *y, room[3 * (LONGEST + 64)], weights[2 * (LONGEST + 64)];
static double mean[LONGEST], m2[LONGEST];
static ptrdiff_t size;
/* The three coefficients are not a multiple of 4 KiB apart, as loads would suffer 4K aliasing with pending stores to y.
 * The drivers place them in the same way. */
static const normcy_coef coef = {
    .op = NORMCY_AFFINE, .mean_f32 = room, .a = room + LONGEST + 16, .b = room + 2 * (LONGEST + 16)};
static const normcy_access access = {.in_cache = 0};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef void task(ptrdiff_t length, ptrdiff_t slots);

/* The best of some rounds, as other processes can only add time. */
static double bandwidth(task *each, ptrdiff_t length, ptrdiff_t slots) {
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        double start = now();
        each(length, slots);
        double spent = now() - start;
        best = spent < best ? spent : best;
    }
    return (double)size * sizeof(float) / best * 1e-9;
}

static void copy(ptrdiff_t length, ptrdiff_t slots) {
    (void)length, (void)slots;
    memcpy(y, x, (size_t)size * sizeof(float));
}

static void moments_by_row(ptrdiff_t length, ptrdiff_t slots) {
    for (ptrdiff_t at = 0; at + slots * length <= size; at += slots * length)
        k->moments_rows(x + at, slots, length, length, NORMCY_ABOUT_MEAN, 0, mean, m2);
}

static void apply_by_row(ptrdiff_t length, ptrdiff_t slots) {
    for (ptrdiff_t at = 0; at + slots * length <= size; at += slots * length)
        k->apply_rows(x + at, y + at, slots, length, length, &coef, NULL, NULL, &access);
}

static void weighted_by_row(ptrdiff_t length, ptrdiff_t slots) {
    const normcy_elementwise elementwise = {.weight = {.p = weights, .step = 1},
                                            .bias = {.p = weights + LONGEST + 16, .step = 1}};
    for (ptrdiff_t at = 0; at + slots * length <= size; at += slots * length)
        k->apply_rows(x + at, y + at, slots, length, length, &coef, &elementwise, NULL, &access);
}

static void both_by_row(ptrdiff_t length, ptrdiff_t slots) {
    for (ptrdiff_t at = 0; at + slots * length <= size; at += slots * length) {
        k->moments_rows(x + at, slots, length, length, NORMCY_ABOUT_MEAN, 0, mean, m2);
        k->apply_rows(x + at, y + at, slots, length, length, &coef, NULL, NULL, &access);
    }
}

static void moments_by_column(ptrdiff_t length, ptrdiff_t slots) {
    for (ptrdiff_t at = 0; at + slots * length <= size; at += slots * length)
        k->moments_cols(x + at, slots, length, length, 1, NORMCY_ABOUT_MEAN, mean, m2);
}

static void apply_by_column(ptrdiff_t length, ptrdiff_t slots) {
    for (ptrdiff_t at = 0; at + slots * length <= size; at += slots * length)
        k->apply_cols(x + at, y + at, slots, length, length, &coef, NULL, NULL, &access);
}

static void activations(void) {
    static const char *names[] = {"none", "relu", "silu", "gelu", "gelu_tanh"};
    for (int i = NORMCY_IDENTITY; i <= NORMCY_GELU_TANH; i++) {
        normcy_epilogue epilogue = {.activation = (normcy_activation)i};
        double best = 1e9;
        for (int round = 0; round < 100 * ROUNDS; round++) {
            double start = now();
            k->apply_rows(x, y, 1, TILE_FLOATS, TILE_FLOATS, &coef, NULL, &epilogue, &access);
            double spent = now() - start;
            best = spent < best ? spent : best;
        }
        printf("apply in L1, %-9s  %5.2f ns for 16 floats\n", names[i], best * 1e9 / (TILE_FLOATS / 16));
    }
}

static void rows(void) {
    static const ptrdiff_t lengths[] = {49, 96, 256, 768, 1024, 4096, LONGEST};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        ptrdiff_t length = lengths[i], slots = length < TILE_FLOATS ? TILE_FLOATS / length : 1;
        printf("rows of %-6td     moments %5.1f  apply %5.1f  weighted %5.1f  both, %2td at a time %5.1f GB/s\n",
               length, bandwidth(moments_by_row, length, slots), bandwidth(apply_by_row, length, slots),
               bandwidth(weighted_by_row, length, slots), slots, bandwidth(both_by_row, length, slots));
    }
}

static void columns(void) {
    static const ptrdiff_t widths[] = {64, 128, 320, 1024};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        ptrdiff_t width = widths[i], height = CHUNK_FLOATS / width / 16 * 16;
        printf("columns, %-5td wide  moments %5.1f  apply %5.1f GB/s\n", width,
               bandwidth(moments_by_column, width, height), bandwidth(apply_by_column, width, height));
    }
}

/* Allocates x and y and writes to every array; returns 0 if there is no memory. Pages that were never written would all
 * be the same page of memory. */
static int fill_arrays(void) {
    x = malloc((size_t)size * sizeof *x);
    y = malloc((size_t)size * sizeof *y);
    for (ptrdiff_t i = 0; x && y && i < size; i++)
        x[i] = (float)rand() / (float)RAND_MAX, y[i] = 0;
    for (size_t i = 0; i < sizeof room / sizeof *room; i++)
        room[i] = 1;
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++)
        weights[i] = 1;
    return x && y;
}

int main(int argc, char **argv) {
    size = (argc > 2 ? atol(argv[2]) : 8) << 18;
    for (int i = 0; normcy_isa(i); i++)
        if (normcy_isa_runs(i) && (argc < 2 || !strcmp(normcy_isa(i)->isa, argv[1])))
            k = normcy_isa(i);
    if (!k || size <= CHUNK_FLOATS || !fill_arrays()) {
        fprintf(stderr, "usage: bench [ISA [MIB]], an instruction set that this CPU runs, and memory for two arrays\n");
        return 2;
    }
    printf("%s, %td MiB: copy %.1f GB/s\n", k->isa, size >> 18, bandwidth(copy, 0, 0));
    rows();
    columns();
    activations();
    free(x);
    free(y);
    return 0;
}
