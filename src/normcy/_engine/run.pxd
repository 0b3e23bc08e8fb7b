"""Describes a job as work, and runs that."""
from normcy._engine.job cimport Job
from normcy._engine.normcy_h cimport normcy_runner
from normcy._engine.plan cimport Dims, Method
from normcy._engine.schedule cimport pays_for_threads
from normcy._engine.tuning cimport tuning

cdef void init_job(Job *job, Method method, const Dims *d, double eps, double offset) noexcept nogil
cdef int run_job(const Job *job, ptrdiff_t size, int max_threads, const normcy_runner *runner) noexcept
cdef int run_job_by(const Job *job, ptrdiff_t size, int threads, const normcy_runner *runner) noexcept nogil


cdef inline bint job_pays_for_threads(const Job *job, ptrdiff_t size) noexcept nogil:
    return pays_for_threads(&tuning, size, job.fixed_mean != NULL)
