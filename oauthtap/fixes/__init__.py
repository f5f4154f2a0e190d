"""Fixes as data: proposed, laid over answers and requests, tried offline and live, and turned into what to deploy."""
