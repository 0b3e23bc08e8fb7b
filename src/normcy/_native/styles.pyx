"""Instance norm towards a style: AdaIN takes its statistics from another array, the conditional norm from a table."""
cimport numpy as cnp
from cpython.object cimport PyObject
from libc.math cimport fabs, sqrt

from normcy._engine.floating_point cimport normcy_fp_enter, normcy_fp_leave
from normcy._engine.job cimport TO_STYLE, Job
from normcy._engine.kernels cimport NORMCY_HUGE_WEIGHT
from normcy._engine.plan cimport INSTANCE, Dims
from normcy._engine.run cimport init_job
from normcy._native.arrays cimport (
    Layout, as_image, channel_strides, check_disjoint, copy_to_output, describe, floats, other_layout, target,
    way_to_array,
)
from normcy._native.call cimport Call, describe_call, image_of, measured, normalize, normalize_image
from normcy._native.options cimport narrow, number

import numpy as np

cnp.import_array()


cdef double[::1] as_doubles(cnp.ndarray a):
    """A flat copy. NumPy's own would tell of signalling NaNs, as the caller's np.seterr says."""
    cdef cnp.ndarray dense = np.array(a, order="C", subok=False)
    cdef const float *p = <const float *>cnp.PyArray_DATA(dense)
    cdef double[::1] found = np.empty(dense.size)
    cdef ptrdiff_t k
    for k in range(found.shape[0]):
        found[k] = p[k]
    return found


cdef class Style:
    """Mean and std that AdaIN gives its content, (N, C) in float64."""
    cdef double[::1] mean, std

    cdef bint is_huge(self) noexcept:
        """Whether some std is such that its ratio to the content's may be beyond what one float32 scale holds."""
        cdef ptrdiff_t k
        for k in range(self.std.shape[0]):
            if fabs(self.std[k]) >= NORMCY_HUGE_WEIGHT:
                return True
        return False

    cdef int of_pair(self, tuple pair, ptrdiff_t n, ptrdiff_t c) except -1:
        arrays = [floats(v, "style") for v in pair]
        if len(arrays) != 2 or any(v.shape != (n, c) for v in arrays):
            raise ValueError(f"style: expected an array or a pair (mean, std) of shape {(n, c)}, one value a sample "
                             f"and channel of content; got a tuple of shapes {[v.shape for v in arrays]}")
        self.mean, self.std = as_doubles(arrays[0]), as_doubles(arrays[1])
        return 0

    cdef int of_array(self, style, bint last, Dims content, double correction, double eps) except -1:
        cdef Layout at
        cdef cnp.ndarray x = as_image(style, last, &at, "style", ())
        cdef double dof = max(at.d.s - correction, 0.0)
        cdef ptrdiff_t k
        if at.d.n != content.n or at.d.c != content.c:
            raise ValueError(f"style: expected {content.n} samples of {content.c} channels, as content has, got shape "
                             f"{style.shape}")
        if at.d.s == 0 and content.n * content.c * content.s:
            raise ValueError(f"style: expected at least one position to take statistics of, got shape {style.shape}")
        stats = measured(INSTANCE, x, at.d)
        self.mean, self.std = stats.mean, np.empty(at.d.n * at.d.c)
        for k in range(at.d.n * at.d.c if at.d.s else 0):
            self.std[k] = sqrt(stats.m2[k] / dof + eps)
        return 0


def adain(content, style, eps, alpha, correction, style_eps, layout, out):
    cdef Call call
    cdef Layout at
    cdef cnp.ndarray x
    cdef Job job
    cdef Style towards
    cdef double small_eps, style_small_eps, dof, share
    cdef tuple pair = None
    cdef tuple style_arrays = ("style", style)      # with their names
    cdef unsigned long mode = normcy_fp_enter()
    try:
        describe_call(&call, content, "content", None, None, layout, None, out)
        small_eps, dof = number(eps, "eps"), number(correction, "correction")
        style_small_eps = small_eps if style_eps is None else narrow(style_eps, "style_eps")
        share = narrow(alpha, "alpha")
        if isinstance(style, tuple):
            pair = tuple(style)
        x = image_of(&call, &at)
        init_job(&job, INSTANCE, &at.d, small_eps, 0)
        job.rstd_options.correction = dof
        job.transform.kind, job.transform.alpha = TO_STYLE, share
        towards = Style()
        if pair is not None:
            towards.of_pair(pair, at.d.n, at.d.c)
            style_arrays = ("style", pair[0], "style", pair[1])
        else:
            towards.of_array(style, call.last, at.d, dof, style_small_eps)
        if towards.mean.shape[0]:
            job.transform.mean, job.transform.std = &towards.mean[0], &towards.std[0]
            job.extreme = towards.is_huge()
        if job.transform.alpha == 0:
            return copy_of_content(content, x, out, style_arrays)
        return normalize(&job, &call, x, channel_strides(None), channel_strides(None), style_arrays)
    finally:
        normcy_fp_leave(mode)


cdef object copy_of_content(cnp.ndarray content, cnp.ndarray x, out, tuple style_arrays):
    """The content to the bit, which a norm there and back would round."""
    cdef cnp.ndarray y = target(out, "out", content, "content", x, None, None, x is not content)
    if out is not None:
        check_disjoint(out, "out", style_arrays)
    if y is not x:
        y[...] = x
    copy_to_output(y, out)
    return y if out is None else out


cdef cnp.ndarray table(obj, str name, cnp.ndarray x, const Layout *at):
    """weight or bias of every style, (S, C)."""
    cdef cnp.ndarray a = floats(obj, name)
    if cnp.PyArray_NDIM(a) != 2 or cnp.PyArray_DIM(a, 1) != at.d.c:
        hint = other_layout(np.shape(x), at.last, cnp.PyArray_DIM(a, 1)) if a.ndim == 2 else ""
        raise ValueError(f"{name}: expected shape (styles, {at.d.c}), a row for each style, got {np.shape(a)}{hint}")
    return a


cdef cnp.ndarray ids_of(style, ptrdiff_t samples, ptrdiff_t styles):
    if style.shape != (samples,):
        hint = "; convert mixing weights with style.astype(numpy.float32)" if style.ndim == 2 else ""
        raise ValueError(f"style: expected shape ({samples},) of integers, an id for each sample, or ({samples}, "
                         f"{styles}) of float32, mixing weights; got shape {style.shape} of {style.dtype}{hint}")
    cdef cnp.ndarray ids = np.array(style, dtype=np.intp, subok=False)
    cdef const Py_ssize_t[::1] id_of = ids
    cdef ptrdiff_t n
    for n in range(samples):
        if not 0 <= id_of[n] < styles:
            raise ValueError(f"style: expected ids from 0 to {styles - 1}, got {style[n]}")
    return ids


cdef cnp.ndarray mixing_of(style, ptrdiff_t samples, ptrdiff_t styles):
    if not isinstance(style, np.ndarray):
        raise TypeError(f"style: expected an array of integer ids, one a sample, or of float32 mixing weights, got "
                        f"{describe(style)}{way_to_array(style, 'style')}")
    cdef cnp.ndarray mixing = floats(style, "style")
    if np.shape(mixing) != (samples, styles):
        hint = "; convert ids with style.astype(numpy.int64)" if mixing.ndim == 1 else ""
        raise ValueError(f"style: expected shape ({samples}, {styles}) of float32, mixing weights of every sample, or "
                         f"({samples},) of integers, ids; got shape {np.shape(mixing)} of float32{hint}")
    return mixing


cdef cnp.ndarray mixed(cnp.ndarray mixing, cnp.ndarray rows):
    """mixing @ rows, summed in float64 style by style: the same bits everywhere, which BLAS does not give."""
    cdef double[:, ::1] weights = as_doubles(mixing).base.reshape(np.shape(mixing))
    cdef double[:, ::1] values = as_doubles(rows).base.reshape(np.shape(rows))
    cdef float[:, ::1] result = np.empty((weights.shape[0], values.shape[1]), np.float32)
    cdef double[::1] total = np.zeros(values.shape[1])
    cdef ptrdiff_t n, k, c
    for n in range(weights.shape[0]):
        total[:] = 0
        for k in range(values.shape[0]):
            for c in range(values.shape[1]):
                total[c] += weights[n, k] * values[k, c]
        for c in range(values.shape[1]):
            result[n, c] = <float>total[c]
    return result.base


def conditional_instance_norm(x, style, weight, bias, eps, layout, activation, out, ptrdiff_t channels=-1):
    cdef Call call
    cdef Layout at
    cdef cnp.ndarray image, w, b
    cdef double small_eps
    cdef Job job
    cdef unsigned long mode = normcy_fp_enter()
    try:
        describe_call(&call, x, "x", weight, bias, layout, activation, out)
        call.channels = channels
        small_eps = number(eps, "eps")
        image = image_of(&call, &at)
        w, b = table(weight, "weight", x, &at), table(bias, "bias", x, &at)
        if not cnp.PyArray_SAMESHAPE(w, b):
            raise ValueError(f"bias: expected the shape of weight, {np.shape(w)}, got {np.shape(b)}")
        if type(style) in (np.ndarray, np.memmap) and style.dtype.kind in "iu":
            ids = ids_of(style, at.d.n, np.shape(w)[0])
            # w[ids] returns NULL, and no error, where memory is short; a memmap may have a `take` of its own
            w, b = np.take(np.asarray(w), ids, 0), np.take(np.asarray(b), ids, 0)
        else:
            mixing = mixing_of(style, at.d.n, np.shape(w)[0])
            w, b = mixed(mixing, w), mixed(mixing, b)
        call.weight, call.bias = <PyObject *>w, <PyObject *>b
        init_job(&job, INSTANCE, &at.d, small_eps, 0)
        job.rstd_options.zero_guard = True
        return normalize_image(&job, &call, image, &at, ("weight", weight, "bias", bias, "style", style))
    finally:
        normcy_fp_leave(mode)
