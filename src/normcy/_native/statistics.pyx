cimport numpy as cnp
from libc.math cimport NAN

from normcy._engine.job cimport Job

import numpy as np

cnp.import_array()


cdef class Statistics:
    def __cinit__(self, ptrdiff_t slots):
        # One array for all three: to make each of them takes longer than a small norm.
        cdef double[::1] rows = np.zeros(3 * slots)
        cdef ptrdiff_t k
        self.mean, self.m2, self.rstd = rows[:slots], rows[slots:2 * slots], rows[2 * slots:]
        for k in range(slots):
            self.rstd[k] = NAN

    cdef void point(self, Job *job):
        if self.mean.shape[0]:
            job.mean, job.m2, job.rstd = &self.mean[0], &self.m2[0], &self.rstd[0]

    cdef tuple outputs(self, shape):
        """Arrays for mean and rstd in float32, shaped as PyTorch's native functions shape them; see `fill_outputs`."""
        self.mean_out, self.rstd_out = np.empty(shape, np.float32), np.empty(shape, np.float32)
        return self.mean_out, self.rstd_out

    cdef void fill_outputs(self) noexcept:
        """Fill them, which cannot fail: y has been written by now."""
        cdef float *mean = <float *>cnp.PyArray_DATA(self.mean_out)
        cdef float *rstd = <float *>cnp.PyArray_DATA(self.rstd_out)
        cdef ptrdiff_t k
        for k in range(self.mean.shape[0]):
            mean[k], rstd[k] = <float>self.mean[k], <float>self.rstd[k]
