"""Kraken: wire protocol, signing, REST, streams, and the simulator's side of them."""
