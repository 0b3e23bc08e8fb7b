cimport numpy as cnp

from normcy._native.arrays cimport Layout

cdef ptrdiff_t groups_of(num_groups, cnp.ndarray x, const Layout *at) except -1
