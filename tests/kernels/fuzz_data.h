/* What the fuzzer makes of its bytes, arrays among it, and how it compares the results of instruction sets. */
#ifndef FUZZ_DATA_H
#define FUZZ_DATA_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"

enum { MAX_FLOATS = 40000, MAX_ARRAYS = 32, MAX_ISAS = 4 };
static const uint32_t UNTOUCHED = 0x4b3c2d1e;

static const uint8_t *bytes; /* those that are still to be read */
static size_t left;
static const normcy_kernels *k;
static int isa; /* counts the instruction sets that run here */
static uint64_t hashes[MAX_ISAS];

/* The results of the first instruction set, array by array, for the others to be compared with. */
static char *results[MAX_ARRAYS];
static size_t sizes[MAX_ARRAYS];
static int result;

static void *arrays[MAX_ARRAYS]; /* are freed after each input */
static int used;

/* A number from 0 to `most`. */
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

/* An array that ends where its memory does. The memory begins up to `shift` values before it. */
static void *memory(ptrdiff_t count, size_t size, unsigned shift) {
    char *p = malloc(((size_t)count + shift) * size);
    if (!p || used == MAX_ARRAYS)
        fail("out of memory");
    arrays[used++] = p;
    return p + shift * size;
}

static float value(uint32_t *state, int wild) {
    *state = *state * 1664525u + 1013904223u;
    uint32_t bits = *state ^ *state >> 15;
    float v;
    memcpy(&v, &bits, sizeof v);
    return wild ? v : (float)(int32_t)bits / 2147483648.0f;
}

/* Values of a kind that the bytes choose: about zero, about a mean, some early ones far from the others, or any bits
 * at all. */
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

/* Gives every NaN the same bits, as none are promised. */
static void plain_nans(char *copy, ptrdiff_t count, size_t size) {
    for (ptrdiff_t i = 0; i < count; i++, copy += size)
        if (size == sizeof(float) ? *(float *)copy != *(float *)copy : *(double *)copy != *(double *)copy)
            memset(copy, 0xff, size);
}

/* Compares an array of results, floats or doubles, with that of the first instruction set. */
static void compare(const void *p, ptrdiff_t count, size_t size) {
    size_t length = (size_t)count * size;
    char *copy = malloc(length);
    if (!copy || result == MAX_ARRAYS)
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

static void compare_number(double v) {
    compare(&v, 1, sizeof v);
}

typedef struct {
    ptrdiff_t rows, cols, stride;
} shape;

static shape some_shape(void) {
    shape s;
    s.rows = 1 + take(NORMCY_MAX_SLOTS - 1); /* a statement each, as the order within one is up to the compiler */
    s.cols = 1 + take(take(7) ? 300 : 5000);
    s.stride = s.cols + (take(1) ? take(40) : 0);
    if (s.rows * s.stride > MAX_FLOATS)
        s.rows = 1 + MAX_FLOATS / s.stride;
    return s;
}

static ptrdiff_t floats_of(shape s) {
    return (s.rows - 1) * s.stride + s.cols;
}

/* A panel to write to, in which compare_panel sees what was written. */
static float *target(shape s) {
    float *y = memory(floats_of(s), sizeof *y, take(15));
    for (ptrdiff_t i = 0; i < floats_of(s); i++)
        memcpy(y + i, &UNTOUCHED, sizeof *y);
    return y;
}

/* Compares a panel, and checks that nothing between its rows was written: that is as in `before`, or UNTOUCHED. */
static void compare_panel(const float *y, const float *before, shape s) {
    for (ptrdiff_t i = 0; i < floats_of(s); i++)
        if (i % s.stride >= s.cols && memcmp(y + i, before ? before + i : (const float *)&UNTOUCHED, sizeof *y))
            fail("written between rows");
    compare(y, floats_of(s), sizeof *y);
}

#endif
