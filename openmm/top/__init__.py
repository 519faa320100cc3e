"""The dashboard of an SSH session: `openmm top`."""
