from libc.stdlib cimport free, malloc
from libc.string cimport memset

from normcy._engine.cols cimport plan_cols
from normcy._engine.isa cimport chosen
from normcy._engine.job cimport Job
from normcy._engine.kernels cimport NORMCY_ABOUT_MEAN, NORMCY_EXACT_SLOT
from normcy._engine.parallel cimport Phase, Runner, crowded, run_phases
from normcy._engine.plan cimport init_plan
from normcy._engine.rows cimport plan_rows
from normcy._engine.tuning cimport (
    COLUMNS_IN_L1, IN_CACHE_FLOATS, LOCAL_IN_CACHE_FLOATS, NONTEMPORAL_FLOATS, PART_MIN_FLOATS,
)
from normcy._engine.work cimport FIXED, LOCAL, Work

cdef void init_job(Job *job, Method method, const Dims *d, double eps, double offset) noexcept nogil:
    """A job without arrays and parameters."""
    memset(job, 0, sizeof(Job))
    job.k = chosen()
    init_plan(&job.plan, method, d)
    job.about = NORMCY_ABOUT_MEAN
    job.rstd_options.count, job.rstd_options.eps = job.plan.count, eps
    job.exact = job.plan.count >= NORMCY_EXACT_SLOT
    job.offset = offset


cdef int run_job(Job *job, ptrdiff_t size, int max_threads, const Runner *runner) noexcept:
    """Run a job over arrays of `size` floats; -1: there was no memory for scratch, and nothing was written. `runner` is
    NULL, or runs its parts on other threads."""
    cdef Work work
    cdef char *scratch = NULL
    cdef Phase[3] phases
    cdef int count
    if size == 0:
        return 0
    tune(job, size, 1 if runner == NULL and crowded() else max_threads)
    memset(&work, 0, sizeof(Work))
    work.job = job
    if job.plan.by_col:
        plan_cols(job, &work)
    else:
        plan_rows(job, &work)
    if work.scratch_bytes:
        scratch = <char *>malloc(work.scratch_bytes)
        if scratch == NULL:
            return -1
        work.lay_out(&work, scratch)
    count = phases_of(&work, phases)
    run_phases(&work, phases, count, work.units, size, job.threads, max_threads, runner)
    free(scratch)
    return 0


cdef void tune(Job *job, ptrdiff_t size, int max_threads) noexcept nogil:
    """How many threads pay, and how to go through memory."""
    job.threads = <int>min(<ptrdiff_t>max_threads, max(<ptrdiff_t>1, size // PART_MIN_FLOATS))
    # Where an input shares y's memory, those lines are in the caches, and y is best written there.
    job.beyond_caches = size >= NONTEMPORAL_FLOATS * job.threads and not (
        job.source == job.y or job.addend == job.y or job.epilogue.add == job.y)
    job.local_in_cache, job.access.in_cache = size <= LOCAL_IN_CACHE_FLOATS, size <= IN_CACHE_FLOATS
    job.access.nontemporal = job.beyond_caches and job.x != job.y
    job.access.columns = COLUMNS_IN_L1 if job.local_in_cache else 0


cdef int phases_of(const Work *w, Phase *phases) noexcept nogil:
    """What is done for every unit, one phase after the other; returns how many there are."""
    if w.mode == LOCAL:
        phases[0] = Phase(task_part, w.parts, False)
        return 1
    if w.mode == FIXED:
        phases[0] = Phase(apply_part, w.parts, False)
        return 1
    phases[0] = Phase(measure_part, w.chunks.count, False)
    phases[1] = Phase(combine_part, 1, False)
    phases[2] = Phase(apply_part, w.parts, True)
    return 3 if w.job.y != NULL else 2


cdef void task_part(void *work, ptrdiff_t unit, ptrdiff_t part) noexcept nogil:
    (<const Work *>work).task(<const Work *>work, part)


cdef void measure_part(void *work, ptrdiff_t unit, ptrdiff_t chunk) noexcept nogil:
    (<const Work *>work).measure(<const Work *>work, unit, chunk)


cdef void combine_part(void *work, ptrdiff_t unit, ptrdiff_t part) noexcept nogil:
    (<Work *>work).combine(<Work *>work, unit)


cdef void apply_part(void *work, ptrdiff_t unit, ptrdiff_t part) noexcept nogil:
    (<const Work *>work).apply(<const Work *>work, unit, part)
