"""Stored grants: a sign-in that was made once, for commands that nobody can consent for."""
