"""A market-making engine for spot crypto venues: compiled hot path, thin asyncio loop."""
