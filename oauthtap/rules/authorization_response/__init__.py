"""The way back: the redirect that carries the code to the client, and what becomes of it."""
