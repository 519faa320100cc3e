"""Tests of the store of market data."""
