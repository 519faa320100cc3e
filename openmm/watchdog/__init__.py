"""A cancel-only process that outlives the engine and ends its orders when it cannot."""
