"""The one place that uses OpenMP: work is a few phases, each of a number of parts that may run at the same time.

(A) run_phases is called with the GIL and releases it. Reason: in functions that are called without it, prange asks
    Python whether it is held; before 3.12 the answer is always yes once there has been a subinterpreter, and Python
    ends the process.
(B) One thread goes without a region. Reason: GNU's OpenMP ends each with a system call, as long as a small norm takes.
(C) A part computes in IEEE's default floating-point mode, whatever the mode of the thread that it runs on.
"""

cdef struct Phase:
    void (*part)(void *work, ptrdiff_t round, int part) noexcept nogil
    int parts

cdef void run_phases(void *work, const Phase *phases, int count, ptrdiff_t rounds, int parts,
                     int max_threads) noexcept
