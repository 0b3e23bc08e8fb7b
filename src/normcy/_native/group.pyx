"""Group norm."""
cimport numpy as cnp

from normcy._engine.floating_point cimport normcy_fp_enter, normcy_fp_leave
from normcy._engine.job cimport Job
from normcy._engine.plan cimport GROUP
from normcy._engine.run cimport init_job
from normcy._native.arrays cimport Layout, other_layout, parameter
from normcy._native.call cimport Call, add_options, describe_call, image_of, with_statistics
from normcy._native.options cimport integer, number

import numpy as np

cnp.import_array()


cdef int check_groups(ptrdiff_t groups, cnp.ndarray x, const Layout *at) except -1:
    cdef ptrdiff_t other = cnp.PyArray_DIM(x, 1 if at.last else cnp.PyArray_NDIM(x) - 1)
    if groups < 1 or at.d.c % groups:
        hint = other_layout(np.shape(x), at.last, other) if groups > 0 and other % groups == 0 else ""
        raise ValueError(f"num_groups: expected a positive divisor of the {at.d.c} channels, got {groups}{hint}")
    return 0


def group_norm(x, num_groups, weight, bias, eps, layout, weight_offset, pre_add, sum_out, post_add, activation, out,
               return_stats, ptrdiff_t channels=-1):
    cdef Call call
    cdef Layout at
    cdef cnp.ndarray image
    cdef list keep = []
    cdef ptrdiff_t groups
    cdef double small_eps
    cdef Job job
    cdef unsigned long mode = normcy_fp_enter()
    try:
        describe_call(&call, x, "x", weight, bias, layout, activation, out)
        add_options(&call, weight_offset, pre_add, sum_out, post_add, return_stats)
        call.channels = channels
        groups, small_eps = integer(num_groups, "num_groups"), number(eps, "eps")
        image = image_of(&call, &at)
        check_groups(groups, x, &at)
        at.d.groups = groups
        init_job(&job, GROUP, &at.d, small_eps, call.weight_offset)
        return with_statistics(&job, &call, image, parameter(weight, "weight", x, &at, keep),
                               parameter(bias, "bias", x, &at, keep), (at.d.n, at.d.groups))
    finally:
        normcy_fp_leave(mode)
