"""A live session against its backtest: the same orders and fills, and where they part."""
