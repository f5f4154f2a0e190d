"""Upstream names and local names: which origin stands in for which, and every place where one is renamed."""
