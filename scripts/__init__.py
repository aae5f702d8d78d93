"""Chores: one word each. See README.md."""
