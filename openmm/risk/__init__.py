"""What is allowed: limits from the file, and the alert when they are reached."""
