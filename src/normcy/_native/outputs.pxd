"""New arrays for results: the memory of large ones comes from outputs.c, by NumPy's protocol for such (NEP 49), so that
they own their data as any array does."""
cimport numpy as cnp

cdef cnp.ndarray stand_in(cnp.ndarray x)
cdef cnp.ndarray empty_beside(cnp.ndarray x)
