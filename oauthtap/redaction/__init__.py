"""Secrets struck out: where they stand, what stands in for them, and whether one was left behind."""
