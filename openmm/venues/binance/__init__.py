"""Binance spot, USD-M and COIN-M: market data only, as a source of reference prices."""
