from libc.math cimport fabs

from normcy._engine.job cimport no_offset
from normcy._engine.kernels cimport NORMCY_ABOUT_ZERO, NORMCY_AFFINE, NORMCY_GAIN, NORMCY_HUGE_WEIGHT
from normcy._engine.plan cimport make_operand


cdef void set_weights(Job *job, Strides weight, Strides bias, float *room) noexcept nogil:
    """Set the job's weight and bias, and whether some weights are extreme.

    With have_offset_added_first, `room` is for weight.size floats, which the job reads; its offset is 0 then.
    """
    cdef ptrdiff_t i
    if have_offset_added_first(job, weight):
        for i in range(weight.size):
            room[i] = <float>(weight.p[i] + job.offset)
        weight.p, job.offset = room, no_offset()
    job.weight, job.bias = make_operand(weight, &job.plan), make_operand(bias, &job.plan)
    if job.op == NORMCY_AFFINE and job.about == NORMCY_ABOUT_ZERO and bias.p == NULL:
        job.op = NORMCY_GAIN
    if not weight.size:
        return
    if job.weight.folds:
        job.extreme = fabs(job.offset) >= NORMCY_HUGE_WEIGHT or job.k.huge(weight.p, weight.size)
    else:
        job.extreme = job.k.weight_range(weight.p, weight.size, <float>job.offset)
