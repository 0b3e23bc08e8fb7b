"""Describes a job as work, and runs that."""
from normcy._engine.job cimport Job
from normcy._engine.parallel cimport Runner
from normcy._engine.plan cimport Dims, Method

cdef void init_job(Job *job, Method method, const Dims *d, double eps, double offset) noexcept nogil
cdef bint job_pays_for_threads(const Job *job, ptrdiff_t size) noexcept nogil
cdef int run_job(const Job *job, ptrdiff_t size, int max_threads, const Runner *runner) noexcept
