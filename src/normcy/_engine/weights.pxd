"""Weight, bias and offset of a job, and what the engine has to know of their values."""
from normcy._engine.job cimport Job
from normcy._engine.plan cimport Strides, make_operand

cdef void set_weights(Job *job, Strides weight, Strides bias, float *room) noexcept nogil


cdef inline bint have_offset_added_first(const Job *job, Strides weight) noexcept nogil:
    """Whether these weights take on the offset before the job runs, in memory of their own.

    The kernels add it to weights that do not fold in float32, which is right for an offset that float32 holds.
    """
    return <float>job.offset != job.offset and weight.size and not make_operand(weight, &job.plan).folds
