/* Runs a kernel on arrays, shapes and options that are made of bytes, and checks that all instruction sets give the
 * same bits, that no memory beside the arrays is touched (they end where their memory does), and that nothing between
 * rows is written.
 *
 * Built with -fsanitize=fuzzer,address,undefined this is a libFuzzer target. Built with -DALONE it is a program for
 * valgrind and emulators: it makes up its bytes as often as its argument says, and prints a hash of all results, a line
 * for each instruction set.
 */
#include "every_kernel.h"
#include "fuzz_data.h"
#include "kernels/isa/dispatch.h"

static void try_add(shape s) {
    float *x = floats(floats_of(s)), *addend = floats(floats_of(s)), *sum = target(s);
    RUN(k, add)(x, addend, sum, s.rows, s.cols, s.stride);
    compare_panel(sum, NULL, s);
}

static void try_moments(shape s, int by_col) {
    ptrdiff_t slots = by_col ? s.cols : s.rows;
    ptrdiff_t room = by_col ? (slots + NORMCY_LANES - 1) / NORMCY_LANES * NORMCY_LANES : slots;
    const float *x = floats(floats_of(s));
    double *mean = memory(room, sizeof *mean, 0), *m2 = memory(room, sizeof *m2, 0);
    normcy_about about = (normcy_about)take(NORMCY_ABOUT_MEAN);
    int exact = (int)take(1);
    ptrdiff_t group = by_col && about == NORMCY_ABOUT_MEAN ? 1 + take(s.cols - 1) : 1;
    while (s.cols % group) /* the next smaller one that divides them */
        group--;
    slots /= group;
    if (by_col)
        RUN(k, moments_cols)(x, s.rows, s.cols, s.stride, group, about, mean, m2);
    else
        RUN(k, moments_rows)(x, s.rows, s.stride, s.cols, about, exact, mean, m2);
    compare(mean, slots, sizeof *mean);
    compare(m2, slots, sizeof *m2);
}

static void try_coefficients(ptrdiff_t n, const double *mean, const double *rstd) {
    float *mean_f32 = memory(n, sizeof *mean_f32, 0), *a = memory(n, sizeof *a, 0), *b = memory(n, sizeof *b, 0);
    const double *mean_or_none = take(1) ? mean : NULL, *rstd_or_none = take(3) ? rstd : NULL;
    const double *shift_after = take(1) ? doubles(n, 0) : NULL;
    const float *scale = take(1) ? powers_of_two(n) : NULL, *weight = take(1) ? floats(n) : NULL;
    const float *bias = take(1) ? floats(n) : NULL;
    double offset = take(1);
    compare_number((double)RUN(k, coefficients)(n, mean_or_none, rstd_or_none, shift_after, scale, weight, offset, bias,
                                                NORMCY_LEAST_A, NORMCY_MOST_A, mean_f32, a, b));
    compare(mean_f32, n, sizeof *mean_f32);
    compare(a, n, sizeof *a);
    compare(b, n, sizeof *b);
    if (weight) {
        compare_number(RUN(k, weight_range)(weight, n, (float)take(1)));
        compare_number(RUN(k, huge)(weight, n));
    }
}

static void try_statistics(shape s) {
    ptrdiff_t n = s.cols;
    double *mean = doubles(n, 0), *m2 = doubles(n, 1), *rstd = memory(n, sizeof *rstd, 0);
    double *mean_b = doubles(n, 0), *m2_b = doubles(n, 1);
    normcy_rstd_options options;
    options.count = 1 + take(1000);
    options.correction = take(1);
    options.eps = take(1) ? 1e-5 : 0;
    options.outside_sqrt = (int)take(1);
    options.zero_guard = (int)take(1);
    RUN(k, merge)(n, s.rows, mean, m2, 3, mean_b, m2_b);
    compare_number((double)RUN(k, rstd)(n, mean, m2, &options, rstd));
    compare(mean, n, sizeof *mean);
    compare(m2, n, sizeof *m2);
    compare(rstd, n, sizeof *rstd);
    try_coefficients(n, mean, rstd);
}

/* A weight or bias that is shared by all rows, is each row's own, or has one value a row. */
static normcy_operand some_operand(shape s) {
    switch (take(2)) {
    case 0:
        return (normcy_operand){.p = floats(s.cols), .step = 1};
    case 1:
        return (normcy_operand){.p = floats(s.rows * s.cols), .row = s.cols, .step = 1};
    default:
        return (normcy_operand){.p = floats(s.rows), .row = 1};
    }
}

static const normcy_elementwise *some_elementwise(shape s, const normcy_coef *coef, normcy_elementwise *room) {
    int which = (int)take(3);
    if (which == 0)
        return NULL;
    memset(room, 0, sizeof *room);
    if (which & 1)
        room->weight = some_operand(s), room->offset = (float)take(1);
    if (which & 2)
        room->bias = some_operand(s);
    room->extreme = coef->scale && take(1);
    return room;
}

static normcy_coef some_coef(ptrdiff_t n) {
    normcy_coef c = {.op = (normcy_apply_op)take(NORMCY_APPLY_OPS - 1)};
    c.mean_f32 = floats(n);
    c.a = floats(n);
    c.b = floats(n);
    if (c.op == NORMCY_SWISH || c.op == NORMCY_RATIO || take(1))
        c.scale = powers_of_two(n);
    if (c.op == NORMCY_SWISH || c.op == NORMCY_RATIO)
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
    access.ahead = (ptrdiff_t)take(3) * 4000; /* past the panel, too */
    normcy_epilogue epilogue;
    epilogue.add = take(1) ? floats(floats_of(s)) : NULL;
    epilogue.activation = (normcy_activation)take(NORMCY_GELU_TANH);
    int has_epilogue = take(1), in_place = take(2) == 0;
    float *x = floats(floats_of(s)), *y = in_place ? x : target(s), *before = memory(floats_of(s), sizeof *x, 0);
    memcpy(before, x, (size_t)floats_of(s) * sizeof *x);
    (by_col ? RUN(k, apply_cols) : RUN(k, apply_rows))(x, y, s.rows, s.cols, s.stride, &coef, elementwise,
                                                       has_epilogue ? &epilogue : NULL, &access);
    compare_panel(y, in_place ? before : NULL, s);
}

static void try_one(void) {
    shape s = some_shape();
    switch (take(7)) {
    case 0:
        try_add(s);
        break;
    case 1:
        try_statistics(s);
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
    for (int i = 0; (k = normcy_isa(i)); i++)
        if (normcy_isa_runs(i)) {
            bytes = data, left = size, result = 0;
            try_one();
            while (used)
                free(arrays[--used]);
            isa++;
        }
    while (result)
        free(results[--result]);
    return 0;
}

#ifdef ALONE
int main(int argc, char **argv) {
    int inputs = argc > 1 ? atoi(argv[1]) : 1000;
    uint32_t state = 1;
    for (int i = 0; i < inputs; i++) {
        uint8_t data[200];
        for (size_t j = 0; j < sizeof data; j++) {
            state = state * 1664525u + 1013904223u;
            data[j] = (uint8_t)(state >> 24);
        }
        LLVMFuzzerTestOneInput(data, sizeof data);
    }
    if (inputs >= 500) /* fewer need not reach all */
        check_every_kernel();
    for (int i = 0, run = 0; normcy_isa(i); i++)
        if (normcy_isa_runs(i))
            printf("%s %016llx\n", normcy_isa(i)->isa, (unsigned long long)hashes[run++]);
    return 0;
}
#endif
