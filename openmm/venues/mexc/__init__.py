"""MEXC spot: protobuf WebSocket streams and REST API v3."""
