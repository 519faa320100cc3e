"""`openmm serve`: REST, stream, metrics and alerts for the bots of a host."""
