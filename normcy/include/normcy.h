/* normcy's engine without Python objects: norms of float32 memory, on threads of the caller's choice.
 *
 * docs/c_interface.md has an introduction; examples/c_extension and examples/cython_module use all of this.
 *
 * (A) Any C file can include this header for its types. It has the functions where Python.h was included before it, and
 *     they work once normcy_import() has returned 0 in the same file. They need no GIL, and no thread of Python's.
 * (B) The caller owns all memory. Of that, y, sum_out, mean, m2 and rstd are written, and no address is kept.
 * (C) Results have the bits of normcy's Python functions, whoever runs the parts, on whatever threads.
 * (D) What is promised: NORMCY_INTERFACE_VERSION grows with each change that compiled clients cannot bear, and
 *     normcy_import() refuses a library of another version. Within a version the meaning of fields, numbers and errors
 *     stays, and new fields come at the end of normcy_norm only. A library knows all sizes that the struct has had, and
 *     takes fields that a client does not have as zero; larger structs it refuses.
 */
#ifndef NORMCY_H
#define NORMCY_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NORMCY_INTERFACE_VERSION 1

/* Which values share a mean and a variance, and so are a slot; in brackets how many slots there are. */
enum {
    NORMCY_METHOD_BATCH = 1,    /* those of a channel, in all samples [channels] */
    NORMCY_METHOD_INSTANCE = 2, /* those of a channel of a sample [samples * channels] */
    NORMCY_METHOD_GROUP = 3,    /* those of channels / groups neighbouring channels of a sample [samples * groups] */
    NORMCY_METHOD_LAYER = 4,    /* those of all channels at a position of a sample [samples * positions] */
};

enum {
    NORMCY_ACTIVATION_NONE = 0,
    NORMCY_ACTIVATION_RELU = 1,
    NORMCY_ACTIVATION_SILU = 2,
    NORMCY_ACTIVATION_GELU = 3,
    NORMCY_ACTIVATION_GELU_TANH = 4,
};

/* What is to be computed, with rstd = 1 / sqrt(variance + eps):
 * y = activation((x + pre_add - mean) * rstd * (weight + weight_offset) + bias + post_add)
 *
 * In `normcy_norm norm = {.struct_bytes = sizeof norm, ...}` fields that are not named are zero, their default.
 *
 * x, y, pre_add, sum_out and post_add are arrays of one shape with the same strides: (samples, channels, positions), or
 * (samples, positions, channels) with channels_last. What a layer norm over trailing axes normalizes together are
 * channels here, its rows are positions, and channels are last.
 *
 * None of y, sum_out, mean, m2 and rstd may overlap another array, from its first to its last byte, unless the comments
 * beside them allow it.
 */
typedef struct {
    size_t struct_bytes; /* sizeof(normcy_norm) as the caller knows it */
    int method;          /* NORMCY_METHOD_...; it has no default */
    int about_zero;      /* 1: takes 0 for the mean, as RMSNorm; of NORMCY_METHOD_LAYER with channels_last only */
    int channels_last;   /* 1: a row is all channels of a position; 0: all positions of a channel */
    int activation;      /* NORMCY_ACTIVATION_... */
    /* Where one of these is 0, arrays have no elements; mean and m2 of slots without values are 0, and rstd is NaN. */
    ptrdiff_t samples, channels, positions;
    ptrdiff_t groups; /* of NORMCY_METHOD_GROUP only: a divisor of channels */
    /* Floats from one sample, and from one row, to the next; 0: dense. Without channels_last rows have to be dense, and
     * with it samples follow each other as rows do. All has to be dense where channels are last, or positions is 1, and
     * channels is below 64 and no multiple of 16, except for NORMCY_METHOD_LAYER. */
    ptrdiff_t sample_stride, row_stride;
    const float *x;
    float *y;             /* NULL: statistics only. It may be exactly x, pre_add or post_add. */
    const float *weight;  /* one a channel; NULL: 1, without weight_offset */
    const float *bias;    /* one a channel; NULL: 0 */
    double weight_offset; /* is added to every weight */
    double eps;           /* 0 or more; given_rstd has it already */
    const float *pre_add; /* NULL: 0 */
    /* Where x + pre_add is stored; NULL: nowhere. It may be exactly x or pre_add. As y holds the sum otherwise, it is
     * needed with pre_add if y is post_add or NULL. */
    float *sum_out;
    const float *post_add; /* NULL: 0 */
    /* Statistics to use instead of x's own, one a channel, both or none, of NORMCY_METHOD_BATCH only. Python's batch
     * norm in evaluation computes 1 / sqrt(variance + eps) in doubles. */
    const double *given_mean;
    const double *given_rstd;
    /* Where statistics go, one a slot; NULL: nowhere. m2 is a sum of squared deviations, of squares if about_zero. */
    double *mean;
    double *m2;
    double *rstd;
} normcy_norm;

/* Part `index` of a phase. */
typedef void (*normcy_part)(void *of, ptrdiff_t index);

/* Who runs the parts of a norm. run(arg, parts, part, of) has to call part(of, i) once for each i from 0 to parts - 1,
 * in any order, and to return when all have returned. They can run at the same time, on any threads; each on one thread
 * from its beginning to its end. A norm has one or more phases, each of which is a call of run from the thread that
 * called normcy_run. A part takes microseconds to milliseconds. */
typedef struct {
    void (*run)(void *arg, ptrdiff_t parts, normcy_part part, void *of);
    void *arg;
} normcy_runner;

/* What normcy_check and normcy_run found wrong, a number for each field; normcy_error_text has what was expected. */
enum {
    NORMCY_OK = 0,
    NORMCY_ERROR_NORM = 1,
    NORMCY_ERROR_STRUCT_BYTES = 2,
    NORMCY_ERROR_METHOD = 3,
    NORMCY_ERROR_ABOUT_ZERO = 4,
    NORMCY_ERROR_CHANNELS_LAST = 5,
    NORMCY_ERROR_ACTIVATION = 6,
    NORMCY_ERROR_SAMPLES = 7,
    NORMCY_ERROR_CHANNELS = 8,
    NORMCY_ERROR_POSITIONS = 9,
    NORMCY_ERROR_GROUPS = 10,
    NORMCY_ERROR_SAMPLE_STRIDE = 11,
    NORMCY_ERROR_ROW_STRIDE = 12,
    NORMCY_ERROR_X = 13,
    NORMCY_ERROR_Y = 14,
    NORMCY_ERROR_WEIGHT = 15,
    NORMCY_ERROR_BIAS = 16,
    NORMCY_ERROR_WEIGHT_OFFSET = 17,
    NORMCY_ERROR_EPS = 18,
    NORMCY_ERROR_PRE_ADD = 19,
    NORMCY_ERROR_SUM_OUT = 20,
    NORMCY_ERROR_POST_ADD = 21,
    NORMCY_ERROR_GIVEN_MEAN = 22,
    NORMCY_ERROR_GIVEN_RSTD = 23,
    NORMCY_ERROR_MEAN = 24,
    NORMCY_ERROR_M2 = 25,
    NORMCY_ERROR_RSTD = 26,
    NORMCY_ERROR_THREADS = 27,
    NORMCY_ERROR_RUNNER = 28,
    NORMCY_ERROR_MEMORY = 29,
};

#ifdef Py_PYTHON_H
#include <string.h>

/* The library's functions, which normcy_import fills in for the file that includes this. */
typedef struct {
    int (*interface_version)(void);
    int (*check)(const normcy_norm *);
    const char *(*error_text)(int);
    int (*run)(const normcy_norm *, int, const normcy_runner *);
} normcy_functions;

static inline normcy_functions *normcy_imported(void) {
    static normcy_functions functions;
    return &functions;
}

/* The NORMCY_INTERFACE_VERSION of the library. */
static inline int normcy_interface_version(void) {
    return normcy_imported()->interface_version();
}

/* Returns NORMCY_OK or the number of the first error. It reads nothing but the struct. */
static inline int normcy_check(const normcy_norm *norm) {
    return normcy_imported()->check(norm);
}

/* A static text: which field, and what is expected of it. */
static inline const char *normcy_error_text(int error) {
    return normcy_imported()->error_text(error);
}

/* Checks and computes. Returns NORMCY_OK, or the number of an error: then nothing was written, and nothing was run.
 *
 * `threads` is how many threads the runner has: the work is divided for as many, and parts beyond that wait for memory
 * of those that run. A runner is not called where more than one thread does not pay. Without one, the calling thread
 * runs all parts, and `threads` does not count. */
static inline int normcy_run(const normcy_norm *norm, int threads, const normcy_runner *runner) {
    return normcy_imported()->run(norm, threads, runner);
}

/* Takes the address of one function; the name of its capsule is its signature. */
static inline int normcy_take_function(PyObject *capsules, const char *name, const char *signature, void *function) {
    PyObject *capsule = PyDict_GetItemString(capsules, name);
    if (!capsule) {
        PyErr_Format(PyExc_ImportError, "normcy: expected a library with %s, got one without it; update normcy", name);
        return -1;
    }
    void *address = PyCapsule_GetPointer(capsule, signature);
    memcpy(function, &address, sizeof address);
    return address ? 0 : -1;
}

static inline int normcy_take_functions(PyObject *capsules) {
    normcy_functions *to = normcy_imported();
    if (normcy_take_function(capsules, "normcy_interface_version", "int (void)", &to->interface_version) < 0)
        return -1;
    if (normcy_interface_version() != NORMCY_INTERFACE_VERSION) {
        PyErr_Format(PyExc_ImportError,
                     "normcy: expected version %d of the C interface, got %d; build this module with the normcy "
                     "that it is used with",
                     NORMCY_INTERFACE_VERSION, normcy_interface_version());
        return -1;
    }
    if (normcy_take_function(capsules, "normcy_check", "int (normcy_norm const *)", &to->check) < 0 ||
        normcy_take_function(capsules, "normcy_error_text", "char const *(int)", &to->error_text) < 0)
        return -1;
    return normcy_take_function(capsules, "normcy_run", "int (normcy_norm const *, int, normcy_runner const *)",
                                &to->run);
}

/* Imports normcy. Returns 0, or -1 with Python's error set. The caller holds the GIL; each file that calls the
 * functions above has to call this before. */
static inline int normcy_import(void) {
    PyObject *module = PyImport_ImportModule("normcy._engine.interface");
    PyObject *capsules = module ? PyObject_GetAttrString(module, "__pyx_capi__") : NULL;
    int result = capsules ? normcy_take_functions(capsules) : -1;
    Py_XDECREF(capsules);
    Py_XDECREF(module);
    return result;
}

#endif

#ifdef __cplusplus
}
#endif

#endif
