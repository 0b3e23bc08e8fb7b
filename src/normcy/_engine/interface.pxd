"""The engine without Python: what normcy/include/normcy.h declares to clients.

Cython publishes these functions in the module's __pyx_capi__, as capsules that are named by their C signatures.
normcy_import() in the header finds them there: names, signatures and the module's own name are part of the interface.
"""
from normcy._engine.normcy_h cimport normcy_norm, normcy_runner

cdef int normcy_interface_version() noexcept nogil
cdef int normcy_check(const normcy_norm *norm) noexcept nogil
cdef const char *normcy_error_text(int error) noexcept nogil
cdef int normcy_run(const normcy_norm *norm, int threads, const normcy_runner *runner) noexcept nogil
