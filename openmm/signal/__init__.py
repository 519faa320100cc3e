"""Layer 1: what the market is. The estimators themselves are compiled, in `_fast`."""
