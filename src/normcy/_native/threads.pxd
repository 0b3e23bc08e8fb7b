"""How many threads a call may have, wherever it is called. "Threads and processes" in src/README.md has the rest.

(A) The number is asked for on every call, so that threadpoolctl and OMP_NUM_THREADS act at once: that of the thread
    (num_threads), of the process (set_num_threads), of NORMCY_NUM_THREADS, or OpenMP's own.
(B) OpenMP's own number is within the affinity of the calling thread and the quota of the control group.
    Reason: OpenMP looks at the first when it is loaded, and not at the second.
(C) It is 1 in a child of fork().
    Reason: OpenMP still believes in its threads there, which any library may have started, and would wait for them.
(D) It is 1 inside of another parallel region. Reason: each of its threads calls, and has a CPU of its own.
(E) It is within OMP_THREAD_LIMIT, and at most NORMCY_POOL_MAX_AREAS, as many CPUs as Linux's cpu_set_t has room for.
(F) What is set while calls run acts on the next ones. The numbers are single words, which free-threaded Pythons can
    read and write at the same time.
"""

cdef int threads_now() except -1
