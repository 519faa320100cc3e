"""Quantiles of a plain sorted list: what `openmm._fast.latency.Histogram` must be near."""

from __future__ import annotations


def quantile(values: list[int], ppm: int) -> int:
    """Return the smallest value that `ppm` millionths of all do not exceed."""
    ordered = sorted(values)
    rank = max(-(-len(ordered) * ppm // 1_000_000), 1)
    return ordered[rank - 1]
