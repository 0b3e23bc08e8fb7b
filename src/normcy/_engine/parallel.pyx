from cython.parallel cimport prange

from normcy._engine.floating_point cimport normcy_fp_enter, normcy_fp_leave

cdef extern from "runtime/threads.h" nogil:
    ctypedef struct normcy_workers:
        pass
    int normcy_threads_init()
    normcy_workers *normcy_own_workers()
    int normcy_team_size(normcy_workers *workers, int parts, int max_threads)
    void normcy_register_worker(normcy_workers *workers)

if normcy_threads_init():
    raise ImportError("normcy could not install its handler of threads that end")


cdef void run_phases(void *work, const Phase *phases, int count, ptrdiff_t rounds, int parts,
                     int max_threads) noexcept:
    """All phases one after the other, as often as there are rounds. `parts` is the most that a phase has."""
    cdef normcy_workers *workers = normcy_own_workers() if parts > 1 else NULL
    cdef ptrdiff_t round
    cdef int k, part, team
    with nogil:
        team = normcy_team_size(workers, parts, max_threads) if parts > 1 else 1
        for round in range(rounds):
            for k in range(count):
                if team == 1 or phases[k].parts == 1:
                    for part in range(phases[k].parts):
                        run_part(workers, phases + k, work, round, part)
                else:
                    for part in prange(phases[k].parts, num_threads=team, schedule="static", chunksize=1):
                        run_part(workers, phases + k, work, round, part)


cdef inline void run_part(normcy_workers *workers, const Phase *phase, void *work, ptrdiff_t round,
                          int part) noexcept nogil:
    cdef unsigned long saved
    normcy_register_worker(workers)
    saved = normcy_fp_enter()
    phase.part(work, round, part)
    normcy_fp_leave(saved)
