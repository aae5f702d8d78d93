"""What stands in for the services on a laptop, and the suite that runs them together."""
