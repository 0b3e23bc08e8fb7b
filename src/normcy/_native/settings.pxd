"""Threads, instruction set and configuration, as the environment and the user set them.

Other state of the process is where it is used: the kernels that were chosen in isa.pyx, kept outputs in outputs.c,
forks and the thread's own number of threads in process.c, threads that can be started in threads.c, pauses without a
team in crowding.c.

(A) The number of threads is asked for on every call, so that threadpoolctl and OMP_NUM_THREADS act at once.
(B) A child of fork() has no OpenMP pool; it computes serially. So does a call from inside a parallel region.
(C) A call takes no more threads than it has tasks for, and no more than can be started: see threads.h.
"""

cdef int threads_now() except -1
