"""The hot path over stored markets: what it would have traded, and what that rests on."""
