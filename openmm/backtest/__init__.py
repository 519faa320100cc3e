"""The engine over markets of the past: recorded and synthetic streams, a pretended account."""
