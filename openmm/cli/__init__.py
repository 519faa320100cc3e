"""The command line: one file a command; heavy imports stand inside functions, to start fast."""
