"""Fixes as data: proposed, applied to responses and requests, tried offline and live, turned into lines to deploy."""
