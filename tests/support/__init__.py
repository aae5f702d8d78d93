"""What several test modules use: they import from here, and never from one another."""
