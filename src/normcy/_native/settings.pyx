cimport openmp

from normcy._engine.floating_point cimport normcy_fp_enter, normcy_fp_leave
from normcy._engine.isa cimport choose, chosen, kernels_of, runs
from normcy._engine.parallel cimport crowded, judge_calls as judge, judge_team as judge_times
from normcy._native.options cimport integer
from normcy._native.outputs import keep_outputs

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

cdef enum:
    MOST_THREADS = 1024         # as many CPUs as Linux's cpu_set_t has room for

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
    """How many threads a call may take here and now."""
    if not HAVE_OPENMP or normcy_forked() or openmp.omp_in_parallel():
        return 1
    cdef int n = normcy_thread_override() or process_threads or environment_threads or openmp_threads()
    return min(n, MOST_THREADS, openmp.omp_get_thread_limit())


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


def isas():
    """Names of the instruction sets in this build, slowest first, each with whether this CPU runs it."""
    found, i = {}, 0
    while kernels_of(i) != NULL:
        found[kernels_of(i).isa.decode()] = bool(runs(i))
        i += 1
    return found


def current_isa():
    return chosen().isa.decode()


def forked():
    return bool(normcy_forked())


def has_openmp():
    return bool(HAVE_OPENMP)


def use_isa(wanted):
    """Compute with that instruction set from now on ("": the best). Tests compare them within one process."""
    have = isas()
    usable = [name for name in have if have[name]]
    name = wanted or usable[-1]
    if name not in usable:
        why = "this CPU lacks it" if name in have else "this build has no kernels for it"
        raise ImportError(f"NORMCY_ISA={name}: {why}; it can be one of {', '.join(usable)}")
    choose(list(have).index(name))


def judge_calls(wanted):
    """Whether calls take one thread while others use the CPUs. Tests that count threads do not want it."""
    judge(wanted)


def judge_team(size, wall_ns, cpu_ns, waited_ns):
    """Tell what a call by several threads took, for tests; returns whether the next calls take one thread."""
    judge_times(size, wall_ns, cpu_ns, waited_ns)
    return is_crowded()


def is_crowded():
    """Whether calls take one thread now."""
    return bool(crowded())


cdef int read_environment() except -1:
    global environment_threads
    import os
    use_isa(os.environ.get("NORMCY_ISA", ""))
    text = os.environ.get("NORMCY_KEEP_OUTPUTS", "64")
    if not (text.isascii() and text.isdigit() and int(text) < 1 << 20):
        raise ImportError(f"NORMCY_KEEP_OUTPUTS={text}: expected a number of MiB, 0 or more")
    keep_outputs(int(text) << 20)
    text = os.environ.get("NORMCY_NUM_THREADS", "")
    if text:
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1 << 16):
            raise ImportError(f"NORMCY_NUM_THREADS={text}: expected a number of threads from 1 to 65536")
        environment_threads = int(text)
    if normcy_process_init():
        raise ImportError("normcy could not install its handler of forks")
    return 0


read_environment()
