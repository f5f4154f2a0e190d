"""A request with a token is refused, and how the server says so."""
