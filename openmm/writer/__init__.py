"""Follow the tape into journal segments and the store, in a process of its own."""
