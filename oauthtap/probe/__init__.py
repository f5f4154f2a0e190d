"""The way to a server without a client: what is asked, how a model client goes on, and who sends it."""
