from normcy._engine.kernels cimport normcy_kernels

cdef extern from "kernels/isa/dispatch.h" nogil:
    const normcy_kernels *normcy_isa(int i)
    bint normcy_isa_runs(int i)

cdef const normcy_kernels *kernels = NULL


cdef const normcy_kernels *chosen() noexcept nogil:
    return kernels


cdef void choose(int i) noexcept nogil:
    global kernels
    kernels = normcy_isa(i)


cdef const normcy_kernels *kernels_of(int i) noexcept nogil:
    """Those of the i-th instruction set of this build, slowest first; NULL past the last."""
    return normcy_isa(i)


cdef bint runs(int i) noexcept nogil:
    """Whether this CPU and its operating system can run the i-th."""
    return normcy_isa_runs(i)
