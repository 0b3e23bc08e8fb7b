# cython: language_level=3, boundscheck=False
"""A module in Cython: the batch norm of a residual sum by normcy's engine, which runs in a prange of this module."""
cimport normcy
from cython.parallel cimport prange
from libc.string cimport memset

normcy.normcy_import()


cdef void run_by_prange(void *arg, ptrdiff_t parts, normcy.normcy_part part, void *of) noexcept nogil:
    cdef int threads = (<int *>arg)[0]
    cdef ptrdiff_t i
    for i in prange(parts, num_threads=threads, schedule="dynamic", chunksize=1):
        part(of, i)


cdef bint fit(float[:, :, ::1] x, float[:, :, ::1] other) noexcept:
    return x.shape[0] == other.shape[0] and x.shape[1] == other.shape[1] and x.shape[2] == other.shape[2]


def add_and_normalize(float[:, :, ::1] x, float[:, :, ::1] residual, float[::1] weight, float[::1] bias,
                      float[:, :, ::1] y, double[::1] mean, int threads):
    """Write the ReLU of the batch norm of x + residual, (samples, channels, positions), into y. residual receives the
    sum, and mean the means of its channels."""
    cdef normcy.normcy_norm norm
    cdef normcy.normcy_runner runner = normcy.normcy_runner(run_by_prange, &threads)
    cdef ptrdiff_t c = x.shape[1]
    cdef int error
    if not (fit(x, residual) and fit(x, y) and weight.shape[0] == bias.shape[0] == mean.shape[0] == c and x.size):
        raise ValueError("expected x with elements, residual and y of its shape, and (channels,) for the others")
    memset(&norm, 0, sizeof(norm))      # zero is the default of each field that is not set below
    norm.struct_bytes = sizeof(norm)
    norm.method, norm.activation, norm.eps = normcy.NORMCY_METHOD_BATCH, normcy.NORMCY_ACTIVATION_RELU, 1e-5
    norm.samples, norm.channels, norm.positions = x.shape[0], c, x.shape[2]
    norm.x, norm.y, norm.weight, norm.bias = &x[0, 0, 0], &y[0, 0, 0], &weight[0], &bias[0]
    norm.pre_add = norm.sum_out = &residual[0, 0, 0]
    norm.mean = &mean[0]
    with nogil:
        error = normcy.normcy_run(&norm, threads, &runner)
    if error:
        raise ValueError(normcy.normcy_error_text(error).decode())
