"""The venue simulator: a matching core, a market, and the venue's wire protocol on loopback."""
