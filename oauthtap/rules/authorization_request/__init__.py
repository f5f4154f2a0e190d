"""The authorization request: what the client puts into the address that the browser opens."""
