"""Dynamic client registration: how a client introduces itself to an authorization server that has never met it."""
