cimport numpy as cnp

from normcy._engine.view cimport Extent, View, extent_of, same_strides
from normcy._native.views cimport view_of

import numpy as np

cnp.import_array()

cdef extern from *:
    """
    #include "runtime/outputs.h"
    static void *output_malloc(void *Py_UNUSED(context), size_t size) {
        return normcy_take(size);
    }
    static void *output_calloc(void *Py_UNUSED(context), size_t n, size_t size) {
        void *p = normcy_take(n * size);
        return p ? memset(p, 0, n * size) : p;
    }
    static void *output_realloc(void *Py_UNUSED(context), void *p, size_t size) {
        return normcy_resize(p, size);
    }
    static void output_free(void *Py_UNUSED(context), void *p, size_t size) {
        normcy_give_back(p, size);
    }
    static PyDataMem_Handler output_handler = {
        "normcy", 1, {NULL, output_malloc, output_calloc, output_realloc, output_free},
    };
    static PyObject *new_output_handler(void) {
        return PyCapsule_New(&output_handler, "mem_handler", NULL);
    }
    """
    object new_output_handler()
    object PyDataMem_SetHandler(object handler)

cdef extern from "runtime/outputs.h" nogil:
    enum:
        NORMCY_LARGE
    void normcy_keep_outputs(size_t bytes)

cdef object output_handler_capsule = new_output_handler()


cdef cnp.ndarray new_array(cnp.ndarray x):
    if cnp.PyArray_IS_C_CONTIGUOUS(x):
        return cnp.PyArray_EMPTY(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.NPY_FLOAT32, 0)
    return np.empty_like(x, order="K", subok=False)


cdef cnp.ndarray stand_in(cnp.ndarray x):
    """A new array that the kernels can walk as they walk x: of its shape, and of its very strides."""
    cdef cnp.ndarray a = empty_beside(x)
    cdef View vx = view_of(x), va = view_of(a)
    cdef Extent own
    if same_strides(&va, &vx):
        return a
    own = extent_of(&vx)        # a slice: as large as what it is a slice of, from its first element to its last
    return np.ndarray(np.shape(x), np.float32, np.empty(own.high - own.low, np.uint8), 0, (<object>x).strides)


cdef cnp.ndarray empty_beside(cnp.ndarray x):
    """A new dense array of x's shape, and of its memory order."""
    if cnp.PyArray_NBYTES(x) < NORMCY_LARGE:
        return new_array(x)
    before = PyDataMem_SetHandler(output_handler_capsule)
    try:
        return new_array(x)
    finally:
        PyDataMem_SetHandler(before)


def keep_outputs(size_t bytes):
    """How much memory of dropped results to keep for the next ones."""
    normcy_keep_outputs(bytes)
