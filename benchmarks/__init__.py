"""Benchmarks for asv: `make bench` runs them once, CONTRIBUTING.md says how to follow the speed over commits."""
