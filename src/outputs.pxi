# New arrays for results: the memory of large ones comes from outputs.c, by NumPy's protocol for such (NEP 49), so that
# they own their data as any array does.

cdef extern from *:
    """
    #include "engine/outputs.h"
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

cdef extern from "engine/outputs.h" nogil:
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
    cdef char *lo
    cdef char *hi
    if normcy_same_strides(a, x):
        return a
    normcy_bounds(x, &lo, &hi)      # a slice: as large as what it is a slice of, from its first element to its last
    return np.ndarray(np.shape(x), np.float32, np.empty(hi - lo, np.uint8), 0, (<object>x).strides)


cdef cnp.ndarray empty_beside(cnp.ndarray x):
    """A new dense array of x's shape, and of its memory order."""
    if cnp.PyArray_NBYTES(x) < NORMCY_LARGE:
        return new_array(x)
    before = PyDataMem_SetHandler(output_handler_capsule)
    try:
        return new_array(x)
    finally:
        PyDataMem_SetHandler(before)
