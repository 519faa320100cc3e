"""Parameter sweeps: many runs of a bot over stored market data, ranked by what luck explains."""
