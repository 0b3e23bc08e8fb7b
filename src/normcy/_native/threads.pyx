cimport openmp

from normcy._engine.parallel cimport crowded, judge_calls as judge, judge_team as judge_times
from normcy._engine.work cimport NORMCY_POOL_MAX_AREAS
from normcy._native.options cimport integer

cdef extern from *:
    """
    #ifdef _OPENMP
    #define HAVE_OPENMP 1
    #else
    #define HAVE_OPENMP 0
    #define omp_get_max_threads() 1
    #define omp_get_thread_limit() 1
    #define omp_get_num_procs() 1
    #define omp_get_proc_bind() 0
    #define omp_in_parallel() 0
    #endif
    """
    const bint HAVE_OPENMP
    int omp_get_proc_bind() nogil

cdef extern from "runtime/process.h" nogil:
    int normcy_process_init()
    bint normcy_forked()
    int normcy_thread_override()
    void normcy_set_thread_override(int n)
    int normcy_affinity()

cdef int process_threads = 0        # set_num_threads; 0: not set
cdef int environment_threads = 0    # NORMCY_NUM_THREADS; 0: not set
cdef int quota = -1                 # CPUs granted by the cgroup; 0: no limit, -1: not read yet

if normcy_process_init():
    raise ImportError("normcy could not install its handler of forks")


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
    """How many threads a call may take here and now: (A) to (E)."""
    if not HAVE_OPENMP or normcy_forked() or openmp.omp_in_parallel():
        return 1
    cdef int n = normcy_thread_override() or process_threads or environment_threads or openmp_threads()
    return min(n, <int>NORMCY_POOL_MAX_AREAS, openmp.omp_get_thread_limit())


cdef int checked_threads(n) except -1:
    cdef ptrdiff_t found = integer(n, "n")
    if not 1 <= found <= 1 << 16:
        raise ValueError(f"n: expected a number of threads from 1 to 65536, got {found}")
    return <int>found


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


def forked():
    return bool(normcy_forked())


def has_openmp():
    return bool(HAVE_OPENMP)


def judge_calls(wanted):
    """Whether calls take one thread while others use the CPUs. Tests that count threads do not want it."""
    judge(wanted)


def judge_team(size, wall_ns, own_ns, waited_ns):
    """Tell what a call by two threads took, for tests; returns whether the next calls take one thread."""
    judge_times(size, wall_ns, own_ns, waited_ns)
    return is_crowded()


def is_crowded():
    """Whether calls take one thread now."""
    return bool(crowded())


cdef int read_environment() except -1:
    global environment_threads
    import os
    text = os.environ.get("NORMCY_NUM_THREADS", "")
    if text:
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1 << 16):
            raise ImportError(f"NORMCY_NUM_THREADS={text}: expected a number of threads from 1 to 65536")
        environment_threads = int(text)
    return 0


read_environment()
