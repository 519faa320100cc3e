"""Coinbase Exchange: market data only, as a source of reference prices."""
