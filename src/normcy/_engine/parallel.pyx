from cython.parallel cimport prange
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport free

from normcy._engine.floating_point cimport normcy_fp_enter, normcy_fp_leave
from normcy._engine.tuning cimport tuning

cdef extern from "runtime/threads.h" nogil:
    ctypedef struct normcy_workers:
        pass
    int normcy_threads_init()
    normcy_workers *normcy_own_workers()
    int normcy_team_size(normcy_workers *workers, int parts, int max_threads)
    void normcy_register_worker(normcy_workers *workers)

cdef extern from "runtime/claims.h" nogil:
    ctypedef struct normcy_claims:
        pass
    normcy_claims *normcy_claims_init(int max_workers)
    ptrdiff_t normcy_claim(normcy_claims *claims, uint32_t step, ptrdiff_t parts, int workers, int own)
    void normcy_part_done(normcy_claims *claims)
    int64_t normcy_await_parts(const normcy_claims *claims, ptrdiff_t count)

cdef extern from "runtime/crowding.h" nogil:
    bint normcy_crowded()
    enum:
        NORMCY_MAX_NS_FOR_A_FLOAT
    void normcy_judge_team(int threads, int64_t floats, int64_t wall_ns, int64_t own_ns, int64_t waited_ns)
    void normcy_pass_pause(int64_t floats)
    void normcy_judge_calls(bint wanted)

cdef extern from "runtime/clocks.h" nogil:
    int64_t normcy_now_ns()
    int64_t normcy_cpu_time_ns()

if normcy_threads_init():
    raise ImportError("normcy could not install its handler of threads that end")

cdef struct Steps:          # what the workers of a call share; a step is a phase of a round
    void *work
    const Phase *phases
    int phase_count
    ptrdiff_t rounds
    normcy_workers *workers
    normcy_claims *claims   # NULL: one worker does all
    ptrdiff_t size          # floats
    int64_t own_ns          # that the caller was in its parts, which includes
    int64_t waited_ns       # that it waited for parts of others


cdef void run_phases(void *work, const Phase *phases, int count, ptrdiff_t rounds, ptrdiff_t size, int threads,
                     int max_threads, const normcy_runner *runner) noexcept:
    """All phases one after the other, as often as there are rounds, over `size` floats by up to `threads` threads; the
    process may use `max_threads`. A runner that is not NULL does it instead."""
    cdef Steps steps
    cdef int worker, team = 1, workers
    cdef bint pausing
    cdef int64_t start
    steps.work, steps.phases, steps.phase_count, steps.rounds = work, phases, count, rounds
    steps.workers, steps.claims, steps.size = NULL, NULL, size
    if runner != NULL:
        with nogil:
            run_phases_by(work, phases, count, rounds, runner)
        return
    pausing = max_threads > 1 and normcy_crowded()
    if threads > 1 and not pausing:
        steps.workers, steps.claims = normcy_own_workers(), normcy_claims_init(threads)
    with nogil:
        if steps.claims != NULL:
            team = normcy_team_size(steps.workers, threads, max_threads)
        if pausing:
            work_alone(&steps)
            normcy_pass_pause(size)
        elif team == 1:
            work_alone(&steps)
        else:
            start = normcy_now_ns()
            workers = min(team, threads)    # others of a team that stays as large as the last one have nothing to do
            for worker in prange(team, num_threads=team, schedule="static", chunksize=1):
                normcy_register_worker(steps.workers)
                if worker < workers:
                    work_in_team(&steps, workers, worker)
            normcy_judge_team(workers, size, normcy_now_ns() - start, steps.own_ns, steps.waited_ns)
    free(steps.claims)


cdef bint crowded() noexcept:
    """Whether a call takes one thread, as others use the CPUs, and had better be planned for one."""
    return normcy_crowded()


cdef void judge_team(ptrdiff_t size, int64_t wall_ns, int64_t own_ns, int64_t waited_ns) noexcept:
    """As if a team of two had worked on so many floats, and taken these times."""
    normcy_judge_team(2, size, wall_ns, own_ns, waited_ns)


cdef void judge_calls(bint wanted) noexcept:
    """Whether times of calls decide for how many threads the next ones are; what has been is forgotten."""
    normcy_judge_calls(wanted)


cdef inline ptrdiff_t in_order_of(const Phase *phase, ptrdiff_t i) noexcept nogil:
    """The part that is the i-th to be run."""
    return phase.parts - 1 - i if phase.backwards else i


cdef void work_alone(const Steps *steps) noexcept nogil:
    cdef const Phase *phase
    cdef ptrdiff_t round, i
    cdef int k
    normcy_register_worker(steps.workers)
    cdef unsigned long saved = normcy_fp_enter()
    for round in range(steps.rounds):
        for k in range(steps.phase_count):
            phase = steps.phases + k
            for i in range(phase.parts):
                phase.part(steps.work, round, in_order_of(phase, i))
    normcy_fp_leave(saved)


cdef struct Step:           # what a runner is given
    void *work
    const Phase *phase
    ptrdiff_t round


cdef void run_phases_by(void *work, const Phase *phases, int count, ptrdiff_t rounds,
                        const normcy_runner *runner) noexcept nogil:
    """run_phases by a runner; NULL: by this thread alone. The thread need not hold the GIL, nor be one of Python's."""
    cdef Step step
    cdef Steps steps
    cdef int k
    if runner == NULL:
        steps.work, steps.phases, steps.phase_count, steps.rounds, steps.workers = work, phases, count, rounds, NULL
        work_alone(&steps)
        return
    step.work = work
    for step.round in range(rounds):
        for k in range(count):
            step.phase = phases + k
            runner.run(runner.arg, step.phase.parts, part_of_step, &step)


cdef void part_of_step(void *of, ptrdiff_t part) noexcept nogil:
    cdef const Step *step = <const Step *>of
    cdef unsigned long saved = normcy_fp_enter()
    step.phase.part(step.work, step.round, in_order_of(step.phase, part))
    normcy_fp_leave(saved)


cdef void work_in_team(Steps *steps, int workers, int worker) noexcept nogil:
    """Worker 0 is the caller. Where it runs other workers' loops, too, its own came first and left nothing to do.

    Long calls read how long it had a CPU, which takes a system call. In short ones it was without one if it seems to
    have worked for longer than any work takes.
    """
    cdef bint is_long = steps.size >= tuning.cpu_time_min_floats
    cdef int64_t start, waited_ns
    if worker > 0:
        work_off(steps, workers, worker)
        return
    start = normcy_cpu_time_ns() if is_long else normcy_now_ns()
    waited_ns = work_off(steps, workers, worker)
    steps.waited_ns = waited_ns
    if is_long:
        steps.own_ns = normcy_cpu_time_ns() - start
    else:
        steps.own_ns = min(normcy_now_ns() - start, waited_ns + steps.size * NORMCY_MAX_NS_FOR_A_FLOAT)


cdef int64_t work_off(const Steps *steps, int workers, int worker) noexcept nogil:
    """One worker's way through all steps; returns how many ns it waited for others. It claims the same memory backwards
    as forwards: the last part first, and the shares in the opposite order."""
    cdef const Phase *phase
    cdef ptrdiff_t round, part, parts = 0
    cdef int64_t waited_ns = 0
    cdef uint32_t step = 0
    cdef int k, own
    cdef unsigned long saved = normcy_fp_enter()
    for round in range(steps.rounds):
        for k in range(steps.phase_count):
            if step > 0:
                waited_ns += normcy_await_parts(steps.claims, parts)
            phase = steps.phases + k
            own = workers - 1 - worker if phase.backwards else worker
            part = normcy_claim(steps.claims, step, phase.parts, workers, own)
            while part >= 0:
                phase.part(steps.work, round, in_order_of(phase, part))
                normcy_part_done(steps.claims)
                part = normcy_claim(steps.claims, step, phase.parts, workers, own)
            parts += phase.parts
            step += 1
    normcy_fp_leave(saved)
    return waited_ns
