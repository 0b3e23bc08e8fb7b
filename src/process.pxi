# Threads, instruction set and configuration: all state of the process that normcy has.
#
# (A) The number of threads is asked for on every call, so that threadpoolctl and OMP_NUM_THREADS act at once.
# (B) A child of fork() has no OpenMP pool; it computes serially. So does a call from inside a parallel region.
# (C) A call takes no more threads than it has tasks for, and no more than can be started: see threads.h.

cdef enum:
    MOST_THREADS = 1024         # as many CPUs as Linux's cpu_set_t has room for

cdef const normcy_kernels *kernels = NULL
cdef int process_threads = 0        # set_num_threads; 0: not set
cdef int environment_threads = 0    # NORMCY_NUM_THREADS; 0: not set
cdef int quota = -1                 # CPUs granted by the cgroup; 0: no limit, -1: not read yet


cdef class DefaultMode:
    """IEEE's default floating-point mode inside of a `with` statement, whatever the caller's mode is.

    It is for what computes in Python. Each entry of the core calls the two functions itself, which is faster.
    """
    cdef unsigned long saved

    def __enter__(self):
        self.saved = normcy_fp_enter()
        return self

    def __exit__(self, *error):
        normcy_fp_leave(self.saved)


cdef int openmp_threads() except -1:
    """What the OpenMP runtime would use, within affinity and quota.

    Where it binds threads to CPUs, the calling thread's affinity is its own doing, and OpenMP knows what there was.
    """
    global quota
    if quota < 0:
        from normcy import _quota
        quota = _quota.cpu_quota()
    cdef int n = openmp.omp_get_num_procs() if omp_get_proc_bind() else normcy_affinity()
    n = min(n, openmp.omp_get_max_threads())
    return max(1, min(n, quota) if quota else n)


cdef int threads_now() except -1:
    if not HAVE_OPENMP or normcy_forked() or openmp.omp_in_parallel():
        return 1
    cdef int n = normcy_thread_override() or process_threads or environment_threads or openmp_threads()
    return min(n, MOST_THREADS, openmp.omp_get_thread_limit())


cdef int threads_for(ptrdiff_t size) except -1:
    """How many threads a call over `size` floats takes."""
    return threads_now() if size >= PARALLEL_MIN else 1


cdef int checked_threads(n) except -1:
    if isinstance(n, bool) or not hasattr(n, "__index__"):
        raise TypeError(f"n: expected a positive int, got {type(n).__name__}")
    if not 1 <= n.__index__() <= 1 << 16:
        raise ValueError(f"n: expected a number of threads from 1 to 65536, got {n}")
    return n.__index__()


def set_num_threads(n):
    global process_threads
    process_threads = checked_threads(n)


def get_num_threads():
    return threads_now()


def override_threads(n):
    """Set the calling thread's own number (None: none); returns the one it had."""
    before = normcy_thread_override()
    normcy_set_thread_override(checked_threads(n) if n is not None else 0)
    return before or None


def isas():
    """Names of the instruction-set levels in this build, slowest first, each with whether this CPU runs it."""
    found, i = {}, 0
    while normcy_isa(i) != NULL:
        found[normcy_isa(i).isa.decode()] = bool(normcy_isa_runs(i))
        i += 1
    return found


def current_isa():
    return kernels.isa.decode()


def forked():
    return bool(normcy_forked())


def has_openmp():
    return bool(HAVE_OPENMP)


def use_isa(wanted):
    """Compute with that level from now on ("": the best); for tests, which compare levels within one process."""
    global kernels
    have = isas()
    runs = [name for name in have if have[name]]
    name = wanted or runs[-1]
    if name not in runs:
        why = "this CPU lacks it" if name in have else "this build has no such level"
        raise ImportError(f"NORMCY_ISA={name}: {why}; it can be one of {', '.join(runs)}")
    kernels = normcy_isa(list(have).index(name))


cdef int read_environment() except -1:
    global environment_threads
    import os
    use_isa(os.environ.get("NORMCY_ISA", ""))
    text = os.environ.get("NORMCY_KEEP_OUTPUTS", "64")
    if not (text.isascii() and text.isdigit() and int(text) < 1 << 20):
        raise ImportError(f"NORMCY_KEEP_OUTPUTS={text}: expected a number of MiB, 0 or more")
    normcy_keep_outputs(int(text) << 20)
    text = os.environ.get("NORMCY_NUM_THREADS", "")
    if text:
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1 << 16):
            raise ImportError(f"NORMCY_NUM_THREADS={text}: expected a number of threads from 1 to 65536")
        environment_threads = int(text)
    if normcy_process_init() or normcy_threads_init():
        raise ImportError("normcy could not install its handlers of forks and of threads that end")
    return 0
