from normcy._engine.normcy_h cimport normcy_part, normcy_runner

cdef object function = None     # what runs the parts; None: OpenMP does
cdef normcy_runner by_function
by_function.run, by_function.arg = run_by_function, NULL


cdef const normcy_runner *own_runner() noexcept:
    return &by_function if function is not None else NULL


cdef class Part:
    """Runs the part of an index, without the GIL."""
    cdef normcy_part part
    cdef void *of

    def __call__(self, ptrdiff_t i):
        with nogil:
            self.part(self.of, i)


cdef void run_by_function(void *arg, ptrdiff_t parts, normcy_part part, void *of) noexcept with gil:
    cdef Part call = Part()
    call.part, call.of = part, of
    function(parts, call)


def use_runner(wanted):
    """Have wanted(parts, part) call part(i) for every i below `parts`, on any threads, from now on; None: OpenMP."""
    global function
    function = wanted
