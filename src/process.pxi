# Threads, instruction set and configuration: all state of the process that normcy has.
#
# (A) The number of threads is asked for on every call, so that threadpoolctl and OMP_NUM_THREADS act at once.
# (B) A child of fork() has no OpenMP pool; it computes serially. So does a call from inside a parallel region.

cdef const normcy_kernels *kernels = NULL
cdef int process_threads = 0        # set_num_threads; 0: not set
cdef int environment_threads = 0    # NORMCY_NUM_THREADS; 0: not set
cdef int quota = -1                 # CPUs granted by the cgroup; 0: no limit, -1: not read yet


cdef int openmp_threads() except -1:
    """What the OpenMP runtime would use, within affinity and quota."""
    global quota
    if quota < 0:
        from normcy import _quota
        quota = _quota.cpu_quota()
    n = min(openmp.omp_get_max_threads(), normcy_affinity()) if HAVE_OPENMP else 1
    return max(1, min(n, quota) if quota else n)


cdef int threads_now() except -1:
    if not HAVE_OPENMP or normcy_forked() or openmp.omp_in_parallel():
        return 1
    return normcy_thread_override() or process_threads or environment_threads or openmp_threads()


cdef int threads_for(ptrdiff_t size) except -1:
    """How many threads a call over `size` floats takes."""
    if size < PARALLEL_MIN:
        return 1
    cdef int n = threads_now()
    if n > 1:
        normcy_mark_parallel()
    return n


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


def levels():
    """Names of the instruction-set levels in this build, slowest first, each with whether this CPU runs it."""
    found, i = {}, 0
    while normcy_level(i) != NULL:
        found[normcy_level(i).isa.decode()] = bool(normcy_level_runs(i))
        i += 1
    return found


def current_level():
    return kernels.isa.decode()


def has_openmp():
    return bool(HAVE_OPENMP)


def use_level(wanted):
    """Compute with that level from now on ("": the best); for tests, which compare levels within one process."""
    global kernels
    have = levels()
    runs = [name for name in have if have[name]]
    name = wanted or runs[-1]
    if name not in runs:
        why = "this CPU lacks it" if name in have else "this build has no such level"
        raise ImportError(f"NORMCY_ISA={name}: {why}; it can be one of {', '.join(runs)}")
    kernels = normcy_level(list(have).index(name))


cdef int read_environment() except -1:
    global environment_threads
    import os
    use_level(os.environ.get("NORMCY_ISA", ""))
    text = os.environ.get("NORMCY_KEEP_OUTPUTS", "64")
    if not (text.isascii() and text.isdigit() and int(text) < 1 << 20):
        raise ImportError(f"NORMCY_KEEP_OUTPUTS={text}: expected a number of MiB, 0 or more")
    normcy_keep_outputs(int(text) << 20)
    text = os.environ.get("NORMCY_NUM_THREADS", "")
    if text:
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1 << 16):
            raise ImportError(f"NORMCY_NUM_THREADS={text}: expected a number of threads from 1 to 65536")
        environment_threads = int(text)
    if normcy_process_init():
        raise ImportError("normcy could not install its fork handler")
    return 0
