"""Finds the smallest change with which a client connects, by experiment: candidates, the search, the report on it."""
