"""Batch norm and instance norm: with statistics of their own, which may be kept, or with running ones."""
from normcy._engine.plan cimport Dims, Method

cdef int check_batch(Method method, x, Dims d, bint own, double eps) except -1
