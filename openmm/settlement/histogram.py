"""Latencies in log-linear buckets that add up across batches: relative error below 1%."""

from __future__ import annotations

from collections.abc import Mapping

# Stored beside the stages: since when a filled order had its place, and what of its queue was in
# front of it then, in ppm.
QUEUE_AGE, QUEUE_AHEAD = "queue_age", "queue_ahead_ppm"

_BITS = 8  # significant bits of a bucket's lower end: an error below 1/128


def bucket_ns(value_ns: int) -> int:
    """Return the lower end of the bucket of a value >= 0."""
    shift = max(0, value_ns.bit_length() - _BITS)
    return value_ns >> shift << shift


def quantile_ns(counts: Mapping[int, int], ppm: int) -> int | None:
    """Return the lower end of the bucket that holds the quantile; None when there is nothing.

    The value of rank `ceil(count * ppm / 1e6)`, counted from one.
    """
    total = sum(counts.values())
    if not total:
        return None
    rank = max(1, -(-total * ppm // 1_000_000))
    seen = 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= rank:
            return bucket
    raise AssertionError("counts do not add up")
