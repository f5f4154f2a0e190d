"""Tokens without a browser: client credentials, exchanged and asserted identities, device codes."""
