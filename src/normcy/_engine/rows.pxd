"""Slots along rows. A slot is `segs` segments of `planes` rows; see plan.pxd."""
from normcy._engine.work cimport Work

cdef void work_on_rows(Work *w) noexcept nogil
