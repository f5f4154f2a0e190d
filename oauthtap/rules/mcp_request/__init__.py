"""Requests with a token: how the client carries it, how the server checks it, and the transport under both."""
