"""The one door for every surface: commands in, read-only views out."""
