from cython.parallel cimport prange

from normcy._engine.floating_point cimport normcy_fp_enter, normcy_fp_leave

cdef extern from "runtime/threads.h" nogil:
    ctypedef struct normcy_crew:
        pass
    int normcy_team_init()
    normcy_crew *normcy_own_crew()
    int normcy_team(normcy_crew *workers, int parts, int max_threads)
    void normcy_serve(normcy_crew *workers)

if normcy_team_init():
    raise ImportError("normcy could not install its handler of threads that end")


cdef void run_phases(void *work, const Phase *phases, int count, ptrdiff_t rounds, int parts,
                     int max_threads) noexcept:
    """All phases one after the other, as often as there are rounds. `parts` is the most that a phase has."""
    cdef normcy_crew *workers = normcy_own_crew() if parts > 1 else NULL
    cdef ptrdiff_t round
    cdef int k, part, team
    with nogil:
        team = normcy_team(workers, parts, max_threads) if parts > 1 else 1
        for round in range(rounds):
            for k in range(count):
                if team == 1 or phases[k].parts == 1:
                    for part in range(phases[k].parts):
                        run_part(workers, phases + k, work, round, part)
                else:
                    for part in prange(phases[k].parts, num_threads=team, schedule="static", chunksize=1):
                        run_part(workers, phases + k, work, round, part)


cdef inline void run_part(normcy_crew *workers, const Phase *phase, void *work, ptrdiff_t round,
                          int part) noexcept nogil:
    cdef unsigned long saved
    normcy_serve(workers)
    saved = normcy_fp_enter()
    phase.part(work, round, part)
    normcy_fp_leave(saved)
