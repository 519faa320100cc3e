"""Fuzzing: every decoder, scanner and reader under inputs that nobody meant to send."""
