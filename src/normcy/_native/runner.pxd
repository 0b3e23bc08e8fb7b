"""Runs the parts of norms by a Python function instead of OpenMP, for tests: results do not depend on who runs them."""
from normcy._engine.normcy_h cimport normcy_runner

cdef const normcy_runner *own_runner() noexcept
