"""Wire to wire on loopback: a tick frame arrives, an order frame leaves. See `docs/latency.md`."""
