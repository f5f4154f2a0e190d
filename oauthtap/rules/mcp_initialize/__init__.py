"""`initialize`: client and server agree on a revision, and perhaps on a session."""
