"""A token lacks a permission, and client and server come to an agreement about it."""
