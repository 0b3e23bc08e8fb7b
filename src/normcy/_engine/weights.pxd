"""Weight, bias and offset of a job, and what the engine has to know of their values."""
from normcy._engine.job cimport Job
from normcy._engine.plan cimport Strides

cdef bint have_offset_added_first(const Job *job, Strides weight) noexcept nogil
cdef void set_weights(Job *job, Strides weight, Strides bias, float *room) noexcept nogil
