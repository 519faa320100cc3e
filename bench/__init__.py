"""Benchmarks with their gates; see docs/contributing.md."""
