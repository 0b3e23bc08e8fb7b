"""The statistics of every slot of a call: for who keeps them, or gets them beside the result."""
cimport numpy as cnp

from normcy._engine.job cimport Job

cdef class Statistics:
    """Mean, M2 and 1 / std of every slot in float64, as the engine writes them."""
    cdef double[::1] mean, m2, rstd
    cdef cnp.ndarray mean_out, rstd_out
    cdef void point(self, Job *job)
    cdef tuple outputs(self, shape)
    cdef void fill_outputs(self) noexcept
