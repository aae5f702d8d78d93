"""Instances are killed at random moments, and the books add up: `./scripts/kill-test`."""
