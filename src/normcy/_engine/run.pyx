from libc.stdlib cimport free, malloc
from libc.string cimport memset

from normcy._engine.chunks cimport items_of_part
from normcy._engine.cols cimport plan_cols
from normcy._engine.isa cimport chosen
from normcy._engine.job cimport Job
from normcy._engine.kernels cimport NORMCY_ABOUT_MEAN, NORMCY_EXACT_SLOT
from normcy._engine.parallel cimport Phase, run_phases
from normcy._engine.plan cimport init_plan
from normcy._engine.rows cimport plan_rows
from normcy._engine.tuning cimport (
    COLUMNS_IN_L1, IN_CACHE_FLOATS, LOCAL_IN_CACHE_FLOATS, NONTEMPORAL_FLOATS, PART_MIN_FLOATS,
)
from normcy._engine.work cimport FIXED, LOCAL, Work

cdef extern from "runtime/queue.h" nogil:
    ctypedef struct normcy_work_queue:
        pass
    normcy_work_queue *normcy_work_queue_init(ptrdiff_t tasks, int threads)
    ptrdiff_t normcy_work_queue_pop(normcy_work_queue *shares, int threads, int own)

cdef struct Run:            # what the parts of a run are given
    Work work
    normcy_work_queue *queue     # LOCAL: NULL where one part does all tasks


cdef void init_job(Job *job, Method method, const Dims *d, double eps, double offset) noexcept nogil:
    """A job without arrays and parameters."""
    memset(job, 0, sizeof(Job))
    job.k = chosen()
    init_plan(&job.plan, method, d)
    job.about = NORMCY_ABOUT_MEAN
    job.rstd_options.count, job.rstd_options.eps = job.plan.count, eps
    job.exact = job.plan.count >= NORMCY_EXACT_SLOT
    job.offset = offset


cdef int run_job(Job *job, ptrdiff_t size, int max_threads) noexcept:
    """Run a job over arrays of `size` floats; -1: there was no memory for scratch, and nothing was written."""
    cdef Run run
    cdef char *scratch
    if size == 0:
        return 0
    tune(job, size, max_threads)
    memset(&run, 0, sizeof(Run))
    run.work.job = job
    if job.plan.by_col:
        plan_cols(job, &run.work)
    else:
        plan_rows(job, &run.work)
    scratch = NULL
    if run.work.scratch_bytes:
        scratch = <char *>malloc(run.work.scratch_bytes + run.work.part_bytes * job.parts)
        if scratch == NULL:
            return -1
        run.work.lay_out(&run.work, scratch)
    if run.work.mode == LOCAL and job.parts > 1:
        run.queue = normcy_work_queue_init(run.work.tasks, job.parts)
        if run.queue == NULL:
            free(scratch)
            return -1
    run_mode(&run)
    free(run.queue)
    free(scratch)
    return 0


cdef void tune(Job *job, ptrdiff_t size, int max_threads) noexcept nogil:
    """How many parts to make, and how to go through memory."""
    job.max_threads = max_threads
    job.parts = <int>min(<ptrdiff_t>max_threads, max(<ptrdiff_t>1, size // PART_MIN_FLOATS))
    # Where an input shares y's memory, those lines are in the caches, and y is best written there.
    job.beyond_caches = size >= NONTEMPORAL_FLOATS * job.parts and not (
        job.source == job.y or job.addend == job.y or job.epilogue.add == job.y)
    job.local_in_cache, job.access.in_cache = size <= LOCAL_IN_CACHE_FLOATS, size <= IN_CACHE_FLOATS
    job.access.nontemporal = job.beyond_caches and job.x != job.y
    job.access.columns = COLUMNS_IN_L1 if job.local_in_cache else 0


cdef void run_mode(Run *run) noexcept:
    cdef const Job *job = run.work.job
    cdef Phase[3] phases
    if run.work.mode == LOCAL:
        phases[0].part, phases[0].parts = tasks_part, job.parts
        run_phases(run, phases, 1, 1, job.parts, job.max_threads)
    elif run.work.mode == FIXED:
        phases[0].part, phases[0].parts = apply_part, job.parts
        run_phases(run, phases, 1, run.work.units, job.parts, job.max_threads)
    else:
        phases[0].part, phases[0].parts = measure_part, job.parts
        phases[1].part, phases[1].parts = combine_part, 1
        phases[2].part, phases[2].parts = apply_part, job.parts
        run_phases(run, phases, 3 if job.y != NULL else 2, run.work.units, job.parts, job.max_threads)


cdef void tasks_part(void *of, ptrdiff_t round, int part) noexcept nogil:
    """Tasks of its own share, in order, then what others have left of theirs."""
    cdef Run *run = <Run *>of
    cdef const Work *w = &run.work
    cdef ptrdiff_t task
    if run.queue == NULL:
        for task in range(w.tasks):
            w.task(w, task, 0)
        return
    task = normcy_work_queue_pop(run.queue, w.job.parts, part)
    while task >= 0:
        w.task(w, task, part)
        task = normcy_work_queue_pop(run.queue, w.job.parts, part)


cdef void measure_part(void *of, ptrdiff_t unit, int part) noexcept nogil:
    cdef const Work *w = &(<Run *>of).work
    cdef ptrdiff_t chunk, begin, end
    items_of_part(w.chunks.count, w.job.parts, part, &begin, &end)
    for chunk in range(begin, end):
        w.measure(w, unit, chunk)


cdef void combine_part(void *of, ptrdiff_t unit, int part) noexcept nogil:
    cdef Work *w = &(<Run *>of).work
    w.combine(w, unit)


cdef void apply_part(void *of, ptrdiff_t unit, int part) noexcept nogil:
    cdef const Work *w = &(<Run *>of).work
    w.apply(w, unit, part)
