"""Gate.io spot: WebSocket and REST API v4."""
