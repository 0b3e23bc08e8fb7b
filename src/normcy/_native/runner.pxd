"""Runs the parts of norms by a Python function instead of OpenMP, for tests: results do not depend on who runs them."""
from normcy._engine.parallel cimport Runner

cdef const Runner *own_runner() noexcept
