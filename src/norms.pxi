# One entry for each function of the API: check, describe the job, run it, hand back.

cdef Job make_job(Method method, Dims d, double eps, double offset) noexcept:
    cdef Job job
    memset(&job, 0, sizeof(Job))
    job.k = kernels
    job.plan = make_plan(method, d)
    job.about = NORMCY_ABOUT_MEAN
    job.how.count, job.how.eps = job.plan.count, eps
    job.exact = job.plan.count >= EXACT_FROM
    job.offset = offset
    return job


cdef int run(Job *job, ptrdiff_t size) except -1:
    """Drive a job over an array of `size` floats."""
    if size == 0:
        return 0
    job.most = threads_for(size // 3 if job.fixed_mean != NULL else size)    # one pass is a third of the work
    job.threads = <int>min(<ptrdiff_t>job.most, max(<ptrdiff_t>1, size // SHARE_MIN))
    job.workers = normcy_own_workers() if job.threads > 1 else NULL
    # What is read where y will be is in the caches, and best written there.
    job.beyond = size >= BEYOND * job.threads and not (
        job.source == job.y or job.addend == job.y or job.epilogue.add == job.y)
    job.local_near, job.access.in_cache = size <= LOCAL_NEAR, size <= NEAR
    job.access.nontemporal = job.beyond and job.x != job.y
    job.access.columns = COLUMNS if job.local_near else 0
    if drive_cols(job) if job.plan.by_col else drive_rows(job):
        raise MemoryError("normcy could not allocate its scratch memory; nothing was written")
    return 0


cdef cnp.ndarray take_weights(Job *job, Strides weight, Strides bias):
    """Weight and bias in the terms of the plan. Returns an array that holds the weight, where that is a copy.

    The kernels add the offset to weights that do not fold in float32, which is right for an offset that float32 holds;
    any other is added here.
    """
    cdef cnp.ndarray shifted = None
    cdef float *to
    cdef ptrdiff_t i
    job.weight, job.bias = make_operand(weight, &job.plan), make_operand(bias, &job.plan)
    if job.weight.folds or not weight.size:
        if weight.size:
            job.extreme = fabs(job.offset) >= NORMCY_HUGE_WEIGHT or job.k.huge(weight.p, weight.size)
        return None
    if <float>job.offset != job.offset:
        shifted = np.empty(weight.size, np.float32)
        to = <float *>cnp.PyArray_DATA(shifted)
        for i in range(weight.size):
            to[i] = <float>(weight.p[i] + job.offset)
        job.weight.p, job.offset = to, 0
        weight.p = to
    job.extreme = job.k.weight_range(weight.p, weight.size, <float>job.offset)
    return shifted


cdef object normalize(Job *job, x_given, cnp.ndarray x, Strides weight, Strides bias, pre_add, sum_out, post_add,
                      activation, out, tuple others, str called="x", tuple more=None):
    """Fill in what the job reads and writes, run it, and hand back y, or (y, *more).

    `others` are what the outputs must miss; `called` is what the caller calls x. What takes memory comes first: nothing
    fails after the first write.
    """
    cdef cnp.ndarray y, total
    cdef cnp.ndarray before = None if pre_add is None else companion(pre_add, "pre_add", x_given, x)
    cdef cnp.ndarray after = None if post_add is None else companion(post_add, "post_add", x_given, x)
    cdef cnp.ndarray shifted = take_weights(job, weight, bias)      # kept for as long as its memory is read
    job.epilogue.activation = activation_of(activation)
    y = target(out, "out", x_given, called, x, pre_add, post_add, others, x is not x_given)
    job.x, job.y = <const float *>cnp.PyArray_DATA(x), <float *>cnp.PyArray_DATA(y)
    result = y if out is None else out
    if more is not None:
        result = (result, *more)
    if after is not None:
        job.epilogue.add = <const float *>cnp.PyArray_DATA(after)
    if before is None:
        if sum_out is not None:
            raise ValueError("sum_out: expected None, as pre_add is not given; there is no sum to store")
        run(job, cnp.PyArray_SIZE(x))
        deliver(y, out)
        return result
    if sum_out is not None:
        total = target(sum_out, "sum_out", x_given, called, x, pre_add, None,
                       ("out", out, "post_add", post_add, *others), False)
    else:       # y holds the sum until it is normalized, unless that is where post_add is
        total = y if after is None or not normcy_overlap(y, after) else stand_in(x)
    job.source, job.addend = job.x, <const float *>cnp.PyArray_DATA(before)
    job.x = <const float *>cnp.PyArray_DATA(total)
    run(job, cnp.PyArray_SIZE(x))
    if sum_out is not None:
        deliver(total, sum_out)
    deliver(y, out)
    return result


cdef object normalize_batch(Method method, x_given, running_mean, running_var, weight, bias, bint own, momentum,
                            eps_given, layout, weight_offset, pre_add, sum_out, post_add, activation, out,
                            bint return_stats, bint unbiased, ptrdiff_t channels, cnp.ndarray tracked):
    """BatchNorm and InstanceNorm: their own statistics (kept in running_*), or the running ones."""
    cdef Layout at
    cdef double eps, pace
    cdef cnp.ndarray x
    cdef list keep
    cdef Statistics stats
    cdef tuple more
    cdef Fixed given
    cdef Job job
    cdef Running run_stats
    cdef unsigned long mode = normcy_fp_enter()
    try:
        eps = number(eps_given, "eps")
        pace = pace_of(momentum, tracked)
        x = as_image(x_given, layout, &at, "x", (out, pre_add, sum_out, post_add), channels)
        keep = []
        stats = None
        more = None
        job = make_job(method if own else BATCH, at.d, eps, narrow(weight_offset, "weight_offset"))
        check_batch(method, x_given, at.d, own, eps)
        run_stats = Running()
        run_stats.read(running_mean, running_var, x_given, &at, own)
        check_count(tracked)
        job.how.zero_guard = True
        if not own:
            given = Fixed(run_stats, at.d.c, eps)
            given.point(&job)
        elif run_stats.present or return_stats:
            stats = Statistics(job.plan.slots)
            stats.point(&job)
        if return_stats and stats is None:
            more = (np.empty(0, np.float32), np.empty(0, np.float32))
        elif return_stats:
            more = stats.outputs([at.d.c] if method == BATCH else [at.d.n, at.d.c])
        if own and run_stats.present:
            run_stats.apart(("x", x_given, "weight", weight, "bias", bias, "pre_add", pre_add, "post_add", post_add))
        result = normalize(&job, x_given, x, parameter(weight, "weight", x_given, &at, keep),
                           parameter(bias, "bias", x_given, &at, keep), pre_add, sum_out, post_add, activation, out,
                           ("weight", weight, "bias", bias, "running_mean", running_mean, "running_var", running_var),
                           "x", more)
        if own and cnp.PyArray_SIZE(x) and (run_stats.present or tracked is not None):
            refresh(run_stats, stats, at.d.c, 1 if method == BATCH else at.d.n, job.plan.count, tracked, pace,
                    unbiased)
        if return_stats and stats is not None:
            stats.hand_out()
        return result
    finally:
        normcy_fp_leave(mode)


cdef int check_batch(Method method, x, Dims d, bint own, double eps) except -1:
    if own and d.c and d.s * (d.n if method == BATCH else 1) == 1:
        raise ValueError(f"x: expected more than one value a channel{'' if method == BATCH else ' and sample'} "
                         f"to take statistics of, got shape {x.shape}")
    if own and method == BATCH and eps <= 0:
        raise ValueError(f"eps: expected a positive number in training, got {eps}")
    if not own and eps < 0:
        raise ValueError(f"eps: expected a number >= 0, got {eps}")
    return 0


def batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps, layout, weight_offset, pre_add,
               sum_out, post_add, activation, out, return_stats, unbiased_running_var, ptrdiff_t channels=-1,
               tracked=None):
    return normalize_batch(BATCH, x, running_mean, running_var, weight, bias, flag(training, "training"), momentum,
                           eps, layout, weight_offset, pre_add, sum_out, post_add, activation, out,
                           flag(return_stats, "return_stats"), flag(unbiased_running_var, "unbiased_running_var"),
                           channels, tracked)


def instance_norm(x, running_mean, running_var, weight, bias, use_input_stats, momentum, eps, layout, weight_offset,
                  pre_add, sum_out, post_add, activation, out, return_stats, unbiased_running_var,
                  ptrdiff_t channels=-1, tracked=None):
    return normalize_batch(INSTANCE, x, running_mean, running_var, weight, bias,
                           flag(use_input_stats, "use_input_stats"), momentum, eps, layout, weight_offset, pre_add,
                           sum_out, post_add, activation, out, flag(return_stats, "return_stats"),
                           flag(unbiased_running_var, "unbiased_running_var"), channels, tracked)


cdef object normalize_own(Job *job, x_given, cnp.ndarray x, Strides weight, Strides bias, pre_add, sum_out, post_add,
                          activation, out, tuple others, bint return_stats, shape):
    """Methods whose statistics are always the input's own and never kept."""
    if not return_stats:
        return normalize(job, x_given, x, weight, bias, pre_add, sum_out, post_add, activation, out, others)
    cdef Statistics stats = Statistics(job.plan.slots)
    stats.point(job)
    more = stats.outputs(shape)[1 if job.about == NORMCY_ABOUT_ZERO else 0:]
    result = normalize(job, x_given, x, weight, bias, pre_add, sum_out, post_add, activation, out, others, "x", more)
    stats.hand_out()
    return result


cdef ptrdiff_t groups_of(num_groups, cnp.ndarray x, const Layout *at) except -1:
    """num_groups, checked."""
    cdef ptrdiff_t other = cnp.PyArray_DIM(x, 1 if at.last else cnp.PyArray_NDIM(x) - 1)
    cdef ptrdiff_t groups = integer(num_groups, "num_groups")
    if groups < 1 or at.d.c % groups:
        hint = other_layout(np.shape(x), at.last, other) if groups > 0 and other % groups == 0 else ""
        raise ValueError(f"num_groups: expected a positive divisor of the {at.d.c} channels, got {groups}{hint}")
    return groups


def group_norm(x_given, num_groups, weight, bias, eps, layout, weight_offset, pre_add, sum_out, post_add, activation,
               out, return_stats, ptrdiff_t channels=-1):
    cdef Layout at
    cdef list keep
    cdef cnp.ndarray x
    cdef Job job
    cdef unsigned long mode = normcy_fp_enter()
    try:
        keep = []
        x = as_image(x_given, layout, &at, "x", (out, pre_add, sum_out, post_add), channels)
        at.d.groups = groups_of(num_groups, x_given, &at)
        job = make_job(GROUP, at.d, number(eps, "eps"), narrow(weight_offset, "weight_offset"))
        return normalize_own(&job, x_given, x, parameter(weight, "weight", x_given, &at, keep),
                             parameter(bias, "bias", x_given, &at, keep), pre_add, sum_out, post_add, activation, out,
                             ("weight", weight, "bias", bias), flag(return_stats, "return_stats"),
                             (at.d.n, at.d.groups))
    finally:
        normcy_fp_leave(mode)


def layer_norm2d(x_given, weight, bias, eps, layout, weight_offset, pre_add, sum_out, post_add, activation, out,
                 return_stats, ptrdiff_t channels=-1):
    cdef Layout at
    cdef list keep
    cdef cnp.ndarray x
    cdef Job job
    cdef unsigned long mode = normcy_fp_enter()
    try:
        keep = []
        x = as_image(x_given, layout, &at, "x", (out, pre_add, sum_out, post_add), channels)
        job = make_job(LAYER, at.d, number(eps, "eps"), narrow(weight_offset, "weight_offset"))
        shape = list(x_given.shape)
        shape[-1 if says_channels_last(layout) else 1] = 1
        return normalize_own(&job, x_given, x, parameter(weight, "weight", x_given, &at, keep),
                             parameter(bias, "bias", x_given, &at, keep), pre_add, sum_out, post_add, activation, out,
                             ("weight", weight, "bias", bias), flag(return_stats, "return_stats"), shape)
    finally:
        normcy_fp_leave(mode)


cdef object normalize_trailing(x_given, normalized_shape, weight, bias, eps, weight_offset, pre_add, sum_out, post_add,
                               activation, out, return_stats,
                               normcy_rstd_options how, normcy_about about, bint of_layer):
    """LayerNorm and RMSNorm: over the trailing axes that normalized_shape names."""
    cdef Dims d
    cdef list keep
    cdef cnp.ndarray x
    cdef tuple trailing
    cdef int i, lead
    cdef bint with_stats
    cdef Job job
    cdef unsigned long mode = normcy_fp_enter()
    try:
        keep = []
        x = floats(x_given, "x")
        trailing = trailing_axes(x, normalized_shape, of_layer)
        lead = cnp.PyArray_NDIM(x) - len(trailing)
        with_stats = flag(return_stats, "return_stats")
        if not in_c_order(x):
            x = np.array(x, order="C", subok=False)
        d.n, d.s, d.c, d.groups, d.channels_last = 1, 1, 1, 1, True
        for i in range(cnp.PyArray_NDIM(x)):
            if i >= lead:
                d.c *= cnp.PyArray_DIM(x, i)
            elif i == 0:
                d.n = cnp.PyArray_DIM(x, 0)
            else:
                d.s *= cnp.PyArray_DIM(x, i)
        d.sample, d.pitch = d.c * d.s, d.c
        job = make_job(LAYER, d, number(eps, "eps"), narrow(weight_offset, "weight_offset"))
        job.about = about
        job.how.correction, job.how.outside_sqrt = how.correction, how.outside_sqrt
        return normalize_own(&job, x_given, x, trailing_parameter(weight, "weight", x, trailing, d.c, keep),
                             trailing_parameter(bias, "bias", x, trailing, d.c, keep), pre_add, sum_out, post_add,
                             activation, out, ("weight", weight, "bias", bias), with_stats,
                             (<object>x).shape[:lead] + (1,) * len(trailing) if with_stats else None)
    finally:
        normcy_fp_leave(mode)


def layer_norm(x, normalized_shape, weight, bias, eps, weight_offset, pre_add, sum_out, post_add, activation, out,
               return_stats, correction, eps_mode, bint of_layer=False):
    cdef normcy_rstd_options how
    how.correction, how.outside_sqrt = number(correction, "correction"), says_outside(eps_mode)
    return normalize_trailing(x, normalized_shape, weight, bias, eps, weight_offset, pre_add, sum_out, post_add,
                              activation, out, return_stats, how, NORMCY_ABOUT_MEAN, of_layer)


def rms_norm(x, normalized_shape, weight, eps, weight_offset, pre_add, sum_out, post_add, activation, out,
             return_stats, bint of_layer=False):
    cdef normcy_rstd_options how
    how.correction, how.outside_sqrt = 0, False
    return normalize_trailing(x, normalized_shape, weight, None, 2.0 ** -23 if eps is None else eps, weight_offset,
                              pre_add, sum_out, post_add, activation, out, return_stats, how, NORMCY_ABOUT_ZERO,
                              of_layer)
