"""What we want: market view in, quotes out; one file a strategy."""
