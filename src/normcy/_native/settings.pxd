"""Threads, instruction set and configuration: all state of the process that normcy has.

(A) The number of threads is asked for on every call, so that threadpoolctl and OMP_NUM_THREADS act at once.
(B) A child of fork() has no OpenMP pool; it computes serially. So does a call from inside a parallel region.
(C) A call takes no more threads than it has tasks for, and no more than can be started: see threads.h.
"""

cdef int threads_for(ptrdiff_t size) except -1
