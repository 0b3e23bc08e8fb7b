cdef extern from "runtime/floating_point.h" nogil:
    unsigned long normcy_fp_enter()
    void normcy_fp_leave(unsigned long saved)
