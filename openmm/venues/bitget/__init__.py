"""Bitget spot: classic accounts over API v2, unified accounts over API v3."""
