"""Slots along columns: panels of rows x cols, one a sample or, pooled, one for all; see plan.pxd.

Narrow panels (RGB pictures, a few positions) would leave most of a vector idle. Rows follow each other in memory, so
k of them side by side are one row of k * cols virtual columns, which fill whole vectors; moments of the k copies of
a column are merged. k is fold_of(cols).
"""
from normcy._engine.work cimport Work

cdef void work_on_cols(Work *w) noexcept nogil
