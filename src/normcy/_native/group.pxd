cimport numpy as cnp

from normcy._native.arrays cimport Layout

cdef int check_groups(ptrdiff_t groups, cnp.ndarray x, const Layout *at) except -1
