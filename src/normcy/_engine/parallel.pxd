"""The one place that uses OpenMP: work is a few phases, each of a number of parts that may run at the same time.

(A) A call has one parallel region, whatever its phases: workers go through all of them, and claim parts (claims.h).
    Reason: a region's end waits for the whole team, and on a busy machine each such meeting can cost a time slice.
(B) One thread goes without a region. Reason: GNU's OpenMP ends each with a system call, as long as a small norm takes.
(C) run_phases is called with the GIL and releases it. Reason: in functions that are called without it, prange asks
    Python whether it is held; before 3.12 the answer is always yes once there has been a subinterpreter, and Python
    ends the process.
(D) Workers compute in IEEE's default floating-point mode, whatever the mode of the thread that they run on.
(E) While others use the CPUs, calls take one thread: a team that takes much longer than its caller worked has to wait
    for some of its threads, or the caller for a CPU. See crowding.h.
(F) Nothing of a call outlives it but OpenMP's threads, and nothing is done at exit: a call that a signal, a fork or the
    end of the interpreter meets in another thread goes on, or ends with the process.
(G) Parts can run on threads that are not ours, by a runner from outside (normcy.h), which is called phase by phase.
    Results have the same bits.
"""
from libc.stdint cimport int64_t

from normcy._engine.normcy_h cimport normcy_runner

cdef struct Phase:
    void (*part)(void *work, ptrdiff_t round, ptrdiff_t part) noexcept nogil
    ptrdiff_t parts
    bint backwards          # the last part first: it is in the caches

cdef void run_phases(void *work, const Phase *phases, int count, ptrdiff_t rounds, ptrdiff_t size, int threads,
                     int max_threads, const normcy_runner *runner) noexcept
cdef void run_phases_by(void *work, const Phase *phases, int count, ptrdiff_t rounds,
                        const normcy_runner *runner) noexcept nogil

cdef bint crowded() noexcept
cdef void judge_team(ptrdiff_t size, int64_t wall_ns, int64_t own_ns, int64_t waited_ns) noexcept
cdef void judge_calls(bint wanted) noexcept
