"""The whole product at work: real processes, real sockets, an installed wheel."""
