"""Slots along rows. A slot is `segs` segments of `planes` rows; see plan.pxd."""
from normcy._engine.job cimport Job
from normcy._engine.work cimport Work

cdef void plan_rows(Job *job, Work *w) noexcept nogil
