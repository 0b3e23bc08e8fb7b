"""From statistics and parameters to what the apply kernels take: coefficients, one set for each row or column, the
elementwise weights and biases that do not fold into them, and the epilogue."""
from normcy._engine.job cimport Job, Slots
from normcy._engine.kernels cimport (
    NORMCY_AFFINE, NORMCY_IDENTITY, NORMCY_RATIO, NORMCY_SWISH, normcy_apply_op, normcy_coef, normcy_elementwise,
    normcy_epilogue, normcy_operand,
)

cdef enum ScratchVector:    # the vectors that fill_coefficients writes; vector v begins at room + v * stride
    MEAN                    # mean_f32 of normcy_coef
    A
    B
    SCALE                   # written if some scale is not 1, if the operation is not affine, or if job.extreme
    GATE                    # written for NORMCY_SWISH and NORMCY_RATIO
    BATCH_STD               # written for NORMCY_RATIO, as is OWN_STD
    OWN_STD
    LAST_WEIGHT             # a weight and a bias that are applied last, as kernels.h describes, if job.extreme
    LAST_BIAS
    SCRATCH_VECTORS         # how many vectors there are

cdef void fill_coefficients(const Job *job, ptrdiff_t count, const Slots *s, const normcy_operand *weight,
                            const normcy_operand *bias, const normcy_operand *gate, ptrdiff_t channel,
                            normcy_coef *coef, float *room, ptrdiff_t stride) noexcept nogil
cdef normcy_elementwise elementwise_at(const Job *job, const normcy_operand *weight, const normcy_operand *bias,
                                       const float *room, ptrdiff_t stride) noexcept nogil


cdef inline normcy_coef coefficients_in(const float *room, ptrdiff_t stride, normcy_apply_op op,
                                        bint scaled) noexcept nogil:
    """The vectors that begin at room, `stride` floats apart."""
    cdef normcy_coef c
    c.op, c.mean_f32, c.a, c.b = op, room, room + A * stride, room + B * stride
    c.scale = room + SCALE * stride if scaled else NULL
    c.gate, c.batch, c.own = room + GATE * stride, room + BATCH_STD * stride, room + OWN_STD * stride
    return c


cdef inline bint is_elementwise(const Job *job) noexcept nogil:
    """Whether there is a weight or a bias that the coefficients cannot hold."""
    return job.extreme or (job.weight.p != NULL and not job.weight.folds) or (job.bias.p != NULL and not job.bias.folds)


cdef inline bint bias_folds(const Job *job) noexcept nogil:
    return job.bias.folds and (job.weight.folds or job.weight.p == NULL)


cdef inline int vectors_used(const normcy_coef *coef) noexcept nogil:
    """How many of the vectors in scratch hold coefficients; these come first."""
    if coef.op == NORMCY_RATIO:
        return OWN_STD + 1
    if coef.op == NORMCY_SWISH:
        return GATE + 1
    return SCALE + 1 if coef.scale != NULL else B + 1


cdef inline const normcy_epilogue *epilogue_at(const Job *job, ptrdiff_t at, normcy_epilogue *room) noexcept nogil:
    """What follows the norm for the panel `at` floats into x; NULL if nothing does."""
    if job.epilogue.add == NULL and job.epilogue.activation == NORMCY_IDENTITY:
        return NULL
    room.add = job.epilogue.add + at if job.epilogue.add != NULL else NULL
    room.activation = job.epilogue.activation
    return room
