from libc.stdlib cimport free, malloc

from normcy._engine.coefficients cimport is_elementwise
from normcy._engine.cols cimport work_on_cols
from normcy._engine.isa cimport chosen
from normcy._engine.job cimport Job, no_offset
from normcy._engine.kernels cimport NORMCY_ABOUT_MEAN, NORMCY_EXACT_SLOT, NORMCY_RATIO
from normcy._engine.normcy_h cimport normcy_runner
from normcy._engine.parallel cimport Phase, crowded, run_phases, run_phases_by
from normcy._engine.plan cimport init_plan
from normcy._engine.rows cimport work_on_rows
from normcy._engine.schedule cimport MAX_PHASES, Operands, Schedule, make_schedule
from normcy._engine.tuning cimport tuning
from normcy._engine.work cimport Work

cdef extern from "runtime/clear.h" nogil:
    void normcy_clear(void *p, size_t size)

cdef void init_job(Job *job, Method method, const Dims *d, double eps, double offset) noexcept nogil:
    """A job without arrays and parameters."""
    normcy_clear(job, sizeof(Job))
    job.k = chosen()
    init_plan(&job.plan, method, d)
    job.about = NORMCY_ABOUT_MEAN
    job.rstd_options.count, job.rstd_options.eps = job.plan.count, eps
    job.exact = job.plan.count >= NORMCY_EXACT_SLOT
    job.offset = offset if offset != 0 else no_offset()


cdef int run_job(const Job *job, ptrdiff_t size, int max_threads, const normcy_runner *runner) noexcept:
    """Run a job over arrays of `size` floats; -1: there was no memory for scratch, and nothing was written. `runner` is
    NULL, or runs its parts on other threads."""
    cdef Work work
    cdef char *scratch
    cdef Phase[MAX_PHASES] phases
    cdef bint alone = max_threads > 1 and runner == NULL and crowded()
    if size == 0:
        return 0
    if prepare(&work, job, size, 1 if alone else max_threads, phases, &scratch):
        return -1
    run_phases(&work, phases, work.schedule.phase_count, work.schedule.rounds, size, work.schedule.threads, max_threads,
               runner)
    free(scratch)
    return 0


cdef int run_job_by(const Job *job, ptrdiff_t size, int threads, const normcy_runner *runner) noexcept nogil:
    """run_job without OpenMP: by a runner with that many threads, or by this thread alone where the runner is NULL or a
    second thread does not pay."""
    cdef Work work
    cdef char *scratch
    cdef Phase[MAX_PHASES] phases
    if size == 0:
        return 0
    if prepare(&work, job, size, threads if job_pays_for_threads(job, size) else 1, phases, &scratch):
        return -1
    run_phases_by(&work, phases, work.schedule.phase_count, work.schedule.rounds,
                  runner if work.schedule.threads > 1 else NULL)
    free(scratch)
    return 0


cdef int prepare(Work *work, const Job *job, ptrdiff_t size, int max_threads, Phase *phases,
                 char **scratch) noexcept nogil:
    """Describe the work and its phases, in scratch that the caller frees; -1: there was no memory for it."""
    scratch[0] = NULL
    describe_work(work, job, size, max_threads)
    set_phases(&work.schedule, phases)
    if work.scratch_bytes:
        scratch[0] = <char *>malloc(work.scratch_bytes)
        if scratch[0] == NULL:
            return -1
        work.lay_out(work, scratch[0])
    return 0


cdef void describe_work(Work *work, const Job *job, ptrdiff_t size, int max_threads) noexcept nogil:
    cdef Operands operands = operands_of(job, size)
    normcy_clear(work, <char *>&work.schedule - <char *>work)
    work.job = job
    make_schedule(&job.plan, &tuning, max_threads, &operands, &work.schedule)
    if job.plan.by_col:
        work_on_cols(work)
    else:
        work_on_rows(work)


cdef Operands operands_of(const Job *job, ptrdiff_t size) noexcept nogil:
    cdef Operands o
    o.size, o.writes, o.fixed, o.adds = size, job.y != NULL, job.fixed_mean != NULL, job.addend != NULL
    o.in_place = job.x == job.y
    o.rereads = job.source == job.y or job.addend == job.y or job.epilogue.add == job.y
    o.elementwise, o.ratio = is_elementwise(job), job.op == NORMCY_RATIO
    return o


# What each step of a schedule calls, in its order.
cdef (void (*)(void *, ptrdiff_t, ptrdiff_t) noexcept nogil)[4] PARTS
PARTS[:] = [task_part, measure_part, combine_part, apply_part]


cdef void set_phases(const Schedule *s, Phase *phases) noexcept nogil:
    cdef int i
    for i in range(s.phase_count):
        phases[i] = Phase(PARTS[s.phases[i].step], s.phases[i].parts, s.phases[i].backwards)


cdef void task_part(void *work, ptrdiff_t unit, ptrdiff_t part) noexcept nogil:
    (<const Work *>work).task(<const Work *>work, part)


cdef void measure_part(void *work, ptrdiff_t unit, ptrdiff_t chunk) noexcept nogil:
    (<const Work *>work).measure(<const Work *>work, unit, chunk)


cdef void combine_part(void *work, ptrdiff_t unit, ptrdiff_t part) noexcept nogil:
    (<Work *>work).combine(<Work *>work, unit)


cdef void apply_part(void *work, ptrdiff_t unit, ptrdiff_t part) noexcept nogil:
    (<const Work *>work).apply(<const Work *>work, unit, part)
