"""Benchmarks for asv; `make bench` runs them once."""
