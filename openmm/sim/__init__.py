"""The venue simulator: matching, synthetic market, latency, faults, loopback server."""
