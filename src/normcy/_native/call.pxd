"""From checked arrays to a result: describe the job, run it, hand back. Every norm ends here.

An entry turns every number, flag and name into a C value before it looks at a shape or takes a pointer. Reason: what
is asked for its value may be any object, and may reshape the arrays as it answers.
"""
cimport numpy as cnp
from cpython.object cimport PyObject

from normcy._engine.job cimport Job
from normcy._engine.kernels cimport normcy_activation
from normcy._engine.plan cimport Dims, Method, Strides
from normcy._native.arrays cimport Layout
from normcy._native.statistics cimport Statistics

cdef struct Call:           # what norms are passed, by references that the entry's own arguments hold
    PyObject *x
    PyObject *name          # what the method calls x, a str
    PyObject *weight
    PyObject *bias
    PyObject *pre_add
    PyObject *sum_out
    PyObject *post_add
    PyObject *out
    bint last               # channels are last: NHWC
    normcy_activation activation
    double weight_offset
    bint return_stats
    ptrdiff_t channels      # of the layer that calls; -1: any number

cdef int describe_call(Call *call, x, str name, weight, bias, layout, activation, out) except -1
cdef int add_options(Call *call, weight_offset, pre_add, sum_out, post_add, return_stats) except -1
cdef cnp.ndarray image_of(const Call *call, Layout *at)
cdef int run(Job *job, ptrdiff_t size) except -1
cdef Statistics measured(Method method, cnp.ndarray x, Dims d)
cdef object normalize(Job *job, const Call *call, cnp.ndarray x, Strides weight, Strides bias, tuple named_arrays,
                      tuple more=*)
cdef object normalize_image(Job *job, const Call *call, cnp.ndarray x, const Layout *at, tuple named_arrays,
                            tuple more=*)
cdef object with_statistics(Job *job, const Call *call, cnp.ndarray x, Strides weight, Strides bias, shape)
