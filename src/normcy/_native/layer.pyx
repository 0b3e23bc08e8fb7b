"""Layer norms: over trailing axes, about the mean (LayerNorm) or zero (RMSNorm), or over channels (LayerNorm2d)."""
cimport numpy as cnp

from normcy._engine.floating_point cimport normcy_fp_enter, normcy_fp_leave
from normcy._engine.job cimport Job
from normcy._engine.kernels cimport NORMCY_ABOUT_MEAN, NORMCY_ABOUT_ZERO, normcy_about, normcy_rstd_options
from normcy._engine.plan cimport LAYER, Dims
from normcy._engine.run cimport init_job
from normcy._native.arrays cimport Layout, check_trailing_axes, floats, parameter, trailing_parameter
from normcy._native.call cimport Call, add_options, describe_call, image_of, with_statistics
from normcy._native.options cimport integers, is_outside_sqrt, number
from normcy._native.views cimport in_c_order

import numpy as np

cnp.import_array()


def layer_norm2d(x, weight, bias, eps, layout, weight_offset, pre_add, sum_out, post_add, activation, out, return_stats,
                 ptrdiff_t channels=-1):
    cdef Call call
    cdef Layout at
    cdef cnp.ndarray image
    cdef list keep = []
    cdef double small_eps
    cdef Job job
    cdef unsigned long mode = normcy_fp_enter()
    try:
        describe_call(&call, x, "x", weight, bias, layout, activation, out)
        add_options(&call, weight_offset, pre_add, sum_out, post_add, return_stats)
        call.channels = channels
        small_eps = number(eps, "eps")
        image = image_of(&call, &at)
        init_job(&job, LAYER, &at.d, small_eps, call.weight_offset)
        shape = list(x.shape)
        shape[-1 if at.last else 1] = 1
        return with_statistics(&job, &call, image, parameter(weight, "weight", x, &at, keep),
                               parameter(bias, "bias", x, &at, keep), shape)
    finally:
        normcy_fp_leave(mode)


cdef Dims trailing_dims(cnp.ndarray x, int lead) noexcept:
    """An array whose axes from `lead` on are normalized together: its samples, and rows of them."""
    cdef Dims d
    cdef int i
    d.n = d.s = d.c = d.groups = 1
    for i in range(cnp.PyArray_NDIM(x)):
        if i >= lead:
            d.c *= cnp.PyArray_DIM(x, i)
        elif i == 0:
            d.n = cnp.PyArray_DIM(x, 0)
        else:
            d.s *= cnp.PyArray_DIM(x, i)
    d.sample, d.pitch, d.channels_last = d.c * d.s, d.c, True
    return d


cdef object normalize_trailing(const Call *call, normalized_shape, const normcy_rstd_options *how, normcy_about about,
                               bint of_layer):
    """LayerNorm and RMSNorm: over the trailing axes that normalized_shape names."""
    cdef tuple trailing = integers(normalized_shape, "normalized_shape"), shape = None
    cdef cnp.ndarray x = floats(<object>call.x, "x")
    cdef int lead = cnp.PyArray_NDIM(x) - len(trailing)
    cdef Dims d
    cdef list keep = []
    cdef Job job
    check_trailing_axes(x, trailing, normalized_shape, of_layer)
    d = trailing_dims(x, lead)
    init_job(&job, LAYER, &d, how.eps, call.weight_offset)
    job.about = about
    job.rstd_options.correction, job.rstd_options.outside_sqrt = how.correction, how.outside_sqrt
    if not in_c_order(x):
        x = np.array(x, order="C", subok=False)
    if call.return_stats:
        shape = (<object>x).shape[:lead] + (1,) * len(trailing)
    return with_statistics(&job, call, x, trailing_parameter(<object>call.weight, "weight", x, trailing, d.c, keep),
                           trailing_parameter(<object>call.bias, "bias", x, trailing, d.c, keep), shape)


def layer_norm(x, normalized_shape, weight, bias, eps, weight_offset, pre_add, sum_out, post_add, activation, out,
               return_stats, correction, eps_mode, bint of_layer=False):
    cdef Call call
    cdef normcy_rstd_options how
    cdef unsigned long mode = normcy_fp_enter()
    try:
        describe_call(&call, x, "x", weight, bias, "NCHW", activation, out)
        add_options(&call, weight_offset, pre_add, sum_out, post_add, return_stats)
        how.eps, how.correction = number(eps, "eps"), number(correction, "correction")
        how.outside_sqrt = is_outside_sqrt(eps_mode)
        return normalize_trailing(&call, normalized_shape, &how, NORMCY_ABOUT_MEAN, of_layer)
    finally:
        normcy_fp_leave(mode)


def rms_norm(x, normalized_shape, weight, eps, weight_offset, pre_add, sum_out, post_add, activation, out,
             return_stats, bint of_layer=False):
    cdef Call call
    cdef normcy_rstd_options how
    cdef unsigned long mode = normcy_fp_enter()
    try:
        describe_call(&call, x, "x", weight, None, "NCHW", activation, out)
        add_options(&call, weight_offset, pre_add, sum_out, post_add, return_stats)
        how.eps, how.correction, how.outside_sqrt = 2.0 ** -23 if eps is None else number(eps, "eps"), 0, False
        return normalize_trailing(&call, normalized_shape, &how, NORMCY_ABOUT_ZERO, of_layer)
    finally:
        normcy_fp_leave(mode)
