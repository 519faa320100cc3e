"""The engine: pure step, asyncio loop, wiring from configuration to objects."""
