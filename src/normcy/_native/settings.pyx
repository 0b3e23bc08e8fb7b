from normcy._engine.floating_point cimport normcy_fp_enter, normcy_fp_leave
from normcy._engine.isa cimport choose, chosen, kernels_of, runs
from normcy._native.outputs import keep_outputs


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


def isas():
    """Names of the instruction sets in this build, slowest first, each with whether this CPU runs it."""
    found, i = {}, 0
    while kernels_of(i) != NULL:
        found[kernels_of(i).isa.decode()] = bool(runs(i))
        i += 1
    return found


def current_isa():
    return chosen().isa.decode()


def use_isa(wanted):
    """Compute with that instruction set from now on ("": the best). Tests compare them within one process."""
    have = isas()
    usable = [name for name in have if have[name]]
    name = wanted or usable[-1]
    if name not in usable:
        why = "this CPU lacks it" if name in have else "this build has no kernels for it"
        raise ImportError(f"NORMCY_ISA={name}: {why}; it can be one of {', '.join(usable)}")
    choose(list(have).index(name))


cdef int read_environment() except -1:
    import os
    use_isa(os.environ.get("NORMCY_ISA", ""))
    text = os.environ.get("NORMCY_KEEP_OUTPUTS", "64")
    if not (text.isascii() and text.isdigit() and int(text) < 1 << 20):
        raise ImportError(f"NORMCY_KEEP_OUTPUTS={text}: expected a number of MiB, 0 or more")
    keep_outputs(int(text) << 20)
    return 0


read_environment()
