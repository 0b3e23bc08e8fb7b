"""The kernels that the process computes with: those of one instruction set."""
from normcy._engine.kernels cimport normcy_kernels

cdef const normcy_kernels *chosen() noexcept nogil
cdef void choose(int i) noexcept nogil
cdef const normcy_kernels *kernels_of(int i) noexcept nogil
cdef bint runs(int i) noexcept nogil
