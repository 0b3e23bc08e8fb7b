/* A Python module in C: an RMS norm of rows by normcy's engine, which runs on the module's own threads. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <pthread.h>
#include <stdatomic.h>

#include "normcy.h"

enum { MOST_THREADS = 64 };

/* A phase of the work: each thread takes the next part until none is left. */
typedef struct {
    ptrdiff_t parts;
    normcy_part part;
    void *of;
    atomic_ptrdiff_t next;
} phase;

static void *take_parts(void *arg) {
    phase *p = arg;
    for (ptrdiff_t i; (i = atomic_fetch_add(&p->next, 1)) < p->parts;)
        p->part(p->of, i);
    return NULL;
}

/* The runner, which normcy calls for each phase. It starts new threads each time; a program with many small norms would
 * keep them. If a thread cannot be started, the others do its work. */
static void run_on_pthreads(void *arg, ptrdiff_t parts, normcy_part part, void *of) {
    int threads = *(const int *)arg, started = 0;
    pthread_t ids[MOST_THREADS];
    phase p = {.parts = parts, .part = part, .of = of};
    while (started < threads - 1 && started < parts - 1 && !pthread_create(&ids[started], NULL, take_parts, &p))
        started++;
    take_parts(&p);
    while (started > 0)
        pthread_join(ids[--started], NULL);
}

/* Writes the norm of the rows of x into y. normcy checks addresses and overlaps; the sizes of the buffers are checked
 * here, because the C interface cannot know them. */
static PyObject *normalize(const Py_buffer *x, const Py_buffer *weight, const Py_buffer *y, int threads) {
    Py_ssize_t length = weight->len / (Py_ssize_t)sizeof(float);
    normcy_norm norm = {
        .struct_bytes = sizeof norm,
        .method = NORMCY_METHOD_LAYER,
        .about_zero = 1,
        .channels_last = 1,
        .samples = 1,
        .channels = length,
        .positions = length ? x->len / weight->len : 0,
        .x = x->buf,
        .y = y->buf,
        .weight = weight->buf,
        .eps = 1e-6,
    };
    normcy_runner runner = {run_on_pthreads, &threads};
    int error;
    if (y->len != x->len || norm.positions * weight->len != x->len)
        return PyErr_Format(PyExc_ValueError, "expected rows as long as weight in x, and a y as large as x");
    if (threads < 1 || threads > MOST_THREADS)
        return PyErr_Format(PyExc_ValueError, "threads: expected 1 to %d, got %d", MOST_THREADS, threads);
    Py_BEGIN_ALLOW_THREADS;
    error = normcy_run(&norm, threads, &runner);
    Py_END_ALLOW_THREADS;
    if (error)
        return PyErr_Format(PyExc_ValueError, "%s", normcy_error_text(error));
    Py_RETURN_NONE;
}

static PyObject *rms_norm(PyObject *self, PyObject *args) {
    Py_buffer x, weight, y;
    int threads;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*w*i", &x, &weight, &y, &threads))
        return NULL;
    PyObject *result = normalize(&x, &weight, &y, threads);
    PyBuffer_Release(&x);
    PyBuffer_Release(&weight);
    PyBuffer_Release(&y);
    return result;
}

static PyMethodDef functions[] = {
    {"rms_norm", rms_norm, METH_VARARGS, "rms_norm(x, weight, y, threads): write the RMS norm of float32 rows into y."},
    {NULL, NULL, 0, NULL},
};
static PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "pthread_norms", .m_size = -1, .m_methods = functions};

PyMODINIT_FUNC PyInit_pthread_norms(void) {
    return normcy_import() < 0 ? NULL : PyModule_Create(&module);
}
