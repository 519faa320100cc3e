"""The tests; folders mirror `openmm/`."""
