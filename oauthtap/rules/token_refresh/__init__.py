"""Refreshing: a new access token for a refresh token, without the user."""
